import { type Interval, type Tier } from './alignment.ts';

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const seconds = (value: number): string => String(Number(value.toFixed(6)));

/** Intervals with the empty ones that Praat wants between them. */
function filled(intervals: readonly Interval[], end: number): Interval[] {
  const all: Interval[] = [];
  let at = 0;
  for (const interval of intervals) {
    if (interval.start > at) all.push({ start: at, end: interval.start, label: '' });
    all.push(interval);
    at = interval.end;
  }
  if (at < end || all.length === 0) all.push({ start: at, end, label: '' });
  return all;
}

/**
 * A Praat TextGrid in its long form, as Praat itself writes it (UTF-8).
 *
 * @param tiers of intervals, ascending and without overlaps
 * @param length of the audio, in seconds
 */
export function textGridText(tiers: readonly Pick<Tier, 'name' | 'intervals'>[], length: number): string {
  const end = Math.max(length, ...tiers.map(({ intervals }) => intervals.at(-1)?.end ?? 0));
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', '', 'xmin = 0', `xmax = ${seconds(end)}`];
  lines.push('tiers? <exists>', `size = ${tiers.length}`, 'item []:');
  for (const [t, { name, intervals }] of tiers.entries()) {
    const items = filled(intervals, end);
    lines.push(`    item [${t + 1}]:`, '        class = "IntervalTier"', `        name = ${quote(name)}`);
    lines.push('        xmin = 0', `        xmax = ${seconds(end)}`, `        intervals: size = ${items.length}`);
    for (const [i, item] of items.entries()) {
      lines.push(`        intervals [${i + 1}]:`, `            xmin = ${seconds(item.start)}`);
      lines.push(`            xmax = ${seconds(item.end)}`, `            text = ${quote(item.label)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
