import { ForetuneError } from '#shared/errors.ts';

/**
 * Cholesky factor U of A = U'U, in place (Golub & Van Loan, section 4.2), d^3/3 operations on contiguous rows.
 *
 * @param packed upper triangle of a positive definite matrix, row-major, d(d+1)/2
 * @throws ForetuneError `invalid-data` where a pivot is not positive
 */
export function choleskyInPlace(packed: Float64Array, d: number): void {
  let row = 0;
  for (let k = 0; k < d; k++) {
    const pivot = packed[row];
    if (!(pivot > 0))
      throw new ForetuneError('invalid-data', `A matrix of order ${d} is not positive definite: pivot ${k} is ${pivot}.`);
    const scale = 1 / Math.sqrt(pivot);
    const length = d - k;
    for (let c = 0; c < length; c++) packed[row + c] *= scale;
    let below = row + length;
    for (let j = 1; j < length; j++) {
      const factor = packed[row + j];
      const rest = length - j;
      if (factor !== 0) for (let c = 0; c < rest; c++) packed[below + c] -= factor * packed[row + j + c];
      below += rest;
    }
    row += length;
  }
}

/** ln det A of a positive definite matrix, given as packed upper triangle, which is overwritten. */
export function logDeterminant(packed: Float64Array, d: number): number {
  choleskyInPlace(packed, d);
  let sum = 0;
  for (let k = 0, row = 0; k < d; row += d - k, k++) sum += 2 * Math.log(packed[row]);
  return sum;
}

/** x = A^-1 b from the packed factor U of A = U'U. */
export function choleskySolve(factor: Float64Array, d: number, b: Float64Array): Float64Array {
  const x = Float64Array.from(b);
  for (let k = 0, row = 0; k < d; row += d - k, k++) {
    x[k] /= factor[row];
    for (let c = 1; c < d - k; c++) x[k + c] -= factor[row + c] * x[k];
  }
  for (let k = d - 1, row = factor.length - 1; k >= 0; k--, row -= d - k) {
    let sum = x[k];
    for (let c = 1; c < d - k; c++) sum -= factor[row + c] * x[k + c];
    x[k] = sum / factor[row];
  }
  return x;
}
