import { ForetuneError } from '#shared/errors.ts';

/** What is taken off each dimension, and what it is divided by. */
export interface Standardisation {
  /** [d] */
  mean: Float64Array;
  /** [d] standard deviation; 1 where a dimension is constant, so that it becomes zero. */
  scale: Float64Array;
}

/** Mean and deviation of each dimension from rows that come a block at a time; sums in float64, shifted by the first row. */
export class RowMoments {
  private readonly d: number;
  private shift: Float64Array | undefined;
  private readonly sums: Float64Array;
  private readonly squares: Float64Array;
  private n = 0;

  constructor(d: number) {
    this.d = d;
    this.sums = new Float64Array(d);
    this.squares = new Float64Array(d);
  }

  /** @param values [rows, d] */
  add(values: Float32Array, rows: number): void {
    const { d, sums, squares } = this;
    if (rows === 0) return;
    const shift = (this.shift ??= Float64Array.from(values.subarray(0, d)));
    for (let r = 0, e = 0; r < rows; r++) {
      for (let j = 0; j < d; j++, e++) {
        const x = values[e] - shift[j];
        sums[j] += x;
        squares[j] += x * x;
      }
    }
    this.n += rows;
  }

  /** @throws ForetuneError `invalid-data` for features that are not finite */
  standardisation(): Standardisation {
    const { d, n, sums, squares, shift } = this;
    const mean = new Float64Array(d);
    const scale = new Float64Array(d).fill(1);
    if (n === 0 || !shift) return { mean, scale };
    for (let j = 0; j < d; j++) {
      const centre = sums[j] / n;
      mean[j] = shift[j] + centre;
      const variance = squares[j] / n - centre * centre;
      if (!Number.isFinite(mean[j]) || !Number.isFinite(variance))
        throw new ForetuneError(
          'invalid-data',
          `Dimension ${j} of the features is not finite; the model overflows on this audio.`,
        );
      // Constant but for rounding: its noise must not be blown up.
      if (variance > 1e-12 * (squares[j] / n) && variance > 0) scale[j] = Math.sqrt(variance);
    }
    return { mean, scale };
  }
}

/** (x - mean) / scale of every row, in place; float32 in, float32 out. */
export function standardiseRows(values: Float32Array, rows: number, { mean, scale }: Standardisation): void {
  const d = mean.length;
  for (let r = 0, e = 0; r < rows; r++) for (let j = 0; j < d; j++, e++) values[e] = (values[e] - mean[j]) / scale[j];
}

/** Layer norm without affine over the dimensions of each row, in place: s3prl's `--upstream_feature_normalize` (torch, epsilon 1e-5). */
export function layerNormRows(values: Float32Array, rows: number, d: number): void {
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * d, (r + 1) * d);
    let sum = 0;
    for (let j = 0; j < d; j++) sum += row[j];
    const mean = sum / d;
    let square = 0;
    for (let j = 0; j < d; j++) square += (row[j] - mean) ** 2;
    const scale = 1 / Math.sqrt(square / d + 1e-5);
    for (let j = 0; j < d; j++) row[j] = (row[j] - mean) * scale;
  }
}
