import { mkdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import { stringify } from 'csv-stringify/sync';

import { textGridText } from '#main/formats/alignments/writeTextGrid.ts';
import { type ScoredTier } from '#main/tasks/alignTokens.ts';
import { ForetuneError } from '#shared/errors.ts';

import { writeWhole } from './writeWhole.ts';

/** What was aligned of one audio file, in seconds from its beginning. */
export interface AlignedFile {
  /** As the manifest writes it. */
  file: string;
  seconds: number;
  tiers: ScoredTier[];
}

/** The table that `--alignments` reads: a row for every interval of every tier, with its probability. */
export function alignmentsCsv(files: readonly AlignedFile[]): string {
  const rows = files.flatMap(({ file, tiers }) =>
    tiers.flatMap(({ name, intervals }) =>
      intervals.map(({ start, end, label, probability }) => [
        file,
        start.toFixed(4),
        end.toFixed(4),
        label,
        name,
        probability.toFixed(4),
      ]),
    ),
  );
  // Labels are data for programs: a hyphen that is aligned must stay one.
  return stringify(rows, { header: true, columns: ['file', 'start', 'end', 'label', 'tier', 'probability'] });
}

/** Names of TextGrids: the audio files' stems, which must differ. */
function gridNames(files: readonly AlignedFile[]): string[] {
  const seen = new Map<string, string>();
  return files.map(({ file }) => {
    const name = `${basename(file, extname(file))}.TextGrid`;
    const other = seen.get(name);
    if (other !== undefined)
      throw new ForetuneError('mismatch', `${other} and ${file} would both be written to ${name}; write one CSV file instead.`);
    seen.set(name, file);
    return name;
  });
}

/** Writes one CSV file, or a TextGrid for each audio file into a folder that need not be there. Gives what was written. */
export async function writeAlignments(out: string, files: readonly AlignedFile[]): Promise<string[]> {
  if (extname(out).toLowerCase() === '.csv') {
    await writeWhole(out, alignmentsCsv(files));
    return [out];
  }
  const names = gridNames(files);
  await mkdir(out, { recursive: true });
  const written: string[] = [];
  for (const [i, { tiers, seconds }] of files.entries()) {
    const path = join(out, names[i]);
    await writeWhole(path, textGridText(tiers, seconds));
    written.push(path);
  }
  return written;
}
