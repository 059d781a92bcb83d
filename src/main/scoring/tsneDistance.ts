import { sampleIndices } from '#main/linalg/sampling.ts';
import { tsne } from '#main/linalg/tsne.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TwoSetsMetric } from './metric.ts';
import { checkFeatures, chooseRows, type Samples } from './samples.ts';

export interface TsneDistanceOptions {
  /** Rows embedded of each set; a seeded subset of more. The cost grows with the square. */
  maxSamples?: number;
  iterations?: number;
  seed?: number | string;
}

function median(values: Float64Array): number {
  const sorted = values.toSorted();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function medianPoint(samples: Samples, { maxSamples = 500, iterations, seed = 0 }: TsneDistanceOptions): [number, number] {
  const chosen = sampleIndices(samples.n, maxSamples, seed);
  const n = chosen.length;
  const { embedding } = tsne(chooseRows(samples, chosen), n, samples.d, { iterations, seed });
  const along = (axis: number) => median(Float64Array.from({ length: n }, (_, i) => embedding[2 * i + axis]));
  return [along(0), along(1)];
}

/**
 * The t-SNE baseline of Chen et al. (Interspeech 2023), as their released code has it: each set is embedded by a t-SNE of its own, and the
 * score is the distance between the two coordinate-wise medians. The embeddings share no coordinates, so it is a baseline to beat and no
 * distance of distributions. Lower is taken as better.
 *
 * @throws ForetuneError `invalid-data` for fewer than 4 rows in a set
 */
export function tsneDistance(a: Samples, b: Samples, options: TsneDistanceOptions = {}): number {
  checkFeatures(a);
  checkFeatures(b, 'other features');
  for (const { n } of [a, b])
    if (n < 4) throw new ForetuneError('invalid-data', `t-SNE needs at least 4 samples in each set, there are ${n} in one.`);
  const [x, y] = [medianPoint(a, options), medianPoint(b, options)];
  return Math.hypot(x[0] - y[0], x[1] - y[1]);
}

export const tsneDistanceMetric: TwoSetsMetric = {
  id: 'tsne',
  name: 't-SNE median distance (baseline)',
  direction: 'lower',
  needs: 'two-sets',
  targets: 'both',
  cost: 'O(1000 m^2), m at most 500 samples of each set',
  source: 'Chen et al., How to Estimate Model Transferability of Pre-Trained Speech Models?, Interspeech 2023',
  compute: ({ a, b, seed }) => tsneDistance(a, b, { seed }),
};
