import { ForetuneError } from '#shared/errors.ts';

import { ckaMetric, debiasedCkaMetric } from './cka.ts';
import { gbcMetric, publishedSphericalGbcMetric, sphericalGbcMetric } from './gbc.ts';
import { hscoreMetric, shrinkageHscoreMetric } from './hscore.ts';
import { ldaMetric } from './lda.ts';
import { leepMetric } from './leep.ts';
import { logmeMetric } from './logme.ts';
import { type Metric } from './metric.ts';
import { unitInformationMetric } from './mutualInformation.ts';
import { nceMetric } from './nce.ts';
import { nleepMetric } from './nleep.ts';
import { parcMetric } from './parc.ts';
import { pwccaMetric } from './pwcca.ts';
import { sfdaMetric } from './sfda.ts';
import { slicedWassersteinMetric } from './slicedWasserstein.ts';
import { transrateMetric, weightedTransrateMetric } from './transrate.ts';
import { tsneDistanceMetric } from './tsneDistance.ts';

/** Every score there is, in the order in which they are offered. A new score is one file and one line here. */
export const metrics: readonly Metric[] = [
  logmeMetric,
  hscoreMetric,
  shrinkageHscoreMetric,
  transrateMetric,
  weightedTransrateMetric,
  gbcMetric,
  sphericalGbcMetric,
  publishedSphericalGbcMetric,
  leepMetric,
  nceMetric,
  nleepMetric,
  ldaMetric,
  sfdaMetric,
  parcMetric,
  unitInformationMetric,
  ckaMetric,
  debiasedCkaMetric,
  pwccaMetric,
  slicedWassersteinMetric,
  tsneDistanceMetric,
];

/** Names of all scores, as the command line takes them. */
export function metricIds(): string[] {
  return metrics.map(({ id }) => id);
}

/**
 * The score of a name.
 *
 * @throws ForetuneError `usage` for an unknown name, listing the known ones
 */
export function metric(id: string): Metric {
  const found = metrics.find((candidate) => candidate.id === id);
  if (!found) throw new ForetuneError('usage', `There is no score "${id}"; there are ${metricIds().join(', ')}.`);
  return found;
}
