import { stringify } from 'csv-stringify/sync';

import { speedColumns, type SpeedRow } from '#shared/speed.ts';

import { csvOptions } from './csv.ts';
import { writeWhole } from './writeWhole.ts';

/** The settings of a sweep: the columns of `foretune speed`, a row per setting. */
export function speedCsv(rows: readonly SpeedRow[]): string {
  return stringify(
    rows.map((row) => speedColumns.map((column) => row[column])),
    { ...csvOptions, columns: [...speedColumns] },
  );
}

/** Writes the table of settings to a file. Throws `no-space`, `not-found` or `unreadable`. */
export async function writeSpeedCsv(path: string, rows: readonly SpeedRow[]): Promise<void> {
  await writeWhole(path, speedCsv(rows));
}
