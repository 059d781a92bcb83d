import { studentTQuantile } from '#main/linalg/studentT.ts';
import { ForetuneError } from '#shared/errors.ts';

export interface JackknifeInterval {
  /** Score of all groups together. */
  value: number;
  /** Score without group g. */
  replicates: number[];
  se: number;
  /** value -/+ t se, the two-sided 95 % interval of Student's t with G - 1 degrees of freedom. */
  low: number;
  high: number;
}

/**
 * Delete-one-group jackknife: whole groups of utterances are left out, never frames, which are not independent.
 *
 *   se^2 = (G - 1)/G  sum_g (s_(g) - s_(.))^2,   s_(.) = mean of s_(g)
 *
 * (Efron & Tibshirani, An Introduction to the Bootstrap, eq. 11.5, with groups for observations). Where `sizes` differ, the
 * delete-m_g form of Busing, Meijer & van der Leeden (Statistics and Computing 9, 1999, eqs. 7 to 9) weighs the groups with
 * h_g = n/m_g; for equal sizes the two agree:
 *
 *   se^2 = 1/G  sum_g (p_g - J)^2 / (h_g - 1),   p_g = h_g s - (h_g - 1) s_(g),   J = G s - sum_g (1 - m_g/n) s_(g)
 *
 * @param total statistics of all groups
 * @param groups statistics of each group
 * @param score the score of statistics
 * @param subtract `total` without a group
 * @param sizes samples of each group; equal where omitted
 * @throws ForetuneError `invalid-data` with fewer than two groups or an empty one
 */
export function leaveOneGroupOut<T>(
  total: T,
  groups: readonly T[],
  score: (statistics: T) => number,
  subtract: (total: T, group: T) => T,
  sizes?: readonly number[],
): JackknifeInterval {
  return jackknifeInterval(
    score(total),
    groups.map((group) => score(subtract(total, group))),
    sizes,
  );
}

/** t of the two-sided 95 % interval by degrees of freedom: found by bisection, and asked for thousands of times with the same few. */
const quantiles = new Map<number, number>();

function quantile(degreesOfFreedom: number): number {
  let t = quantiles.get(degreesOfFreedom);
  if (t === undefined) quantiles.set(degreesOfFreedom, (t = studentTQuantile(0.975, degreesOfFreedom)));
  return t;
}

/** The interval from a score and its leave-one-out replicates; see `leaveOneGroupOut`. */
export function jackknifeInterval(
  value: number,
  replicates: number[],
  sizes: readonly number[] = replicates.map(() => 1),
): JackknifeInterval {
  const count = replicates.length;
  if (count < 2)
    throw new ForetuneError('invalid-data', `A jackknife interval needs at least 2 groups of utterances, there are ${count}.`);
  if (sizes.length !== count) throw new ForetuneError('mismatch', `${count} groups have ${sizes.length} sizes.`);
  const empty = sizes.findIndex((size) => !(size > 0));
  if (empty >= 0)
    throw new ForetuneError('invalid-data', `Group ${empty} of ${count} holds ${sizes[empty]} samples; leave empty groups out.`);
  const n = sizes.reduce((sum, size) => sum + size, 0);
  // In differences from the full score, so that equal replicates give exactly zero.
  const differences = replicates.map((replicate) => replicate - value);
  const bias = differences.reduce((sum, difference, g) => sum - (1 - sizes[g] / n) * difference, 0);
  let variance = 0;
  differences.forEach((difference, g) => {
    const others = n / sizes[g] - 1;
    variance += (others * difference + bias) ** 2 / (others * count);
  });
  const se = Math.sqrt(variance);
  const reach = se === 0 ? 0 : quantile(count - 1) * se;
  return { value, replicates, se, low: value - reach, high: value + reach };
}
