import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

import { choleskyInPlace } from '#main/linalg/cholesky.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TwoSetsMetric } from './metric.ts';
import { packedIndex } from './moments.ts';
import { centredRows, checkFeatures, momentsOfRows, type Samples } from './samples.ts';

/** Share of the largest variance that is added to every variance, so that repeated columns do no harm. */
const ridge = 1e-10;

/** One view: its centred rows whitened by the Cholesky factor U of X'X, and U. */
function whiten(samples: Samples): { whitened: Float64Array; factor: Float64Array } {
  const { n, d } = samples;
  const factor = momentsOfRows(samples).gram;
  let largest = 0;
  for (let i = 0; i < d; i++) largest = Math.max(largest, factor[packedIndex(d, i, i)]);
  for (let i = 0; i < d; i++) factor[packedIndex(d, i, i)] += ridge * largest;
  choleskyInPlace(factor, d);
  const whitened = centredRows(samples);
  for (let r = 0; r < n; r++) {
    const row = whitened.subarray(r * d, (r + 1) * d);
    // Solves x U = row from the left.
    for (let k = 0, from = 0; k < d; from += d - k, k++) {
      row[k] /= factor[from];
      for (let c = 1; c < d - k; c++) row[k + c] -= factor[from + c] * row[k];
    }
  }
  return { whitened, factor };
}

/**
 * Projection-weighted canonical correlation (Morcos, Raghu & Bengio, NeurIPS 2018) of two sets of features of the same samples: the mean
 * canonical correlation, weighted by how much of the view with fewer dimensions each canonical variate accounts for,
 * alpha_i = sum_j |h_i' x_j|. 0 to 1; invariant to invertible linear maps of the other view.
 *
 * @throws ForetuneError `mismatch` where the sets have different numbers of samples, `invalid-data` where a view has no more samples than
 *   dimensions: all correlations would then be 1
 */
export function pwcca(a: Samples, b: Samples): number {
  const { n } = a;
  if (b.n !== n)
    throw new ForetuneError(
      'mismatch',
      `PWCCA compares the same samples, but there are ${n} in one set and ${b.n} in the other.`,
    );
  checkFeatures(a);
  checkFeatures(b, 'other features');
  for (const { d } of [a, b]) {
    if (n <= d + 1)
      throw new ForetuneError(
        'invalid-data',
        `PWCCA needs more samples than dimensions plus one, but there are ${n} samples of ${d} dimensions; take frames instead of utterances, or CKA.`,
      );
  }
  const [x, y] = a.d <= b.d ? [a, b] : [b, a];
  const [{ whitened: u, factor }, { whitened: v }] = [whiten(x), whiten(y)];
  const cross = new Float64Array(x.d * y.d);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < x.d; i++) {
      const value = u[r * x.d + i];
      for (let j = 0; j < y.d; j++) cross[i * y.d + j] += value * v[r * y.d + j];
    }
  }
  const t = Matrix.from1DArray(x.d, y.d, cross);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(t.mmul(t.transpose()), { assumeSymmetric: true });
  let weighted = 0;
  let total = 0;
  realEigenvalues.forEach((square, i) => {
    const direction = eigenvectorMatrix.getColumn(i);
    const projections = new Float64Array(x.d);
    for (let k = 0, from = 0; k < x.d; from += x.d - k, k++)
      for (let c = 0; c < x.d - k; c++) projections[k + c] += factor[from + c] * direction[k];
    const weight = projections.reduce((sum, value) => sum + Math.abs(value), 0);
    weighted += weight * Math.sqrt(Math.min(1, Math.max(0, square)));
    total += weight;
  });
  return weighted / total;
}

export const pwccaMetric: TwoSetsMetric = {
  id: 'pwcca',
  name: 'Projection-weighted CCA',
  direction: 'higher',
  needs: 'two-sets',
  targets: 'both',
  cost: 'O(n d^2 + d^3)',
  source:
    'Morcos, Raghu & Bengio, Insights on Representational Similarity in Neural Networks with Canonical Correlation, NeurIPS 2018',
  compute: ({ a, b }) => pwcca(a, b),
};
