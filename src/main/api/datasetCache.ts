import { type Dataset, openDataset } from '#main/tasks/dataset.ts';

export interface DataChoice {
  path: string;
  audioColumn?: string;
  root?: string;
}

const kept = 4;

/** Data sets read last, so that paging through clips does not read the manifest each time. */
export class DatasetCache {
  private readonly sets = new Map<string, Promise<Dataset>>();

  /** `fresh`: read it again, whatever is kept. */
  open({ path, audioColumn, root }: DataChoice, fresh = false): Promise<Dataset> {
    const key = JSON.stringify([path, audioColumn, root]);
    const found = fresh ? undefined : this.sets.get(key);
    const opened = found ?? openDataset(path, { audioColumn, root });
    this.sets.delete(key);
    this.sets.set(key, opened);
    // What could not be read is worth another try.
    opened.catch(() => this.sets.delete(key));
    if (this.sets.size > kept) this.sets.delete(this.sets.keys().next().value!);
    return opened;
  }
}
