import { ForetuneError } from '#shared/errors.ts';

import { type TwoSets, type TwoSetsMetric } from './metric.ts';
import { centredRows, checkFeatures, type Samples } from './samples.ts';

/** What HSIC needs of two sets of centred rows: the kernels' product and marginals, without forming an n x n matrix. */
interface KernelProduct {
  /** ||X'Y||_F^2 = tr(K L). */
  product: number;
  /** Diagonal of K and of L. */
  diagonals: [Float64Array, Float64Array];
  /** Row sums of K and of L. */
  rowSums: [Float64Array, Float64Array];
}

/** ||X'Y||_F^2, four rows at a time: the sweep over the cross products is what costs time. */
function crossSquare(x: Float64Array, dx: number, y: Float64Array, dy: number, n: number): number {
  const cross = new Float64Array(dx * dy);
  const [y0, y1, y2, y3] = Array.from({ length: 4 }, () => new Float64Array(dy));
  for (let r = 0; r < n; r += 4) {
    [y0, y1, y2, y3].forEach((row, i) => (r + i < n ? row.set(y.subarray((r + i) * dy, (r + i + 1) * dy)) : row.fill(0)));
    for (let i = 0; i < dx; i++) {
      const x0 = x[r * dx + i];
      // Past the last row the copies of y are zero, whatever stands here.
      const x1 = x[Math.min(r + 1, n - 1) * dx + i];
      const x2 = x[Math.min(r + 2, n - 1) * dx + i];
      const x3 = x[Math.min(r + 3, n - 1) * dx + i];
      const from = i * dy;
      for (let j = 0; j < dy; j++) cross[from + j] += x0 * y0[j] + x1 * y1[j] + x2 * y2[j] + x3 * y3[j];
    }
  }
  return cross.reduce((sum, value) => sum + value * value, 0);
}

/** The same through the n x n kernels, cheaper where n is below the dimensions. */
function kernelProduct(x: Float64Array, dx: number, y: Float64Array, dy: number, n: number): number {
  let sum = 0;
  for (let r = 0; r < n; r++) {
    for (let s = r; s < n; s++) {
      let k = 0;
      let l = 0;
      for (let i = 0; i < dx; i++) k += x[r * dx + i] * x[s * dx + i];
      for (let j = 0; j < dy; j++) l += y[r * dy + j] * y[s * dy + j];
      sum += (r === s ? 1 : 2) * k * l;
    }
  }
  return sum;
}

function traceOfProduct(x: Float64Array, dx: number, y: Float64Array, dy: number, n: number): number {
  return (n * (dx + dy)) / 2 < dx * dy ? kernelProduct(x, dx, y, dy, n) : crossSquare(x, dx, y, dy, n);
}

function marginals(rows: Float64Array, d: number, n: number): { diagonal: Float64Array; rowSum: Float64Array } {
  const total = new Float64Array(d);
  rows.forEach((value, e) => (total[e % d] += value));
  const diagonal = new Float64Array(n);
  const rowSum = new Float64Array(n);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < d; c++) {
      diagonal[r] += rows[r * d + c] ** 2;
      rowSum[r] += rows[r * d + c] * total[c];
    }
  }
  return { diagonal, rowSum };
}

/**
 * Unbiased HSIC (Song et al., JMLR 13, 2012, eq. 5) of kernels with zeroed diagonals, n > 3:
 *
 *   [tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3))
 */
function unbiasedHsic({ product, diagonals: [k, l], rowSums: [ks, ls] }: KernelProduct, n: number): number {
  let trace = product;
  let sumK = 0;
  let sumL = 0;
  let sumKL = 0;
  for (let i = 0; i < n; i++) {
    trace -= k[i] * l[i];
    const [a, b] = [ks[i] - k[i], ls[i] - l[i]];
    sumK += a;
    sumL += b;
    sumKL += a * b;
  }
  return (trace + (sumK * sumL) / ((n - 1) * (n - 2)) - (2 / (n - 2)) * sumKL) / (n * (n - 3));
}

/**
 * Linear CKA of two sets of features of the same samples (Kornblith et al., ICML 2019): ||Y'X||^2 / (||X'X|| ||Y'Y||) of centred
 * columns, 0 to 1. Biased upwards where n is not far above the dimensions; the debiased form (Nguyen, Raghu & Kornblith,
 * ICLR 2021) puts the unbiased HSIC in all three places, and can fall below 0.
 *
 * @throws ForetuneError `mismatch` where the sets have different numbers of samples, `invalid-data` for n < 4 (debiased) or
 *   features that cannot be compared
 */
export function linearCka(a: Samples, b: Samples, { debiased = false } = {}): number {
  const { n } = a;
  if (b.n !== n)
    throw new ForetuneError('mismatch', `CKA compares the same samples, but there are ${n} in one set and ${b.n} in the other.`);
  checkFeatures(a);
  checkFeatures(b, 'other features');
  if (debiased && n < 4) throw new ForetuneError('invalid-data', `Debiased CKA needs at least 4 samples, there are ${n}.`);
  const x = centredRows(a);
  const y = centredRows(b);
  const xy = traceOfProduct(x, a.d, y, b.d, n);
  const xx = traceOfProduct(x, a.d, x, a.d, n);
  const yy = traceOfProduct(y, b.d, y, b.d, n);
  if (!debiased) return xy / Math.sqrt(xx * yy);
  const [mx, my] = [marginals(x, a.d, n), marginals(y, b.d, n)];
  const hsic = (product: number, p: typeof mx, q: typeof mx) =>
    unbiasedHsic({ product, diagonals: [p.diagonal, q.diagonal], rowSums: [p.rowSum, q.rowSum] }, n);
  const own = hsic(xx, mx, mx) * hsic(yy, my, my);
  if (!(own > 0))
    throw new ForetuneError(
      'invalid-data',
      `Debiased CKA is undefined: the ${n} samples show no similarity beyond chance within one of the sets.`,
    );
  return hsic(xy, mx, my) / Math.sqrt(own);
}

const shared = {
  direction: 'higher',
  needs: 'two-sets',
  targets: 'both',
  cost: 'O(n d^2)',
} as const;

export const ckaMetric: TwoSetsMetric = {
  ...shared,
  id: 'cka',
  name: 'Linear CKA',
  source: 'Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019',
  compute: ({ a, b }: TwoSets) => linearCka(a, b),
};

export const debiasedCkaMetric: TwoSetsMetric = {
  ...shared,
  id: 'cka-debiased',
  name: 'Linear CKA, debiased',
  source: 'Nguyen, Raghu & Kornblith, Do Wide and Deep Networks Learn the Same Things?, ICLR 2021',
  compute: ({ a, b }: TwoSets) => linearCka(a, b, { debiased: true }),
};
