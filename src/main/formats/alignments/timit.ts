import { ForetuneError } from '#shared/errors.ts';

import { checkedIntervals, type FileAlignment } from './alignment.ts';
import { fieldsOfLines, timeOf } from './lines.ts';

/** Sample numbers of TIMIT count at this rate. */
const timitRate = 16_000;

/**
 * A `.PHN` or `.WRD` file of TIMIT: first sample, sample after the last one and label, a line each, at 16 kHz.
 *
 * @param tier what to call it: `phones` or `words`
 * @throws ForetuneError `corrupt` for a line that is none (with its number), `invalid-data` for overlaps
 */
export function parseTimit(bytes: Uint8Array, name: string, tier: string): FileAlignment {
  const intervals = [];
  for (const { line, fields } of fieldsOfLines(bytes, name)) {
    if (fields.length !== 3) {
      throw new ForetuneError(
        'corrupt',
        `${name}, line ${line} has ${fields.length} fields; a line has a first sample, an end and a label.`,
      );
    }
    const [start, end] = [timeOf(fields[0], 'first sample', name, line), timeOf(fields[1], 'end', name, line)];
    intervals.push({ start: start / timitRate, end: end / timitRate, label: fields[2] });
  }
  return { tiers: [{ name: tier, kind: 'intervals', intervals: checkedIntervals(intervals, name) }], notes: [] };
}
