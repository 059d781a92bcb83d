import { type LabelledSamples, type SamplesMetric } from './metric.ts';
import { checkFeatures, classCounts, classMeans } from './samples.ts';

/** Variances are kept above this, as in the published code. */
const varianceFloor = 1e-4;

/**
 * `spherical-published` adds the log term of the Bhattacharyya distance once instead of d times, as the published code does;
 * `spherical` is the distance of two spherical Gaussians.
 */
export type GbcForm = 'diagonal' | 'spherical' | 'spherical-published';

/**
 * Gaussian Bhattacharyya coefficient (Pandy et al., CVPR 2022): minus the overlap of the classes' Gaussians, summed over ordered
 * pairs of classes; 0 is best.
 *
 *   D = 1/8 sum_j (mu_aj - mu_bj)^2/v_j + 1/2 sum_j (ln v_j - 1/2 ln v_aj - 1/2 ln v_bj),  v = (v_a + v_b)/2,  GBC = -sum exp(-D)
 *
 * @throws ForetuneError `invalid-data` if a class has one sample, since it has no variance
 */
export function gbc({ features, n, d, classes, k }: LabelledSamples, form: GbcForm): number {
  checkFeatures({ features, n, d });
  const counts = classCounts({ classes, n, k }, 2);
  const means = classMeans({ features, n, d, classes, k }, counts);
  const variances = classVariances({ features, n, d, classes, k }, means, counts);
  if (form !== 'diagonal') averageOverDimensions(variances, d);
  for (let e = 0; e < variances.length; e++) variances[e] = Math.max(variances[e], varianceFloor);
  let overlap = 0;
  for (let a = 0; a < k; a++) {
    for (let b = a + 1; b < k; b++) {
      let distance = 0;
      let logTerm = 0;
      for (let j = 0; j < d; j++) {
        const [va, vb] = [variances[a * d + j], variances[b * d + j]];
        const v = 0.5 * (va + vb);
        distance += (means[a * d + j] - means[b * d + j]) ** 2 / v / 8;
        logTerm += 0.5 * Math.log(v) - 0.25 * Math.log(va) - 0.25 * Math.log(vb);
      }
      overlap += 2 * Math.exp(-distance - (form === 'spherical-published' ? logTerm / d : logTerm));
    }
  }
  return -overlap;
}

/** Biased variances per class and dimension, [k, d]. */
function classVariances(
  { features, n, d, classes, k }: Omit<LabelledSamples, 'seed'>,
  means: Float64Array,
  counts: Int32Array,
): Float64Array {
  const variances = new Float64Array(k * d);
  for (let r = 0, e = 0; r < n; r++) {
    const own = classes[r] * d;
    for (let j = 0; j < d; j++) variances[own + j] += (features[e++] - means[own + j]) ** 2;
  }
  return variances.map((sum, e) => sum / counts[Math.floor(e / d)]);
}

function averageOverDimensions(variances: Float64Array, d: number): void {
  for (let from = 0; from < variances.length; from += d) {
    const own = variances.subarray(from, from + d);
    own.fill(own.reduce((sum, value) => sum + value, 0) / d);
  }
}

const shared = {
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(n d + k^2 d)',
  source: 'Pandy et al., Transferability Estimation using Bhattacharyya Class Separability, CVPR 2022',
} as const;

export const gbcMetric: SamplesMetric = {
  ...shared,
  id: 'gbc',
  name: 'GBC, diagonal',
  compute: (input) => gbc(input, 'diagonal'),
};

export const sphericalGbcMetric: SamplesMetric = {
  ...shared,
  id: 'gbc-spherical',
  name: 'GBC, spherical',
  compute: (input) => gbc(input, 'spherical'),
};

export const publishedSphericalGbcMetric: SamplesMetric = {
  ...shared,
  id: 'gbc-spherical-published',
  name: 'GBC, spherical as published',
  compute: (input) => gbc(input, 'spherical-published'),
};
