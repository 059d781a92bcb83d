import { type AlignmentSource, openAlignments } from '#main/tasks/alignments/alignments.ts';
import { type Dataset, openDataset } from '#main/tasks/dataset.ts';
import { type DataChoice } from '#shared/experiment.ts';

const kept = 4;

/** The last few things opened, by what they were opened with. */
class Recent<T> {
  private readonly things = new Map<string, Promise<T>>();

  /** `fresh`: open it again, whatever is kept. */
  get(key: string, open: () => Promise<T>, fresh: boolean): Promise<T> {
    const found = fresh ? undefined : this.things.get(key);
    const opened = found ?? open();
    this.things.delete(key);
    this.things.set(key, opened);
    // What could not be read is worth another try.
    opened.catch(() => this.things.delete(key));
    if (this.things.size > kept) this.things.delete(this.things.keys().next().value!);
    return opened;
  }
}

/** Data sets read last, and their alignments, so that paging through clips does not read manifests and tables each time. */
export class DatasetCache {
  private readonly sets = new Recent<Dataset>();
  private readonly sources = new Recent<AlignmentSource>();

  /** `fresh`: read it again, whatever is kept. */
  open({ path, audioColumn, root }: DataChoice, fresh = false): Promise<Dataset> {
    return this.sets.get(JSON.stringify([path, audioColumn, root]), () => openDataset(path, { audioColumn, root }), fresh);
  }

  /** Where the labels of stretches come from; undefined where the choice names none. */
  async alignments(choice: DataChoice, allow: (path: string) => string, fresh = false): Promise<AlignmentSource | undefined> {
    const { path, audioColumn, root, alignments } = choice;
    if (!alignments) return undefined;
    const key = JSON.stringify([path, audioColumn, root, alignments.path, alignments.column]);
    const dataset = await this.open(choice);
    return this.sources.get(key, () => openAlignments(dataset, alignments, { root, allow }), fresh);
  }
}
