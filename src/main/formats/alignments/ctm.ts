import { ForetuneError } from '#shared/errors.ts';

import { AlignmentTable, checkedIntervals, type Interval } from './alignment.ts';
import { fieldsOfLines, timeOf } from './lines.ts';

/** Times are written to a hundredth of a second, so that start + duration can reach that far into the next interval. */
const rounding = 0.01;

/**
 * A CTM file (NIST): `file channel start duration token [confidence ...]` a line, `;;` for comments. Channels are not told apart, as
 * audio is mixed to one.
 *
 * @throws ForetuneError `corrupt` for a line that is none (with its number); for overlaps, `invalid-data` when the file is asked for
 */
export function parseCtm(bytes: Uint8Array, name: string): AlignmentTable {
  const files = new Map<string, Interval[]>();
  for (const { line, fields } of fieldsOfLines(bytes, name)) {
    if (fields.length < 5) {
      throw new ForetuneError(
        'corrupt',
        `${name}, line ${line} has ${fields.length} fields; a CTM line has file, channel, start, duration and token.`,
      );
    }
    const [file, , start, duration, label] = fields;
    const from = timeOf(start, 'start', name, line);
    const length = timeOf(duration, 'duration', name, line);
    if (length < 0) throw new ForetuneError('corrupt', `${name}, line ${line}: the duration is ${length} s, below 0.`);
    const intervals = files.get(file) ?? [];
    files.set(file, intervals);
    intervals.push({ start: from, end: from + length, label });
  }
  const table = new AlignmentTable();
  for (const [file, intervals] of files) {
    table.add(file, () => ({
      tiers: [{ name: '', kind: 'intervals', intervals: checkedIntervals(intervals, `${name}, file ${file}`, rounding) }],
      notes: [],
    }));
  }
  return table;
}
