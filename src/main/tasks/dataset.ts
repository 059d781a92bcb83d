import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';

import { looksLikeAudio, type Manifest, type ManifestFormat, type ManifestRow, readManifest } from '#main/formats/manifest.ts';
import { ForetuneError } from '#shared/errors.ts';

/** One piece of audio that is there, with what its row says about it. */
export interface Utterance {
  /** Unique and stable: the path as written, plus `#<row>` where several rows name the same file. */
  id: string;
  /** Absolute path of the audio file. */
  path: string;
  /** Part of the file, in seconds; absent for the whole file. */
  start?: number;
  end?: number;
  values: Record<string, string>;
  row: number;
}

/**
 * `audio`: names audio files; `number`: every value is a number; `multi-label`: values are several labels, separated by `;` or `|`;
 * `category`: values repeat (at most 20 different ones, or each twice on average); `text`: anything else; `empty`: no values.
 */
export type ColumnKind = 'audio' | 'number' | 'multi-label' | 'category' | 'text' | 'empty';

export interface DatasetColumn {
  name: string;
  kind: ColumnKind;
  /** Number of different values. */
  distinct: number;
  /** Number of utterances that have a value. */
  filled: number;
}

export interface DatasetProblem {
  /** As `ManifestRow.row`; 0 for the file as a whole. */
  row: number;
  file?: string;
  message: string;
}

/** A manifest whose audio files were looked up. */
export interface Dataset {
  path: string;
  /** Base name of the path. */
  name: string;
  format: ManifestFormat;
  audioColumn: string;
  columns: DatasetColumn[];
  utterances: Utterance[];
  /** Rows that were left out, and why. */
  problems: DatasetProblem[];
  /** sha256 over the manifest's rows and the size of each audio file: equal wherever the data lie. */
  fingerprint: string;
}

export interface DatasetOptions {
  /** The column that names the audio files, where its name and content do not tell. */
  audioColumn?: string;
  /** A further folder in which relative paths are looked for. */
  root?: string;
}

const audioColumnNames = [
  ...['path', 'audio_path', 'audio_filepath', 'audio_file', 'audio', 'file_path', 'filepath', 'file', 'file_name', 'filename'],
  ...['wav', 'wav_path', 'wav_file', 'wave', 'clip', 'utterance', 'sound'],
];

const concurrentLookups = 32;

/** Decimal notation, as spreadsheets, pandas and JSON write numbers. Undefined for anything else. */
export function parseNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : undefined;
}

/** The labels of a cell that may hold several, separated by `;` or `|`. */
export function labelsIn(text: string): string[] {
  return text.split(/[;|]/).flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
}

/** Whether different values of a column are made of fewer labels, separated by `;` or `|`. */
export function holdsSeveralLabels(different: ReadonlySet<string>): boolean {
  const several = [...different].filter((value) => /[;|]/.test(value));
  if (several.length === 0) return false;
  const labels = new Set<string>();
  for (const value of different) for (const label of labelsIn(value)) labels.add(label);
  return labels.size >= 2 && labels.size < different.size;
}

/** "a, b, c": the columns there are, for a refusal. */
function listed(names: readonly string[]): string {
  return names.length > 30 ? `${names.slice(0, 30).join(', ')} and ${names.length - 30} more` : names.join(', ');
}

/** Throws `not-found` listing the columns there are. */
export function requireColumn(dataset: Pick<Dataset, 'name'> & { columns: readonly { name: string }[] }, column: string): void {
  if (dataset.columns.some(({ name }) => name === column)) return;
  throw new ForetuneError(
    'not-found',
    `${dataset.name} has no column "${column}"; it has ${listed(dataset.columns.map(({ name }) => name))}.`,
  );
}

/** The column that names the audio files: by its name, if its values may be paths, or else by its values. */
function guessAudioColumn(manifest: Manifest, name: string): string {
  const { columns, rows } = manifest;
  const sample = rows.slice(0, 200);
  const audioShare = (column: string) => {
    const filled = sample.filter(({ values }) => values[column].trim() !== '');
    return filled.length === 0 ? 0 : filled.filter(({ values }) => looksLikeAudio(values[column].trim())).length / filled.length;
  };
  const byName = audioColumnNames.flatMap((usual) =>
    columns.filter((column) => column.toLowerCase().replace(/[\s-]/g, '_') === usual),
  );
  const byContent = columns.filter((column) => audioShare(column) > 0.5);
  const guess = byName.find((column) => byContent.includes(column)) ?? byContent[0] ?? byName[0];
  if (guess === undefined) {
    throw new ForetuneError(
      'not-found',
      `${name} has no column that names audio files; it has ${listed(columns)}: say which one it is.`,
    );
  }
  return guess;
}

/** Size of a regular file in bytes; undefined if there is none. */
async function fileSize(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch {
    return undefined;
  }
}

/** Folders in which a relative path is looked for, in order. Common Voice keeps its audio in `clips`. */
export function searchFolders(manifest: Pick<Manifest, 'format' | 'path'>, root: string | undefined): string[] {
  if (manifest.format === 'folders') return [manifest.path];
  const beside = dirname(manifest.path);
  return [...new Set([beside, ...(root === undefined ? [] : [resolve(root)]), resolve(beside, 'clips'), resolve(beside, '..')])];
}

type Lookup = { path: string; size: number } | { path: string; size?: undefined };

