import { type MeasureAxis } from './axis.ts';

export interface DotPlotRow {
  id: string;
  label: string;
  value: number;
  /** Another number for the same thing, such as one printed in a paper, where it differs. */
  other: number | null;
  /** Those to look at first. */
  emphasis: boolean;
}

/** Named numbers on one scale, a row each: what it shows, not how it is drawn. */
export interface DotPlotFigure {
  kind: 'dot-plot';
  title: string;
  subtitle: string;
  rowName: string;
  score: MeasureAxis;
  /** What the hollow marks of `other` are; empty where there are none. */
  otherName: string;
  rows: readonly DotPlotRow[];
}

/** Ends of the scale: all numbers with some room on both sides. */
export function dotPlotRange(rows: readonly Pick<DotPlotRow, 'value' | 'other'>[]): [low: number, high: number] {
  const values = rows.flatMap(({ value, other }) => (other === null ? [value] : [value, other]));
  if (values.length === 0) return [0, 1];
  const low = values.reduce((least, value) => Math.min(least, value));
  const high = values.reduce((most, value) => Math.max(most, value));
  const room = high > low ? (high - low) * 0.04 : Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}
