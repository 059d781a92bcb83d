import { normalTwoSided } from '#main/linalg/normal.ts';
import { studentTTwoSided } from '#main/linalg/studentT.ts';
import { ForetuneError } from '#shared/errors.ts';

import { averageRanks, pearson } from './ranks.ts';

export interface Correlation {
  value: number;
  /** Two-sided p-value of no association. */
  p: number;
}

function check(x: ArrayLike<number>, y: ArrayLike<number>, least: number): void {
  if (x.length !== y.length)
    throw new ForetuneError('mismatch', `A correlation needs pairs, but there are ${x.length} and ${y.length} values.`);
  if (x.length < least)
    throw new ForetuneError('invalid-data', `A rank correlation needs at least ${least} pairs, there are ${x.length}.`);
  for (const values of [x, y]) {
    const bad = Array.from(values).findIndex((value) => Number.isNaN(value));
    if (bad >= 0)
      throw new ForetuneError('invalid-data', `Value ${bad} of ${values.length} is NaN; leave pairs without a value out.`);
    if (Array.from(values).every((value) => value === values[0])) {
      throw new ForetuneError('invalid-data', `All ${values.length} values are ${values[0]}, so they cannot be ranked.`);
    }
  }
}

/**
 * Spearman's rho: Pearson's correlation of average ranks. p from t = rho sqrt((n-2)/(1-rho^2)) with n - 2 degrees of freedom, as
 * scipy.stats.spearmanr.
 *
 * @throws ForetuneError `invalid-data` for fewer than 3 pairs, NaN or constant values
 */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): Correlation {
  check(x, y, 3);
  const rho = spearmanRho(x, y);
  const freedom = x.length - 2;
  return { value: rho, p: studentTTwoSided(rho * Math.sqrt(freedom / ((1 + rho) * (1 - rho))), freedom) };
}

/** Spearman's rho alone, for many draws; NaN where one side is constant. */
export function spearmanRho(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return pearson(averageRanks(x), averageRanks(y));
}

/** Kendall's tau-b alone, for many draws; NaN where one side is constant. */
export function kendallTau(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const pairs = (x.length * (x.length - 1)) / 2;
  return tauB(countPairs(x, y), pairs);
}

function tauB({ concordant, discordant, tiedX, tiedY }: PairCounts, pairs: number): number {
  const tau = (concordant - discordant) / Math.sqrt(pairs - tiedX) / Math.sqrt(pairs - tiedY);
  return Math.max(-1, Math.min(1, tau));
}

interface PairCounts {
  concordant: number;
  discordant: number;
  tiedX: number;
  tiedY: number;
}

function countPairs(x: ArrayLike<number>, y: ArrayLike<number>): PairCounts {
  const counts: PairCounts = { concordant: 0, discordant: 0, tiedX: 0, tiedY: 0 };
  for (let i = 0; i < x.length; i++) {
    for (let j = i + 1; j < x.length; j++) {
      const a = Math.sign(x[i] - x[j]);
      const b = Math.sign(y[i] - y[j]);
      if (a === 0) counts.tiedX++;
      if (b === 0) counts.tiedY++;
      if (a * b > 0) counts.concordant++;
      else if (a * b < 0) counts.discordant++;
    }
  }
  return counts;
}

/**
 * Kendall's tau-b, with p as scipy.stats.kendalltau: exact without ties (n up to 33, or at most one discordant or concordant
 * pair), else from the normal limit with the variance corrected for ties (Kendall, Rank Correlation Methods, 1970).
 *
 * @throws ForetuneError `invalid-data` for fewer than 2 pairs, NaN or constant values
 */
export function kendall(x: ArrayLike<number>, y: ArrayLike<number>): Correlation {
  check(x, y, 2);
  const n = x.length;
  const pairs = (n * (n - 1)) / 2;
  const counts = countPairs(x, y);
  const { concordant, discordant, tiedX, tiedY } = counts;
  const difference = concordant - discordant;
  const value = tauB(counts, pairs);
  const rarer = Math.min(discordant, pairs - discordant);
  if (tiedX === 0 && tiedY === 0 && (n <= 33 || rarer <= 1)) return { value, p: exactKendallP(n, rarer) };
  const [a, b] = [tieSums(x), tieSums(y)];
  const m = n * (n - 1);
  const variance =
    (m * (2 * n + 5) - a.five - b.five) / 18 + (2 * tiedX * tiedY) / m + (n > 2 ? (a.three * b.three) / (9 * m * (n - 2)) : 0);
  return { value, p: normalTwoSided(difference / Math.sqrt(variance)) };
}

/** Sums over groups of t equal values: t(t-1)(t-2) and t(t-1)(2t+5). */
function tieSums(values: ArrayLike<number>): { three: number; five: number } {
  const sizes = new Map<number, number>();
  for (const value of Array.from(values)) sizes.set(value, (sizes.get(value) ?? 0) + 1);
  let three = 0;
  let five = 0;
  for (const t of sizes.values()) {
    three += t * (t - 1) * (t - 2);
    five += t * (t - 1) * (2 * t + 5);
  }
  return { three, five };
}

/** Two-sided p of at most `inversions` inversions (or as few non-inversions) in a random permutation of n. */
function exactKendallP(n: number, inversions: number): number {
  // Share of the permutations of 1..m with i inversions, built up by inserting one element after the other.
  let shares = new Float64Array(inversions + 1);
  shares[0] = 1;
  for (let m = 2; m <= n; m++) {
    const next = new Float64Array(inversions + 1);
    for (let i = 0; i <= inversions; i++) {
      for (let back = 0; back < m && back <= i; back++) next[i] += shares[i - back] / m;
    }
    shares = next;
  }
  return Math.min(1, 2 * shares.reduce((sum, share) => sum + share, 0));
}

/**
 * Kendall's tau with hyperbolic weights (Vigna, WWW 2015), as scipy.stats.weightedtau by default: an exchange of ranks r and s
 * (0 is the largest value) weighs 1/(r+1) + 1/(s+1), and the mean is taken of ranking by x (ties by y) and by y (ties by x).
 * Larger must be better on both sides: negate ranks and error rates first. It has no p-value.
 *
 * @throws ForetuneError `invalid-data` for fewer than 2 pairs, NaN or constant values
 */
export function weightedKendall(x: ArrayLike<number>, y: ArrayLike<number>): number {
  check(x, y, 2);
  return 0.5 * (weightedTau(x, y, decreasingRanks(x, y)) + weightedTau(x, y, decreasingRanks(y, x)));
}

function decreasingRanks(first: ArrayLike<number>, second: ArrayLike<number>): Float64Array {
  const order = Array.from(first, (_, i) => i).sort((a, b) => first[b] - first[a] || second[b] - second[a]);
  const ranks = new Float64Array(order.length);
  order.forEach((i, rank) => (ranks[i] = rank));
  return ranks;
}

function weightedTau(x: ArrayLike<number>, y: ArrayLike<number>, ranks: Float64Array): number {
  let both = 0;
  let xs = 0;
  let ys = 0;
  for (let i = 0; i < x.length; i++) {
    for (let j = i + 1; j < x.length; j++) {
      const weight = 1 / (ranks[i] + 1) + 1 / (ranks[j] + 1);
      const a = Math.sign(x[i] - x[j]);
      const b = Math.sign(y[i] - y[j]);
      both += weight * a * b;
      xs += weight * a * a;
      ys += weight * b * b;
    }
  }
  return both / Math.sqrt(xs * ys);
}
