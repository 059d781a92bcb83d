import { ForetuneError } from '#shared/errors.ts';

import { type PosteriorSamples } from './metric.ts';
import { classCounts } from './samples.ts';

/** How far a row of posteriors may sum from one: float32 softmax output over many classes. */
const sumTolerance = 1e-3;

/**
 * Refuses what is no table of posteriors.
 *
 * @throws ForetuneError `mismatch` for a wrong length, `invalid-data` for a value outside 0..1 or a row that does not sum to one
 */
export function checkPosteriors({ probabilities, n, z, classes, k }: PosteriorSamples): void {
  if (probabilities.length !== n * z)
    throw new ForetuneError(
      'mismatch',
      `Posteriors of ${n} samples over ${z} source classes need ${n * z} numbers, not ${probabilities.length}.`,
    );
  classCounts({ classes, n, k });
  const outside = probabilities.findIndex((p) => !(p >= 0 && p <= 1 + sumTolerance));
  if (outside >= 0) {
    throw new ForetuneError(
      'invalid-data',
      `The posterior of source class ${outside % z} for sample ${Math.floor(outside / z)} is ${probabilities[outside]}; probabilities lie between 0 and 1 (apply a softmax to logits).`,
    );
  }
  for (let r = 0; r < n; r++) {
    let sum = 0;
    for (let s = 0; s < z; s++) sum += probabilities[r * z + s];
    if (Math.abs(sum - 1) > sumTolerance)
      throw new ForetuneError(
        'invalid-data',
        `The posteriors of sample ${r} sum to ${sum}, not to 1 (apply a softmax to logits).`,
      );
  }
}
