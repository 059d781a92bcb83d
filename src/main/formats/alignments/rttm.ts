import { ForetuneError } from '#shared/errors.ts';

import { AlignmentTable, checkedIntervals, cutOverlaps, type Interval } from './alignment.ts';
import { fieldsOfLines, timeOf } from './lines.ts';

/**
 * An RTTM file (NIST): `SPEAKER file channel start duration <NA> <NA> speaker ...` a line; other types of line are passed over. The
 * label is the speaker. Where several speak there is no single label: that time is cut out, and said.
 *
 * @throws ForetuneError `corrupt` for a line that is none (with its number), `invalid-data` for a turn that runs backwards
 */
export function parseRttm(bytes: Uint8Array, name: string): AlignmentTable {
  const files = new Map<string, Interval[]>();
  for (const { line, fields } of fieldsOfLines(bytes, name)) {
    if (fields[0] !== 'SPEAKER') {
      if (/^[A-Z][A-Z_/-]*$/.test(fields[0])) continue;
      throw new ForetuneError('corrupt', `${name}, line ${line} begins with none of the types of RTTM, such as SPEAKER.`);
    }
    if (fields.length < 8) {
      throw new ForetuneError(
        'corrupt',
        `${name}, line ${line} has ${fields.length} fields; a SPEAKER line has at least 8, the speaker's name last.`,
      );
    }
    const start = timeOf(fields[3], 'start', name, line);
    const duration = timeOf(fields[4], 'duration', name, line);
    const [turn] = checkedIntervals([{ start, end: start + duration, label: fields[7] }], `${name}, line ${line}`);
    const turns = files.get(fields[1]) ?? [];
    files.set(fields[1], turns);
    turns.push(turn);
  }
  const table = new AlignmentTable();
  for (const [file, turns] of files) {
    const { intervals, overlapSeconds } = cutOverlaps(turns);
    const notes =
      overlapSeconds > 0 ? [`${overlapSeconds.toFixed(2)} s in which several speak have no single label and are left out`] : [];
    table.add(file, () => ({ tiers: [{ name: '', kind: 'intervals', intervals }], notes }));
  }
  return table;
}
