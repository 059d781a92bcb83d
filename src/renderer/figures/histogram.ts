import { type DotPlotFigure } from '#shared/figures/dotPlot.ts';
import { formatNumber, niceTicks, tickDecimals } from '#shared/figures/ticks.ts';

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** Counts of values in even bins with round edges, about `wanted` of them. */
export function histogram(values: readonly number[], wanted = 20): Bin[] {
  if (values.length === 0) return [];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (low === high) return [{ from: low, to: high, count: values.length }];
  const ticks = niceTicks(low, high, wanted);
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : high - low;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const edge = (i: number): number => Number(((first + i) * step).toPrecision(12));
  const bins = Array.from({ length: last - first }, (_, i): Bin => ({ from: edge(i), to: edge(i + 1), count: 0 }));
  for (const value of values) bins[Math.min(bins.length - 1, Math.max(0, Math.floor(value / step - first + 1e-9)))].count++;
  return bins;
}

/** Counts of named things (classes, or bins of a histogram) as every report draws named numbers. */
export function countsFigure(title: string, rowName: string, rows: readonly { name: string; value: number }[]): DotPlotFigure {
  return {
    kind: 'dot-plot',
    title,
    subtitle: '',
    rowName,
    score: { name: 'utterances', unit: '', higherIsBetter: null },
    otherName: '',
    rows: rows.map(({ name, value }) => ({ id: name, label: name, value, other: null, emphasis: false })),
  };
}

/** A histogram in the same form, a row for each bin. */
export function binsFigure(title: string, unit: string, values: readonly number[]): DotPlotFigure {
  const bins = histogram(values);
  const decimals = bins.length < 2 ? 2 : tickDecimals(bins.map(({ from }) => from));
  const end = unit === '' ? '' : ` ${unit}`;
  return countsFigure(
    title,
    unit === '' ? 'value' : unit,
    bins.map(({ from, to, count }) => ({
      name: `${formatNumber(from, decimals)} to ${formatNumber(to, decimals)}${end}`,
      value: count,
    })),
  );
}
