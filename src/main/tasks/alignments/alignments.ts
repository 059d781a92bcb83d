import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

import { chooseTier, type FileAlignment, type Tier } from '#main/formats/alignments/alignment.ts';
import { foldPhone } from '#main/formats/alignments/timitPhones.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type AlignmentChoice, alignmentMark } from '#shared/experiment.ts';

import {
  type Dataset,
  type DatasetProblem,
  lookUp,
  mapConcurrently,
  requireColumn,
  searchFolders,
  type Utterance,
} from '../dataset.ts';
import { type AlignedLabels, type LabelColumn, sortClasses } from '../labels.ts';
import { filesFor, indexFolder, isFolder } from './files.ts';
import { alignmentOfOne, type AlignmentFormat, inTable, joined, readAlignment } from './read.ts';

/** What is known of one utterance's alignment. */
export type UtteranceAlignment = FileAlignment & {
  /** Files it was read from. */
  files: string[];
  format: AlignmentFormat;
  /** Of what was read for this utterance. */
  digest: string;
};

/** Where alignments come from; nothing is read before it is asked for, but a table that serves all. */
export interface AlignmentSource {
  /** Absolute path of the folder or file; the manifest's where a column names them. */
  path: string;
  /** Times count from the beginning of the utterance, which may be a part of its file. Throws what the files' parsers throw. */
  of(utterance: Utterance): Promise<UtteranceAlignment | null>;
}

export interface AlignmentSourceOptions {
  /** The folder in which relative paths of the data set are looked for, as for its audio. */
  root?: string;
  /** Called with every path that a manifest's column names, before it is read; throws to refuse. */
  allow?: (path: string) => string;
}

/** Times of an utterance that is a part of its file, from its own beginning; what lies outside is left out. */
function partOf(alignment: FileAlignment, { start, end }: Utterance): FileAlignment {
  if (start === undefined && end === undefined) return alignment;
  const from = start ?? 0;
  const length = (end ?? Infinity) - from;
  const tiers = alignment.tiers.map((tier): Tier => ({
    ...tier,
    intervals: tier.intervals
      .filter((interval) => interval.end > from && interval.start - from < length)
      .map((interval) => ({
        ...interval,
        start: Math.max(0, interval.start - from),
        end: Math.min(length, interval.end - from),
      })),
  }));
  return { ...alignment, tiers };
}

/**
 * Opens what a data set's alignments come from: a column with a path for each row, a folder of files named like the audio, or one
 * file for all.
 *
 * @throws ForetuneError `not-found`, `unsupported`, and what the parser of a file for all throws
 */
