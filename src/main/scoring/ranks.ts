/** Ranks from 1, ascending; equal values share the mean of their ranks. */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const order = Float64Array.from({ length: n }, (_, i) => i).sort((a, b) => values[a] - values[b]);
  const ranks = new Float64Array(n);
  for (let from = 0; from < n;) {
    let to = from + 1;
    while (to < n && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) ranks[order[i]] = 0.5 * (from + to + 1);
    from = to;
  }
  return ranks;
}

/** Pearson's correlation; NaN where one side is constant. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = x.length;
  let meanX = 0;
  let meanY = 0;
  for (let i = 0; i < n; i++) {
    meanX += x[i] / n;
    meanY += y[i] / n;
  }
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    const [a, b] = [x[i] - meanX, y[i] - meanY];
    xx += a * a;
    yy += b * b;
    xy += a * b;
  }
  return xx > 0 && yy > 0 ? Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy))) : NaN;
}

/**
 * Spearman's correlation of values with a property that each has or has not: the same as of average ranks of both, from one sort of
 * plain numbers and the ranks of those without the property. NaN where one side is constant. Meant for millions of values.
 */
export function spearmanWithProperty(values: Float64Array, has: ArrayLike<number>): number {
  const n = values.length;
  const sorted = values.slice().sort();
  /** Sum of t^3 - t over runs of t equal values (Kendall, Rank Correlation Methods, section 3.7). */
  let ties = 0;
  const rankOf = new Map<number, number>();
  for (let from = 0; from < n;) {
    let to = from + 1;
    while (to < n && sorted[to] === sorted[from]) to++;
    if (to - from > 1) {
      ties += (to - from) ** 3 - (to - from);
      rankOf.set(sorted[from], 0.5 * (from + to + 1));
    }
    from = to;
  }
  const mean = 0.5 * (n + 1);
  let without = 0;
  let below = 0;
  for (let i = 0; i < n; i++) {
    if (has[i]) continue;
    without++;
    below += mean - (rankOf.get(values[i]) ?? placeOf(sorted, values[i]) + 1);
  }
  const spread = (n ** 3 - n - ties) / 12;
  const binary = without * (n - without);
  return spread > 0 && binary > 0 ? Math.max(-1, Math.min(1, below / Math.sqrt((spread * binary) / n))) : NaN;
}

/** Index of a value in ascending numbers that hold it once. */
function placeOf(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
