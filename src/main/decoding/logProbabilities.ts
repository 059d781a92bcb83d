import { ForetuneError } from '#shared/errors.ts';

/** ln(e^a + e^b) without overflow; -Infinity stands for a probability of zero. */
export function logAdd(a: number, b: number): number {
  if (a < b) [a, b] = [b, a];
  return b === -Infinity ? a : a + Math.log1p(Math.exp(b - a));
}

/**
 * Log-softmax of every row, in float64.
 * @param logits rows x columns, row-major
 * @throws ForetuneError `invalid-data` for values that are not finite.
 */
export function logSoftmax(logits: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let most = -Infinity;
    for (let i = start; i < start + columns; i++) most = Math.max(most, logits[i]);
    let sum = 0;
    for (let i = start; i < start + columns; i++) sum += Math.exp(logits[i] - most);
    const norm = most + Math.log(sum);
    if (!Number.isFinite(norm))
      throw new ForetuneError('invalid-data', `The logits of frame ${row} are not finite; the model overflows on this audio.`);
    for (let i = start; i < start + columns; i++) result[i] = logits[i] - norm;
  }
  return result;
}
