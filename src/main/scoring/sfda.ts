import { meanTruePosterior, regularisedLda, softmaxRows } from './lda.ts';
import { type LabelledSamples, type SamplesMetric } from './metric.ts';
import { checkFeatures, classCounts, classMeans } from './samples.ts';

/**
 * SFDA (Shao et al., ECCV 2022): regularised LDA, then again on features that each sample's uncertainty has mixed with the mean
 * of the other classes' means (ConfMix), with the same shrinkage; the score is the mean posterior of the true class. As in the
 * published code the confidence is a softmax of the posteriors. 0 to 1.
 */
export function sfda({ features, n, d, classes, k, moments }: LabelledSamples): number {
  checkFeatures({ features, n, d });
  const counts = classCounts({ classes, n, k });
  const first = regularisedLda({ features, n, d, classes, k, moments });
  softmaxRows(first.posteriors, n, k);
  const means = classMeans({ features, n, d, classes, k }, counts);
  const total = new Float64Array(d);
  means.forEach((value, e) => (total[e % d] += value));
  const mixed = new Float64Array(n * d);
  for (let r = 0; r < n; r++) {
    const own = classes[r];
    const confidence = first.posteriors[r * k + own];
    for (let j = 0; j < d; j++) {
      const others = (total[j] - means[own * d + j]) / (k - 1);
      mixed[r * d + j] = confidence * features[r * d + j] + (1 - confidence) * others;
    }
  }
  return meanTruePosterior(regularisedLda({ features: mixed, n, d, classes, k }, first.shrinkage).posteriors, classes, k);
}

export const sfdaMetric: SamplesMetric = {
  id: 'sfda',
  name: 'SFDA',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(n d^2 + d^3 + n k d)',
  source: 'Shao et al., Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher Space, ECCV 2022',
  compute: sfda,
  takesMoments: true,
};