/** The first place where the file is, or else the first place tried. */
export async function lookUp(written: string, folders: readonly string[]): Promise<Lookup> {
  const places = isAbsolute(written) ? [written] : folders.map((folder) => resolve(folder, written));
  for (const path of places) {
    const size = await fileSize(path);
    if (size !== undefined) return { path, size };
  }
  return { path: places[0] };
}

/** Results of `task` for every item, in order, a few at a time. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await task(items[index]);
    }
  };
  await Promise.all(Array.from({ length: concurrentLookups }, work));
  return results;
}

/** The part of the file a NeMo row names by `offset` and `duration`, in seconds; a string says what is wrong with them. */
function segment({ offset, duration }: Record<string, string | undefined>): { start?: number; end?: number } | string {
  if (offset === undefined || offset.trim() === '') return {};
  const start = parseNumber(offset);
  if (start === undefined || start < 0) return `offset "${offset}" is no number of seconds`;
  if (duration === undefined || duration.trim() === '') return { start };
  const seconds = parseNumber(duration);
  if (seconds === undefined || seconds <= 0) return `duration "${duration}" is no positive number of seconds`;
  return { start, end: start + seconds };
}

function describeColumn(name: string, utterances: readonly Utterance[], isAudio: boolean): DatasetColumn {
  const filled = utterances.map(({ values }) => values[name].trim()).filter((value) => value !== '');
  const different = new Set(filled);
  const distinct = different.size;
  const kind = (): ColumnKind => {
    if (isAudio) return 'audio';
    if (distinct === 0) return 'empty';
    const values = [...different];
    if (values.every(looksLikeAudio)) return 'audio';
    if (values.every((value) => parseNumber(value) !== undefined)) return 'number';
    if (holdsSeveralLabels(different)) return 'multi-label';
    return distinct < filled.length && (distinct <= 20 || distinct <= filled.length / 2) ? 'category' : 'text';
  };
  return { name, kind: kind(), distinct, filled: filled.length };
}

function fingerprint(columns: readonly string[], rows: readonly ManifestRow[], sizes: readonly (number | undefined)[]): string {
  const hash = createHash('sha256').update(JSON.stringify(columns));
  for (const [index, { values }] of rows.entries()) {
    hash.update(JSON.stringify([columns.map((column) => values[column]), sizes[index] ?? null]));
  }
  return hash.digest('hex');
}

/**
 * Reads a manifest (see `readManifest`) and looks up its audio files: beside it, then in `options.root`, in `clips`, one folder up.
 * Rows without a usable file become problems. Throws what `readManifest` throws, and `not-found` if no column names audio files,
 * if `options.audioColumn` does not exist or if all files are missing.
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const manifest = await readManifest(path);
  const { columns, rows, format } = manifest;
  const name = basename(manifest.path);
  if (options.audioColumn !== undefined)
    requireColumn({ name, columns: columns.map((column) => ({ name: column })) }, options.audioColumn);
  if (rows.length === 0) {
    const [first] = manifest.problems;
    const why = first === undefined ? 'there is nothing below its header' : `row ${first.row}: ${first.message}`;
    throw new ForetuneError('invalid-data', `${manifest.path} has no usable row (${why}).`);
  }
  const audioColumn = options.audioColumn ?? guessAudioColumn(manifest, name);

  const folders = searchFolders(manifest, options.root);
  const written = rows.map(({ values }) => values[audioColumn].trim());
  const lookups = await mapConcurrently(written, async (file) => (file === '' ? undefined : lookUp(file, folders)));

  const timesWritten = new Map<string, number>();
  for (const file of written) timesWritten.set(file, (timesWritten.get(file) ?? 0) + 1);
  const ids = new Set<string>();
  const utterances: Utterance[] = [];
  const problems: DatasetProblem[] = [...manifest.problems];
  let firstMissing: string | undefined;
  for (const [index, { row, values }] of rows.entries()) {
    const file = written[index];
    const found = lookups[index];
    if (found === undefined) {
      problems.push({ row, message: `the column "${audioColumn}" is empty` });
      continue;
    }
    if (found.size === undefined) {
      firstMissing ??= found.path;
      problems.push({ row, file, message: `${found.path} does not exist` });
      continue;
    }
    if (found.size === 0) {
      problems.push({ row, file, message: `${found.path} is empty (0 bytes)` });
      continue;
    }
    const part = segment(values);
    if (typeof part === 'string') {
      problems.push({ row, file, message: part });
      continue;
    }
    let id = (timesWritten.get(file) ?? 0) > 1 ? `${file}#${row}` : file;
    while (ids.has(id)) id = `${id}#${row}`;
    ids.add(id);
    utterances.push({ id, path: found.path, ...part, values, row });
  }
  if (utterances.length === 0) {
    if (firstMissing !== undefined) {
      const others = folders.length > 1 ? ` (nor in ${listed(folders.slice(1))})` : '';
      throw new ForetuneError(
        'not-found',
        `None of the ${rows.length} audio files of ${manifest.path} exists: the first was looked for at ${firstMissing}${others}.`,
      );
    }
    throw new ForetuneError(
      'invalid-data',
      `${manifest.path} has no usable row (row ${problems[0].row}: ${problems[0].message}).`,
    );
  }
  problems.sort((a, b) => a.row - b.row);
  return {
    path: manifest.path,
    name,
    format,
    audioColumn,
    columns: columns.map((column) => describeColumn(column, utterances, column === audioColumn)),
    utterances,
    problems,
    fingerprint: fingerprint(
      columns,
      rows,
      lookups.map((lookup) => lookup?.size),
    ),
  };
}
