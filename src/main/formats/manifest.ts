import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';

import { parse } from 'csv-parse/sync';

import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { openFile } from './bytes.ts';
import { isJsonObject } from './json.ts';
import { decodeText } from './text.ts';

export type ManifestFormat = 'csv' | 'tsv' | 'jsonl' | 'folders';

export interface ManifestRow {
  /** Where it stands: the 1-based line of the file (the first one, if the row spans several), or the 1-based index of a file in a folder. */
  row: number;
  /** A value for every column; empty where the row has none. */
  values: Record<string, string>;
}

/** A table of audio files as it was written: nothing in it has been looked up yet. */
export interface Manifest {
  /** Absolute path of the file or folder. */
  path: string;
  format: ManifestFormat;
  columns: string[];
  rows: ManifestRow[];
  /** Rows that were left out, and why. */
  problems: { row: number; message: string }[];
}

/** Extensions of the audio formats that can be decoded, in lower case. */
export const audioExtensions = ['.wav', '.flac', '.mp3', '.ogg', '.oga', '.opus', '.sph'] as const;

/** Whether a path or file name ends like one of an audio file. */
export function looksLikeAudio(path: string): boolean {
  return (audioExtensions as readonly string[]).includes(extname(path).toLowerCase());
}

const maxManifestBytes = 400 * 1024 * 1024;
const maxColumns = 1000;
const maxFolderDepth = 16;
const maxUnclosedQuotes = 20;

type Table = Omit<Manifest, 'path'>;

