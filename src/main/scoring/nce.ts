import { type PosteriorSamples, type PosteriorsMetric } from './metric.ts';
import { checkPosteriors } from './posteriors.ts';

/**
 * Negative conditional entropy (Tran, Nguyen & Hassner, ICCV 2019): -H(Y|Z) with z the most probable source class,
 * sum_{y,z} P(y,z) ln P(y|z). At most 0.
 */
export function nce(input: PosteriorSamples): number {
  checkPosteriors(input);
  const { probabilities, n, z, classes, k } = input;
  const joint = new Float64Array(k * z);
  const source = new Float64Array(z);
  for (let r = 0; r < n; r++) {
    let best = 0;
    for (let s = 1; s < z; s++) if (probabilities[r * z + s] > probabilities[r * z + best]) best = s;
    joint[classes[r] * z + best]++;
    source[best]++;
  }
  return joint.reduce((sum, count, e) => (count > 0 ? sum + (count / n) * Math.log(count / source[e % z]) : sum), 0);
}

export const nceMetric: PosteriorsMetric = {
  id: 'nce',
  name: 'NCE',
  direction: 'higher',
  needs: 'source-posteriors',
  targets: 'classification',
  cost: 'O(n z) for z source classes',
  source: 'Tran, Nguyen & Hassner, Transferability and Hardness of Supervised Classification Tasks, ICCV 2019',
  compute: nce,
};
