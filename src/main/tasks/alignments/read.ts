import { basename, extname } from 'node:path';

import { type AlignmentTable, type FileAlignment } from '#main/formats/alignments/alignment.ts';
import { parseAlignmentCsv } from '#main/formats/alignments/alignmentCsv.ts';
import { parseCtm } from '#main/formats/alignments/ctm.ts';
import { parseRttm } from '#main/formats/alignments/rttm.ts';
import { looksLikeTextGrid, parseTextGrid } from '#main/formats/alignments/textGrid.ts';
import { parseTimit } from '#main/formats/alignments/timit.ts';
import { openFile } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

export type AlignmentFormat = 'TextGrid' | 'TIMIT' | 'CTM' | 'RTTM' | 'CSV';

/** Extensions of alignment files in lower case, in the order in which they are preferred where one recording has several. */
export const alignmentExtensions: Readonly<Record<string, AlignmentFormat>> = {
  '.textgrid': 'TextGrid',
  '.phn': 'TIMIT',
  '.wrd': 'TIMIT',
  '.ctm': 'CTM',
  '.rttm': 'RTTM',
  '.csv': 'CSV',
  '.tsv': 'CSV',
};

/** What a file holds: one recording's alignment, or those of several by the names it gives them. */
export type AlignmentFile =
  | { format: AlignmentFormat; kind: 'one'; alignment: FileAlignment }
  | { format: AlignmentFormat; kind: 'table'; table: AlignmentTable };

const maxBytes = { one: 64 * 2 ** 20, table: 512 * 2 ** 20 };

/**
 * Bytes of an alignment, the format told by the content (TextGrid) or the name's extension.
 *
 * @throws ForetuneError what the format's parser throws, `unsupported` for any other file
 */
export function parseAlignment(bytes: Uint8Array, name: string): AlignmentFile {
  const extension = extname(name).toLowerCase();
  const format = looksLikeTextGrid(bytes) ? 'TextGrid' : (alignmentExtensions[extension] as AlignmentFormat | undefined);
  switch (format) {
    case 'TextGrid':
      return { format, kind: 'one', alignment: parseTextGrid(bytes, name) };
    case 'TIMIT':
      return { format, kind: 'one', alignment: parseTimit(bytes, name, extension === '.wrd' ? 'words' : 'phones') };
    case 'CTM':
      return { format, kind: 'table', table: parseCtm(bytes, name) };
    case 'RTTM':
      return { format, kind: 'table', table: parseRttm(bytes, name) };
    case 'CSV':
      return { format, kind: 'table', table: parseAlignmentCsv(bytes, name) };
    case undefined:
      throw new ForetuneError(
        'unsupported',
        `${name} is no alignment that is known: give a Praat TextGrid, or a file that ends in ${Object.keys(alignmentExtensions).slice(1).join(', ')}.`,
      );
  }
}

/** Reads an alignment file. Throws `not-found`, `unreadable`, `invalid-data` for one that is too large, and what `parseAlignment` does. */
export async function readAlignment(path: string): Promise<AlignmentFile & { bytes: Uint8Array }> {
  const source = await openFile(path);
  try {
    const format = alignmentExtensions[extname(path).toLowerCase()] as AlignmentFormat | undefined;
    const most = format === 'CTM' || format === 'RTTM' || format === 'CSV' ? maxBytes.table : maxBytes.one;
    if (source.size > most)
      throw new ForetuneError(
        'invalid-data',
        `${path} has ${source.size} bytes, more than an alignment of its kind can have (${most}).`,
      );
    const bytes = await source.read(0, source.size);
    return { ...parseAlignment(bytes, path), bytes };
  } finally {
    await source.close();
  }
}

/** Names under which a table may know a recording, most precise first: its path as written, its file name, its stem. */
export function recordingNames(written: string): string[] {
  const path = written.replaceAll('\\', '/').replace(/^\.\//, '');
  const stem = (file: string) => file.slice(0, file.length - extname(file).length);
  return [...new Set([path, stem(path), basename(path), stem(basename(path))])];
}

/** What a table says of a recording, and under which name; undefined where it says nothing. */
export function inTable(table: AlignmentTable, written: string): { name: string; alignment: FileAlignment } | undefined {
  for (const name of recordingNames(written)) {
    const alignment = table.get(name);
    if (alignment) return { name, alignment };
  }
  return undefined;
}

/**
 * The one alignment of a file that belongs to one recording: a table may name it as it likes.
 *
 * @throws ForetuneError `mismatch` for a table of several recordings of which none is this one
 */
export function alignmentOfOne(file: AlignmentFile, path: string, written: string): FileAlignment {
  if (file.kind === 'one') return file.alignment;
  const found = inTable(file.table, written);
  if (found) return found.alignment;
  const { names } = file.table;
  if (names.length === 1) return file.table.get(names[0])!;
  const some = names.slice(0, 3).join(', ');
  throw new ForetuneError(
    'mismatch',
    `${path} says nothing of ${written}; it holds ${names.length} recordings${some === '' ? '' : ` (${some}, ...)`}.`,
  );
}

/** Both files of a recording (`.PHN` and `.WRD`) as one. */
export function joined(parts: readonly FileAlignment[]): FileAlignment {
  if (parts.length === 1) return parts[0];
  return { tiers: parts.flatMap(({ tiers }) => tiers), notes: parts.flatMap(({ notes }) => notes) };
}
