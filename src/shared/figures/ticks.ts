/** A spread below this has no power of ten beneath it that a double can hold. */
const nothing = 1e-300;

/** Even tick values 1, 2 or 5 times a power of ten apart, inside [low, high], about `count` of them. Ends that are as good as equal give that one value. */
export function niceTicks(low: number, high: number, count = 5): number[] {
  // Closer than this, ticks would differ only in digits that nobody can read.
  if (!(high - low > Math.max(nothing, 1e-10 * Math.max(Math.abs(low), Math.abs(high))))) return [low];
  const rough = (high - low) / Math.max(1, count);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  // The factor nearest to the wish by ratio: between 1 and 2 the border is sqrt(2), and so on.
  const wish = rough / magnitude;
  const step = magnitude * (wish < Math.SQRT2 ? 1 : wish < Math.sqrt(10) ? 2 : wish < Math.sqrt(50) ? 5 : 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // From whole numbers of steps, so that 0.1 + 0.2 never shows; + 0 turns -0 into 0.
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(14)) + 0);
}

/** Decimals that tell values apart whose whole spread is `spread`: three figures of it. */
export function decimalsFor(spread: number): number {
  if (!(spread > 0) || !Number.isFinite(spread)) return 3;
  return Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(spread))));
}

/** Decimals that `ticks` need to be told apart. */
export function tickDecimals(ticks: readonly number[]): number {
  for (let decimals = 0; decimals < 9; decimals++) {
    if (ticks.every((tick) => Math.abs(Number(tick.toFixed(decimals)) - tick) <= Math.abs(tick) * 1e-9)) return decimals;
  }
  return 9;
}

/** A number for people: fixed decimals, a real minus sign, powers of ten where fixed decimals would be long or lose it. */
export function formatNumber(value: number, decimals: number): string {
  const size = Math.abs(value);
  const text = size >= 1e7 || (size > 0 && decimals > 6) ? value.toExponential(3) : value.toFixed(decimals);
  return (/^-0(\.0*)?$/.test(text) ? text.slice(1) : text).replaceAll('-', '−');
}

/** How many of evenly wide columns one label may take so that labels of `width` do not touch: 1, 2, 5, 10, ... */
export function labelStep(width: number, columnWidth: number): number {
  for (let magnitude = 1; ; magnitude *= 10) {
    const step = [1, 2, 5].map((factor) => factor * magnitude).find((candidate) => candidate * columnWidth >= width);
    if (step !== undefined) return step;
    if (!(columnWidth > 0)) return 1;
  }
}
