import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type ErrorCounts } from './editDistance.ts';

/** An error rate over a corpus. */
export interface ErrorRate extends ErrorCounts {
  errors: number;
  /** (S + D + I) / N over the pooled corpus; may exceed 1. */
  rate: number;
  /** Two-sided 95 % bootstrap interval over utterances. */
  low: number;
  high: number;
}

const resamples = 1000;

/** The quantile of sorted values, linear between neighbours. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

export const errorsOf = ({ substitutions, deletions, insertions }: ErrorCounts): number => substitutions + deletions + insertions;

/** Rates of samples of as many utterances, drawn with replacement: sum of errors over sum of lengths, [resamples] sorted. */
function resampledRates(numerators: readonly number[], lengths: readonly number[], seed: number | string): Float64Array {
  const random = createRandom(`${seed}/error-rate`);
  const count = lengths.length;
  const rates = Float64Array.from({ length: resamples }, () => {
    let [sum, length] = [0, 0];
    for (let draw = 0; draw < count; draw++) {
      const utterance = random.below(count);
      sum += numerators[utterance];
      length += lengths[utterance];
    }
    // A sample of nothing but empty references has no rate of its own.
    return length === 0 ? 0 : sum / length;
  });
  return rates.sort();
}

/**
 * The error rate of a corpus: (S + D + I) / N with sums over all utterances, and its bootstrap percentile interval over utterances
 * (Bisani & Ney 2004), which are independent of each other as words are not.
 * @param utterances counts of each
 * @throws ForetuneError `invalid-data` if the references are empty.
 */
export function errorRate(utterances: readonly ErrorCounts[], seed: number | string = 0): ErrorRate {
  const total: ErrorCounts = { substitutions: 0, deletions: 0, insertions: 0, length: 0 };
  for (const counts of utterances) {
    total.substitutions += counts.substitutions;
    total.deletions += counts.deletions;
    total.insertions += counts.insertions;
    total.length += counts.length;
  }
  if (total.length === 0)
    throw new ForetuneError(
      'invalid-data',
      `The references of ${utterances.length} utterances are empty: there is no error rate.`,
    );
  const rates = resampledRates(
    utterances.map(errorsOf),
    utterances.map(({ length }) => length),
    seed,
  );
  const errors = errorsOf(total);
  return { ...total, errors, rate: errors / total.length, low: quantile(rates, 0.025), high: quantile(rates, 0.975) };
}

/** The difference of two error rates on the same utterances, with its bootstrap interval: what one setting costs against another. */
export interface RateDifference {
  /** Rate of `other` less that of `base`. */
  difference: number;
  low: number;
  high: number;
}

/**
 * The paired difference of error rates: both settings are drawn together, so what makes an utterance hard for both cancels
 * (Bisani & Ney 2004, section 3).
 */
export function rateDifference(
  base: readonly ErrorCounts[],
  other: readonly ErrorCounts[],
  seed: number | string = 0,
): RateDifference {
  if (base.length !== other.length)
    throw new ForetuneError(
      'mismatch',
      `Error rates of ${base.length} and ${other.length} utterances cannot be compared in pairs.`,
    );
  const lengths = base.map(({ length }) => length);
  const differences = base.map((counts, i) => errorsOf(other[i]) - errorsOf(counts));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total === 0)
    throw new ForetuneError('invalid-data', `The references of ${base.length} utterances are empty: there is no error rate.`);
  const rates = resampledRates(differences, lengths, seed);
  return {
    difference: differences.reduce((sum, errors) => sum + errors, 0) / total,
    low: quantile(rates, 0.025),
    high: quantile(rates, 0.975),
  };
}