/** The separator that the header line has most of, outside quotes; a comma if it has none. */
export function sniffDelimiter(text: string): string {
  const header = (/^[^\n]*\S[^\n]*/m.exec(text)?.[0] ?? '').replace(/"[^"]*"/g, '');
  const count = (delimiter: string) => header.split(delimiter).length - 1;
  return [',', ';', '\t'].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

/** Header names made usable: unnamed columns get a number, repeated ones a second name. */
function columnNames(header: readonly string[]): string[] {
  const names: string[] = [];
  const taken = new Set<string>();
  for (const [index, cell] of header.entries()) {
    const written = cell.trim() || `column ${index + 1}`;
    let name = written;
    for (let copy = 2; taken.has(name); copy++) name = `${written} (${copy})`;
    taken.add(name);
    names.push(name);
  }
  return names;
}

function checkColumns(count: number, name: string): void {
  if (count > maxColumns) {
    throw new ForetuneError('invalid-data', `${name} has ${count} columns, more than a manifest can have (${maxColumns}).`);
  }
}

/** All records of a delimited text with the line each begins on. A quote that is never closed costs its row only. */
function delimitedRecords(text: string, delimiter: string, problems: Manifest['problems']): { row: number; cells: string[] }[] {
  const records: { row: number; cells: string[] }[] = [];
  let rest = text;
  let linesBefore = 0;
  for (let unclosed = 0; ; unclosed++) {
    let linesRead = 0;
    try {
      parse(rest, {
        delimiter,
        // Tab-separated corpora (Common Voice) use bare quotes as text, which would merge rows.
        quote: delimiter === '\t' ? null : '"',
        record_delimiter: '\n',
        relax_column_count: true,
        relax_quotes: true,
        skip_empty_lines: true,
        on_record(cells: string[], context) {
          const innerLines = cells.reduce((lines, cell) => lines + cell.split('\n').length - 1, 0);
          records.push({ row: linesBefore + context.lines - innerLines, cells });
          linesRead = context.lines;
          return null;
        },
      });
      return records;
    } catch (error) {
      if (unclosed >= maxUnclosedQuotes) {
        problems.push({
          row: linesBefore + linesRead + 1,
          message: 'quotes are opened and never closed; the rest of the file was left out',
        });
        return records;
      }
      const { message } = error as Error;
      const lines = rest.split('\n');
      while (linesRead < lines.length && lines[linesRead].trim() === '') linesRead++;
      const why = message.startsWith('Quote Not Closed') ? 'a quote is opened and never closed' : message;
      problems.push({ row: linesBefore + linesRead + 1, message: why });
      rest = lines.slice(linesRead + 1).join('\n');
      linesBefore += linesRead + 1;
    }
  }
}

/** CSV or TSV text with a header line. `name` begins the sentences. Throws `invalid-data`. */
export function parseDelimited(text: string, name: string, delimiter: string): Table {
  const problems: Manifest['problems'] = [];
  const [header, ...records] = delimitedRecords(text, delimiter, problems);
  if (header === undefined) throw new ForetuneError('invalid-data', `${name} has no header line that names its columns.`);
  const columns = columnNames(header.cells);
  checkColumns(columns.length, name);
  const rows: ManifestRow[] = [];
  for (const { row, cells } of records) {
    if (cells.length !== columns.length) {
      problems.push({ row, message: `has ${cells.length} fields where the header has ${columns.length}` });
      continue;
    }
    rows.push({ row, values: Object.fromEntries(columns.map((column, index) => [column, cells[index]])) });
  }
  problems.sort((a, b) => a.row - b.row);
  return { format: delimiter === '\t' ? 'tsv' : 'csv', columns, rows, problems };
}

function cellText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

/** JSON lines (as NeMo writes), or one JSON list of objects. `name` begins the sentences. Throws `invalid-data`. */
export function parseJsonLines(text: string, name: string): Table {
  const problems: Manifest['problems'] = [];
  const objects: { row: number; cells: Map<string, string> }[] = [];
  const columns = new Set<string>();

  const add = (row: number, read: () => unknown) => {
    try {
      const value = read();
      if (!isJsonObject(value)) throw new Error('is no JSON object');
      const cells = new Map(Object.entries(value).map(([column, cell]) => [column, cellText(cell)]));
      objects.push({ row, cells });
      for (const column of cells.keys()) columns.add(column);
    } catch (error) {
      problems.push({ row, message: (error as Error).message });
    }
    checkColumns(columns.size, name);
  };

  if (text.trimStart().startsWith('[')) {
    let list: unknown;
    try {
      list = JSON.parse(text);
    } catch (error) {
      throw new ForetuneError('invalid-data', `${name} is not JSON (${(error as Error).message}).`);
    }
    for (const [index, value] of (list as unknown[]).entries()) add(index + 1, () => value);
  } else {
    for (const [index, line] of text.split('\n').entries()) {
      if (line.trim() !== '') add(index + 1, () => JSON.parse(line) as unknown);
    }
  }
  if (columns.size === 0) {
    throw new ForetuneError(
      'invalid-data',
      `${name} has no row that is a JSON object with a field (${problems.length} other rows).`,
    );
  }
  const rows = objects.map(({ row, cells }) => ({
    row,
    values: Object.fromEntries([...columns].map((column) => [column, cells.get(column) ?? ''])),
  }));
  return { format: 'jsonl', columns: [...columns], rows, problems };
}

/** A manifest's bytes, the format chosen by the name's extension or else by the content. Throws `invalid-data` or `unreadable`. */
export function parseManifest(bytes: Uint8Array, name: string): Table {
  const decoded = decodeText(bytes);
  const text = decoded.text.replace(/\r\n?/g, '\n');
  if (text.includes('\0')) throw new ForetuneError('unreadable', `${name} is no text: byte ${text.indexOf('\0')} is zero.`);
  if (text.trim() === '') throw new ForetuneError('invalid-data', `${name} is empty (${bytes.length} bytes).`);
  const extension = extname(name).toLowerCase();
  const isJson = /^\.(jsonl|ndjson|json)$/.test(extension) || (!/^\.[ct]sv$/.test(extension) && /^\s*\{/.test(text));
  const table = isJson
    ? parseJsonLines(text, name)
    : parseDelimited(text, name, extension === '.tsv' ? '\t' : sniffDelimiter(text));
  if (decoded.guessed) table.problems.unshift({ row: 0, message: 'the file is not UTF-8; it was read as Windows-1252' });
  return table;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** A folder whose sub-folders are the classes: columns `path` (relative to it, with /) and `label`. */
async function readFolders(folder: string): Promise<Table> {
  const rows: ManifestRow[] = [];
  const problems: Manifest['problems'] = [];
  const visited = new Set<string>();
  const visit = async (inside: readonly string[]) => {
    // Folders may be linked (corpora often are), also to one that holds them.
    const real = await realpath(join(folder, ...inside));
    if (visited.has(real) || inside.length > maxFolderDepth) return;
    visited.add(real);
    const entries = await readdir(join(folder, ...inside), { withFileTypes: true });
    // Compared by code unit, so that the order is the same on every machine.
    entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const parts = [...inside, entry.name];
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(folder, ...parts))))) {
        await visit(parts);
      } else if (looksLikeAudio(entry.name)) {
        const path = parts.join('/');
        const row = rows.length + problems.length + 1;
        if (inside.length === 0) problems.push({ row, message: `${path} lies in no class folder` });
        else rows.push({ row, values: { path, label: inside[0] } });
      }
    }
  };
  try {
    await visit([]);
  } catch (error) {
    throw new ForetuneError('unreadable', `${folder} cannot be listed: ${toErrorValue(error).message}.`, { cause: error });
  }
  if (rows.length === 0) {
    throw new ForetuneError(
      'not-found',
      `${folder} has no class folders with audio files (${audioExtensions.join(' ')}): give a manifest, or a folder with one sub-folder for each class.`,
    );
  }
  return { format: 'folders', columns: ['path', 'label'], rows, problems };
}

/**
 * Reads a table of audio files: CSV (comma or semicolon), TSV (Common Voice), JSON lines (NeMo), or a folder of class folders.
 * A row that cannot be understood becomes a problem.
 * Throws `not-found`, `unreadable`, or `invalid-data` for a file that is empty, has no header or is too large.
 */
export async function readManifest(path: string): Promise<Manifest> {
  const absolute = resolve(path);
  if (await isFolder(absolute)) return { path: absolute, ...(await readFolders(absolute)) };
  const source = await openFile(absolute);
  try {
    if (source.size > maxManifestBytes) {
      throw new ForetuneError(
        'invalid-data',
        `${absolute} has ${source.size} bytes, more than a manifest can have (${maxManifestBytes}).`,
      );
    }
    return { path: absolute, ...parseManifest(await source.read(0, source.size), absolute) };
  } finally {
    await source.close();
  }
}