export async function openAlignments(
  dataset: Dataset,
  choice: AlignmentChoice,
  { root, allow = resolve }: AlignmentSourceOptions = {},
): Promise<AlignmentSource> {
  const digestOf = (parts: readonly (Uint8Array | string)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  const written = ({ values }: Utterance) => values[dataset.audioColumn].trim();
  const readFiles = async (files: readonly string[], utterance: Utterance): Promise<UtteranceAlignment> => {
    const read = await Promise.all(files.map(readAlignment));
    const alignment = joined(read.map((file, i) => alignmentOfOne(file, files[i], written(utterance))));
    return {
      ...partOf(alignment, utterance),
      files: [...files],
      format: read[0].format,
      digest: digestOf(read.map(({ bytes }) => bytes)),
    };
  };

  if (choice.column !== undefined) {
    const { column } = choice;
    requireColumn(dataset, column);
    const folders = searchFolders(dataset, root);
    return {
      path: dataset.path,
      async of(utterance) {
        const named = utterance.values[column].trim();
        if (named === '') return null;
        const { path, size } = await lookUp(named, folders);
        if (size === undefined) throw new ForetuneError('not-found', `${path} does not exist.`);
        return readFiles([allow(path)], utterance);
      },
    };
  }

  const path = resolve(choice.path!);
  if (await isFolder(path)) {
    const index = await indexFolder(path);
    return {
      path,
      async of(utterance) {
        const files = filesFor(index, utterance.path);
        return files.length === 0 ? null : readFiles(files, utterance);
      },
    };
  }

  const file = await readAlignment(path);
  if (file.kind === 'one') {
    // A file of one recording serves the utterances of that recording.
    const named = new Map([[stemOf(path), [path]]]);
    return {
      path,
      of: (utterance) => {
        const files = dataset.utterances.every((other) => other.path === utterance.path)
          ? [path]
          : filesFor(named, utterance.path);
        return files.length === 0 ? Promise.resolve(null) : readFiles(files, utterance);
      },
    };
  }
  const taken = new Map<string, string>();
  return {
    path,
    of: (utterance) =>
      Promise.resolve().then(() => {
        const found = inTable(file.table, written(utterance));
        if (!found) return null;
        const { name, alignment } = found;
        const other = taken.get(name);
        if (other !== undefined && other !== utterance.path) {
          throw new ForetuneError(
            'mismatch',
            `${path}: both ${other} and ${utterance.path} would take what it says of "${name}"; write their paths as the manifest does.`,
          );
        }
        taken.set(name, utterance.path);
        return {
          ...partOf(alignment, utterance),
          files: [path],
          format: file.format,
          digest: digestOf([JSON.stringify(alignment)]),
        };
      }),
  };
}

function stemOf(path: string): string {
  return (path.split(/[\\/]/).at(-1) ?? '').replace(/\.[^.]*$/, '').toLowerCase();
}

/** What was understood of the alignments of a data set. */
export interface AlignmentReport {
  path: string;
  formats: AlignmentFormat[];
  /** Utterances whose alignment can be used, and those that have none; the others are problems. */
  found: number;
  missing: number;
  /** Tiers by name, and in how many utterances each stands, with how many intervals (or points). */
  tiers: { name: string; kind: Tier['kind']; utterances: number; intervals: number }[];
  problems: DatasetProblem[];
  /** What a reader should know. */
  notes: string[];
  /** sha256 over all that was read. */
  fingerprint: string;
}

/** A label column made from intervals, with what a report says of it. */
export interface AlignedColumn extends LabelColumn {
  values: (AlignedLabels | null)[];
  /** Seconds of audio that each class labels. */
  seconds: number[];
}

export interface CollectedAlignments {
  report: AlignmentReport;
  /** One for each label asked for, in order. */
  columns: AlignedColumn[];
}

/** Intervals of one utterance before the classes of all are known. */
interface Labelled {
  starts: Float64Array;
  ends: Float64Array;
  labels: string[];
}

function labelled(tier: Tier, choice: AlignmentChoice, where: string): Labelled {
  const { fold } = choice;
  const intervals = tier.intervals
    .filter(({ start, end }) => end > start)
    .map((interval) => ({ ...interval, label: fold === undefined ? interval.label : foldPhone(interval.label, fold, where) }))
    .filter(({ label }) => label !== '' && !(choice.without ?? []).includes(label));
  return {
    starts: Float64Array.from(intervals, ({ start }) => start),
    ends: Float64Array.from(intervals, ({ end }) => end),
    labels: intervals.map(({ label }) => label),
  };
}

/** The tier that gives a label: the one chosen, or the one named like the label; see `alignmentMark`. */
export function tierOf(choice: AlignmentChoice, label: string): string {
  return choice.tier ?? (label.endsWith(alignmentMark) ? label.slice(0, -alignmentMark.length) : label);
}

/**
 * Reads the alignments of a whole data set as label columns. An utterance whose alignment is missing has no label; one whose alignment
 * cannot be used has none either, and becomes a problem.
 *
 * @param labels names of the columns; each is also the tier, unless the choice names one
 * @param options.step called for every utterance
 * @throws ForetuneError `not-found` if no utterance has an alignment, the first problem if none can be used, `invalid-data` for a label
 *   of fewer than two classes
 */
export async function collectAlignments(
  dataset: Dataset,
  source: AlignmentSource,
  choice: AlignmentChoice,
  labels: readonly string[],
  { signal, step = () => undefined }: { signal?: AbortSignal; step?: () => void } = {},
): Promise<CollectedAlignments> {
  const tiers = new Map<string, AlignmentReport['tiers'][number]>();
  const noted = new Map<string, number>();
  const perLabel = labels.map(() => new Array<Labelled | null>(dataset.utterances.length).fill(null));
  const digests = new Array<string>(dataset.utterances.length).fill('');
  const refusals = new Map<number, ForetuneError>();
  const known = new Map<string, string>();
  const formats = new Set<AlignmentFormat>();
  let found = 0;
  let missing = 0;
  await mapConcurrently([...dataset.utterances.entries()], async ([i, utterance]) => {
    signal?.throwIfAborted();
    step();
    try {
      const alignment = await source.of(utterance);
      if (!alignment) {
        missing++;
        return;
      }
      digests[i] = alignment.digest;
      formats.add(alignment.format);
      for (const { name, kind, intervals } of alignment.tiers) {
        const tier = tiers.get(name) ?? { name, kind, utterances: 0, intervals: 0 };
        tiers.set(name, tier);
        tier.utterances++;
        tier.intervals += intervals.length;
      }
      for (const note of alignment.notes) noted.set(note, (noted.get(note) ?? 0) + 1);
      const where = alignment.files[0];
      const rows = labels.map((label) => labelled(chooseTier(alignment.tiers, tierOf(choice, label), where), choice, where));
      for (const [l, row] of rows.entries()) {
        // A class is one string in memory, however many intervals have it.
        row.labels = row.labels.map((text) => known.get(text) ?? (known.set(text, text), text));
        perLabel[l][i] = row;
      }
      found++;
    } catch (error) {
      const { code, message } = toErrorValue(error);
      if (code === 'internal') throw error;
      refusals.set(i, new ForetuneError(code, message));
    }
  });
  if (found === 0) {
    const first = refusals.get(Math.min(...refusals.keys()));
    if (first) throw first;
    throw new ForetuneError(
      'not-found',
      choice.column === undefined
        ? `${source.path} has no alignment of any of the ${dataset.utterances.length} files of ${dataset.name}; the first was looked for under the name "${stemOf(dataset.utterances[0].path)}".`
        : `column "${choice.column}" of ${dataset.name} is empty in all ${dataset.utterances.length} rows: it names no alignment.`,
    );
  }
  const problems = [...refusals]
    .sort(([a], [b]) => a - b)
    .map(([i, { message }]) => ({
      row: dataset.utterances[i].row,
      file: dataset.utterances[i].id,
      message: message.replace(/\.$/, ''),
    }));
  return {
    report: {
      path: source.path,
      formats: [...formats].sort(),
      found,
      missing,
      tiers: [...tiers.values()],
      problems,
      notes: [...noted].map(([note, files]) => (files === 1 ? `${note}.` : `${note} (in ${files} files).`)),
      fingerprint: createHash('sha256').update(JSON.stringify(digests)).digest('hex'),
    },
    columns: labels.map((label, l) => columnOf(source, label, perLabel[l])),
  };
}

/** Intervals of all utterances as one label column: classes are those that occur anywhere. */
function columnOf(source: AlignmentSource, label: string, rows: readonly (Labelled | null)[]): AlignedColumn {
  const classes = sortClasses(new Set(rows.flatMap((row) => row?.labels ?? [])));
  const index = new Map(classes.map((text, i) => [text, i]));
  const counts = classes.map(() => 0);
  const seconds = classes.map(() => 0);
  const values = rows.map((row) => {
    if (!row || row.labels.length === 0) return null;
    const numbers = Int32Array.from(row.labels, (text) => index.get(text)!);
    numbers.forEach((number, i) => {
      counts[number]++;
      seconds[number] += row.ends[i] - row.starts[i];
    });
    return { starts: row.starts, ends: row.ends, classes: numbers };
  });
  if (classes.length < 2) {
    const what = classes.length === 0 ? 'no label' : `one class ("${classes[0]}", ${counts[0]} intervals)`;
    throw new ForetuneError(
      'invalid-data',
      `the alignments in ${source.path} have ${what} as "${label}": a score needs at least two; choose another tier.`,
    );
  }
  const unlabelled = values.filter((value) => value === null).length;
  return { name: label, kind: 'classification', classes, k: classes.length, values, counts, unlabelled, seconds };
}
