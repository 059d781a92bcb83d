import { logDeterminant } from '#main/linalg/cholesky.ts';

import { type LabelledSamples, type SamplesMetric } from './metric.ts';
import { addRows, createFeatureMoments, packedCentredGram, packedIndex, packedLength } from './moments.ts';
import { centredRows, checkFeatures, classCounts } from './samples.ts';

/**
 * Rate R(Z, eps) = 1/2 ln det(I + Z'Z/(n eps)) of rows, in nats; by ZZ' where that is smaller.
 *
 * @param gram Z'Z, packed, where it is known; overwritten
 */
export function codingRate(rows: Float64Array, n: number, d: number, epsilon: number, gram?: Float64Array): number {
  const size = gram ? d : Math.min(n, d);
  const packed = gram ?? (d <= n ? gramOf(rows, n, d) : kernelOf(rows, n, d));
  for (let e = 0; e < packed.length; e++) packed[e] /= n * epsilon;
  for (let i = 0; i < size; i++) packed[packedIndex(size, i, i)] += 1;
  return 0.5 * logDeterminant(packed, size);
}

function gramOf(rows: Float64Array, n: number, d: number): Float64Array {
  const moments = createFeatureMoments(d);
  addRows(moments, rows, n);
  return moments.gram;
}

function kernelOf(rows: Float64Array, n: number, d: number): Float64Array {
  const kernel = new Float64Array(packedLength(n));
  let entry = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let dot = 0;
      for (let c = 0; c < d; c++) dot += rows[i * d + c] * rows[j * d + c];
      kernel[entry++] = dot;
    }
  }
  return kernel;
}

/**
 * TransRate (Huang et al., ICML 2022): R(Z) less the rate that remains within classes, on centred features.
 *
 * @param weighting `equal`: the mean of class rates, as the authors' library computes it; `size`: weighted by n_c/n
 */
export function transrate(
  { features, n, d, classes, k, moments }: LabelledSamples,
  weighting: 'equal' | 'size',
  epsilon = 1e-4,
): number {
  checkFeatures({ features, n, d });
  const counts = classCounts({ classes, n, k });
  const rows = centredRows({ features, n, d });
  let within = 0;
  for (let c = 0; c < k; c++) {
    const own = new Float64Array(counts[c] * d);
    let filled = 0;
    for (let r = 0; r < n; r++) {
      if (classes[r] === c) own.set(rows.subarray(r * d, (r + 1) * d), d * filled++);
    }
    within += (weighting === 'equal' ? 1 / k : counts[c] / n) * codingRate(own, counts[c], d, epsilon);
  }
  return codingRate(rows, n, d, epsilon, moments && d <= n ? packedCentredGram(moments) : undefined) - within;
}

const shared = {
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  takesMoments: true,
  cost: 'O(n d^2 + k d^3)',
  source: 'Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022',
} as const;

export const transrateMetric: SamplesMetric = {
  ...shared,
  id: 'transrate',
  name: 'TransRate',
  compute: (input) => transrate(input, 'equal'),
};

export const weightedTransrateMetric: SamplesMetric = {
  ...shared,
  id: 'transrate-weighted',
  name: 'TransRate, classes weighted by size',
  compute: (input) => transrate(input, 'size'),
};
