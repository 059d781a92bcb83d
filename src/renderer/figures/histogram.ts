import { niceTicks } from '#shared/figures/ticks.ts';

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
