import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

export interface PrincipalComponents {
  /** [n, count] row-major: the centred rows in the basis of the leading components. */
  scores: Float64Array;
  count: number;
  /** Variances along them over n - 1, descending. */
  variances: Float64Array;
}

/**
 * Principal components of centred rows, through the covariance (d x d) or the kernel of the rows (n x n), whichever is smaller.
 * The sign of a component is such that its largest loading is positive: some uses, such as correlating rows, depend on signs.
 *
 * @param rows [n, d] row-major, columns of mean zero
 * @param keep how many components: a number, or the least that hold more than a share of the variance
 */
export function principalComponents(
  rows: Float64Array,
  n: number,
  d: number,
  keep: { count: number } | { share: number },
): PrincipalComponents {
  const x = new Matrix(Array.from({ length: n }, (_, r) => rows.subarray(r * d, (r + 1) * d)));
  const wide = n < d;
  const square = wide ? x.mmul(x.transpose()) : x.transpose().mmul(x);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(square, { assumeSymmetric: true });
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const floor = Math.max(n, d) * Number.EPSILON * realEigenvalues[order[0]];
  const kept = order.filter((i) => realEigenvalues[i] > floor);
  const count =
    'count' in keep
      ? Math.min(keep.count, kept.length)
      : leastForShare(
          kept.map((i) => realEigenvalues[i]),
          keep.share,
        );
  const scores = new Float64Array(n * count);
  for (let q = 0; q < count; q++) {
    const vector = eigenvectorMatrix.getColumn(order[q]);
    const loadings = wide ? transposeTimes(rows, n, d, vector) : vector;
    const column = wide ? vector.map((value) => value * Math.sqrt(realEigenvalues[order[q]])) : times(rows, n, d, vector);
    const sign = signOfLargest(loadings);
    for (let r = 0; r < n; r++) scores[r * count + q] = sign * column[r];
  }
  return { scores, count, variances: Float64Array.from(kept.slice(0, count), (i) => realEigenvalues[i] / (n - 1)) };
}

function times(rows: Float64Array, n: number, d: number, vector: ArrayLike<number>): Float64Array {
  const product = new Float64Array(n);
  for (let r = 0; r < n; r++) for (let c = 0; c < d; c++) product[r] += rows[r * d + c] * vector[c];
  return product;
}

function transposeTimes(rows: Float64Array, n: number, d: number, vector: ArrayLike<number>): Float64Array {
  const product = new Float64Array(d);
  for (let r = 0; r < n; r++) for (let c = 0; c < d; c++) product[c] += rows[r * d + c] * vector[r];
  return product;
}

function signOfLargest(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]) > Math.abs(largest)) largest = values[i];
  return largest < 0 ? -1 : 1;
}

function leastForShare(variances: number[], share: number): number {
  const total = variances.reduce((sum, value) => sum + value, 0);
  let held = 0;
  const last = variances.findIndex((value) => (held += value) > share * total);
  return last < 0 ? variances.length : last + 1;
}
