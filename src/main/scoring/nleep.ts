import { gaussianMixture } from '#main/linalg/gaussianMixture.ts';
import { principalComponents } from '#main/linalg/principalComponents.ts';
import { ForetuneError } from '#shared/errors.ts';

import { leepOfWeights } from './leep.ts';
import { type FittedScore, type LabelledSamples, type SamplesMetric } from './metric.ts';
import { centredRows, checkFeatures, chooseRows, classCounts, everyRow } from './samples.ts';

export interface NleepOptions {
  /** Share of the variance that the principal components keep. */
  energy?: number;
  /** Gaussians per class. */
  componentsPerClass?: number;
}

/**
 * N-LEEP (Li et al., CVPR 2021): LEEP with the components of a Gaussian mixture for source classes, fitted to the leading
 * principal components of the features. Needs no source classifier. Depends on the seed through the mixture's start.
 *
 * @throws ForetuneError `invalid-data` for fewer samples than Gaussians
 */
export function nleep(input: LabelledSamples, options: NleepOptions = {}): number {
  classCounts(input);
  return fitNleep(input, options)(everyRow(input.n), input.classes, input.k);
}

/** Fits the mixture to all samples; the score of some of them is LEEP under it. */
export function fitNleep(
  { features, n, d, k, seed }: Omit<LabelledSamples, 'classes' | 'moments'>,
  { energy = 0.8, componentsPerClass = 5 }: NleepOptions = {},
): FittedScore {
  checkFeatures({ features, n, d });
  const components = componentsPerClass * k;
  if (components > n) {
    throw new ForetuneError(
      'invalid-data',
      `N-LEEP fits ${componentsPerClass} Gaussians per class, ${components} for ${k} classes, but there are ${n} samples.`,
    );
  }
  const { scores, count } = principalComponents(centredRows({ features, n, d }), n, d, { share: energy });
  const { responsibilities } = gaussianMixture(scores, n, count, components, seed);
  return (rows, classes, present) => {
    const probabilities = chooseRows({ features: responsibilities, d: components }, rows);
    return leepOfWeights({ probabilities, n: rows.length, z: components, classes, k: present });
  };
}

export const nleepMetric: SamplesMetric = {
  id: 'nleep',
  name: 'N-LEEP',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(d^3 + 5 k n q^2) per round of fitting, q principal components',
  source: 'Li et al., Ranking Neural Checkpoints, CVPR 2021',
  compute: (input) => nleep(input),
  fit: (input) => fitNleep(input),
};
