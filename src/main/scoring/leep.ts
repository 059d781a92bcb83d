import { type PosteriorSamples, type PosteriorsMetric } from './metric.ts';
import { checkPosteriors } from './posteriors.ts';

/**
 * LEEP (Nguyen et al., ICML 2020): 1/n sum_i ln sum_z P(y_i|z) theta(x_i)_z, with P(y|z) from the joint of labels and source
 * posteriors theta. At most 0.
 */
export function leep({ probabilities, n, z, classes, k }: PosteriorSamples): number {
  checkPosteriors({ probabilities, n, z, classes, k });
  return leepOfWeights({ probabilities, n, z, classes, k });
}

/** LEEP of responsibilities that are known to be posteriors. */
export function leepOfWeights({ probabilities, n, z, classes, k }: PosteriorSamples): number {
  const conditional = new Float64Array(k * z);
  const source = new Float64Array(z);
  for (let r = 0; r < n; r++) {
    for (let s = 0; s < z; s++) {
      conditional[classes[r] * z + s] += probabilities[r * z + s];
      source[s] += probabilities[r * z + s];
    }
  }
  // A source class that no sample ever has carries no weight either.
  for (let e = 0; e < k * z; e++) conditional[e] = source[e % z] > 0 ? conditional[e] / source[e % z] : 0;
  let sum = 0;
  for (let r = 0; r < n; r++) {
    let likelihood = 0;
    for (let s = 0; s < z; s++) likelihood += conditional[classes[r] * z + s] * probabilities[r * z + s];
    sum += Math.log(likelihood);
  }
  return sum / n;
}

export const leepMetric: PosteriorsMetric = {
  id: 'leep',
  name: 'LEEP',
  direction: 'higher',
  needs: 'source-posteriors',
  targets: 'classification',
  cost: 'O(n z + k z) for z source classes',
  source: 'Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned Representations, ICML 2020',
  compute: leep,
};
