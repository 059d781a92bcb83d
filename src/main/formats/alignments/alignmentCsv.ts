import { ForetuneError } from '#shared/errors.ts';

import { parseDelimited, sniffDelimiter } from '../manifest.ts';
import { decodeText } from '../text.ts';
import { AlignmentTable, checkedIntervals, type Interval, type Tier } from './alignment.ts';
import { timeOf } from './lines.ts';

/** Names under which each column is found, in lower case: ours first, then those of the Montreal Forced Aligner, Praat and pandas users. */
const spellings = {
  file: ['file', 'filename', 'file_name', 'path', 'audio', 'utterance', 'id'],
  start: ['start', 'begin', 'start_s', 'start_time', 'xmin', 'tmin', 'onset'],
  end: ['end', 'stop', 'end_s', 'end_time', 'xmax', 'tmax', 'offset'],
  label: ['label', 'text', 'phone', 'word', 'token'],
  tier: ['tier', 'type'],
} as const;

/**
 * A table with a header line and the columns `file`, `start`, `end`, `label` (seconds) and, where there are several, `tier`; commas,
 * semicolons or tabs. Without `file` it is that of one audio file, under the name "".
 *
 * @throws ForetuneError `invalid-data` for a missing column, `corrupt` for a row that cannot be read, with its line; for overlaps,
 *   `invalid-data` when the file is asked for
 */
export function parseAlignmentCsv(bytes: Uint8Array, name: string): AlignmentTable {
  const { text: written } = decodeText(bytes);
  const text = written.replace(/\r\n?/g, '\n');
  if (text.includes('\0')) throw new ForetuneError('unreadable', `${name} is no text: byte ${text.indexOf('\0')} is zero.`);
  const { columns, rows, problems } = parseDelimited(text, name, sniffDelimiter(text));
  const [bad] = problems;
  if (bad !== undefined) throw new ForetuneError('corrupt', `${name}, line ${bad.row}: ${bad.message}.`);
  const column = (what: keyof typeof spellings) =>
    spellings[what]
      .map((spelling) => columns.find((given) => given.toLowerCase() === spelling))
      .find((found) => found !== undefined);
  const [file, start, end, label, tier] = [column('file'), column('start'), column('end'), column('label'), column('tier')];
  if (start === undefined || end === undefined || label === undefined) {
    const missing = [start === undefined && 'start', end === undefined && 'end', label === undefined && 'label'].filter(Boolean);
    throw new ForetuneError(
      'invalid-data',
      `${name} has no column ${missing.join(', ')}; an alignment table has file, start, end and label, and this one has ${columns.slice(0, 20).join(', ')}.`,
    );
  }
  const files = new Map<string, Map<string, Interval[]>>();
  for (const { row, values } of rows) {
    const of = file === undefined ? '' : values[file].trim();
    const tiers = files.get(of) ?? new Map<string, Interval[]>();
    files.set(of, tiers);
    const inTier = tier === undefined ? '' : values[tier].trim();
    const intervals = tiers.get(inTier) ?? [];
    tiers.set(inTier, intervals);
    intervals.push({
      start: timeOf(values[start], 'start', name, row),
      end: timeOf(values[end], 'end', name, row),
      label: values[label].trim(),
    });
  }
  const table = new AlignmentTable();
  for (const [of, tiers] of files) {
    const where = of === '' ? name : `${name}, file ${of}`;
    table.add(of, () => ({
      tiers: [...tiers].map(([tierName, intervals]): Tier => ({
        name: tierName,
        kind: 'intervals',
        intervals: checkedIntervals(intervals, tiers.size > 1 ? `${where}, tier "${tierName}"` : where),
      })),
      notes: [],
    }));
  }
  return table;
}
