import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TwoSetsMetric } from './metric.ts';
import { checkFeatures, type Samples } from './samples.ts';

export interface SlicedWassersteinOptions {
  /** Order of the transport cost |x - y|^p, at least 1. */
  p?: number;
  /** Random directions, where none are given. Fifty as in the code of Chen et al. (Interspeech 2023). */
  projections?: number;
  seed?: number | string;
  /** [directions, d] row-major, used as they are. */
  directions?: Float64Array;
}

/** `count` directions uniform on the unit sphere of d dimensions, [count, d]. */
export function randomDirections(count: number, d: number, seed: number | string): Float64Array {
  const random = createRandom(seed);
  const directions = new Float64Array(count * d);
  for (let from = 0; from < directions.length; from += d) {
    let square = 0;
    while (square === 0) {
      for (let c = from; c < from + d; c++) {
        directions[c] = random.normal();
        square += directions[c] ** 2;
      }
    }
    for (let c = from; c < from + d; c++) directions[c] /= Math.sqrt(square);
  }
  return directions;
}

function project({ features, n, d }: Samples, directions: Float64Array, from: number): Float64Array {
  const projected = new Float64Array(n);
  for (let r = 0; r < n; r++) {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += features[r * d + c] * directions[from + c];
    projected[r] = sum;
  }
  return projected.sort();
}

/** W_p^p of two sorted samples of any sizes: the integral of |F^-1 - G^-1|^p over the merged grid of both distributions. */
export function wasserstein1d(a: Float64Array, b: Float64Array, p: number): number {
  const cost = (x: number) => (p === 2 ? x * x : Math.abs(x) ** p);
  let sum = 0;
  // Levels are counted in units of 1/(n m), whole numbers, so that equal steps of both distributions meet exactly.
  let level = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const endA = (i + 1) * b.length;
    const endB = (j + 1) * a.length;
    const end = Math.min(endA, endB);
    sum += (end - level) * cost(a[i] - b[j]);
    level = end;
    if (end === endA) i++;
    if (end === endB) j++;
  }
  return sum / (a.length * b.length);
}

/**
 * Sliced Wasserstein distance (Bonneel et al., Journal of Mathematical Imaging and Vision 51, 2015): the mean over directions
 * theta of W_p^p(theta'X, theta'Y), to the power 1/p. Zero for equal sets; lower promises better transfer.
 *
 * @throws ForetuneError `mismatch` where dimensions differ, `usage` for p < 1 or no direction
 */
export function slicedWasserstein(a: Samples, b: Samples, options: SlicedWassersteinOptions = {}): number {
  const { p = 2, projections = 50, seed = 0 } = options;
  const { d } = a;
  if (b.d !== d)
    throw new ForetuneError(
      'mismatch',
      `Sliced Wasserstein compares features of one width, but these have ${d} and ${b.d} dimensions.`,
    );
  if (!(p >= 1)) throw new ForetuneError('usage', `The order p of a Wasserstein distance is at least 1, not ${p}.`);
  checkFeatures(a);
  checkFeatures(b, 'other features');
  const directions = options.directions ?? randomDirections(projections, d, seed);
  const count = directions.length / d;
  if (!(count >= 1) || !Number.isInteger(count))
    throw new ForetuneError('usage', `${directions.length} numbers are no list of directions of ${d} dimensions.`);
  let sum = 0;
  for (let from = 0; from < directions.length; from += d)
    sum += wasserstein1d(project(a, directions, from), project(b, directions, from), p);
  return (sum / count) ** (1 / p);
}

export const slicedWassersteinMetric: TwoSetsMetric = {
  id: 'swd',
  name: 'Sliced Wasserstein distance',
  direction: 'lower',
  needs: 'two-sets',
  targets: 'both',
  cost: 'O(50 n (d + log n))',
  source: 'Chen et al., How to Estimate Model Transferability of Pre-Trained Speech Models?, Interspeech 2023',
  compute: ({ a, b, ...options }) => slicedWasserstein(a, b, options),
};
