import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { quantile } from './bootstrap.ts';
import { kendall, kendallTau, spearman, spearmanRho, weightedKendall } from './correlation.ts';
import { averageRanks, pearson } from './ranks.ts';

export interface Interval {
  low: number;
  high: number;
}

/** How well scores and truth agree over n pairs. On both sides larger is better. */
export interface RankAgreement {
  n: number;
  /** `p` as SciPy has it, from Student's t; `exact` over all orders, where there are at most 8 pairs and t is a poor guide. */
  spearman: { value: number; p: number; exact: number | null; interval: Interval | null };
  kendall: { value: number; p: number; interval: Interval | null };
  weightedKendall: { value: number; interval: Interval | null };
  /** Pairs of items with equal scores, and with equal truth. */
  tiedScores: number;
  tiedTruth: number;
  notes: string[];
}

export interface AgreementOptions {
  /** Draws of pairs with replacement for the 95 % intervals. */
  resamples?: number;
  seed?: number | string;
  /** What each pair belongs to, such as the model of a layer: whole clusters are then drawn, since their pairs are not independent. */
  clusters?: readonly string[];
}

/** Below this many pairs a resampled interval says nothing. */
const fewestForInterval = 5;
/** Below this many clusters pairs are drawn one by one. */
const fewestClusters = 3;
/** Up to this many pairs all orders can be gone through. */
const mostForExact = 8;

function tiedPairs(values: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < values.length; i++) counts.set(values[i], (counts.get(values[i]) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum + (count * (count - 1)) / 2, 0);
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}

/**
 * Spearman's rho and Kendall's tau-b with two-sided p as SciPy gives them, LogME's weighted tau, and 95 % percentile intervals from
 * drawing pairs (models, or layers) with replacement; draws in which one side is constant are drawn again.
 *
 * @throws ForetuneError `invalid-data` for fewer than 3 pairs, NaN or constant values
 */
export function rankAgreement(
  scores: ArrayLike<number>,
  truth: ArrayLike<number>,
  { resamples = 1000, seed = 0, clusters }: AgreementOptions = {},
): RankAgreement {
  const n = scores.length;
  const rho = spearman(scores, truth);
  const tau = kendall(scores, truth);
  const weighted = weightedKendall(scores, truth);
  const [tiedScores, tiedTruth] = [tiedPairs(scores), tiedPairs(truth)];
  const notes: string[] = [];
  if (n < fewestForInterval) notes.push(`${n} pairs are too few for an interval.`);
  else if (n < 10) notes.push(`With ${n} pairs the intervals are wide and rough.`);
  if (tiedScores > 0) notes.push(`${tiedScores} pair${tiedScores === 1 ? '' : 's'} of equal scores.`);
  if (tiedTruth > 0) notes.push(`${tiedTruth} pair${tiedTruth === 1 ? '' : 's'} of equal truth.`);
  const members = memberships(n, clusters);
  if (clusters && members.length === n && new Set(clusters).size < n)
    notes.push('Pairs of one model are not independent, so p and the intervals are optimistic.');
  else if (members.length < n)
    notes.push(`Intervals draw whole models (${members.length}); p takes all ${n} pairs as independent, which they are not.`);
  if (Math.abs(rho.value) === 1) notes.push('Drawing pairs anew cannot tell how sure a perfect agreement is.');
  const drawn = n < fewestForInterval ? undefined : resample(scores, truth, members, resamples, seed);
  const interval = (of: (x: number[], y: number[]) => number): Interval | null => {
    if (!drawn) return null;
    const sorted = Float64Array.from(drawn, ({ x, y }) => of(x, y)).sort();
    // A perfect agreement stays perfect however its pairs are drawn: that says nothing of how sure it is.
    if (sorted[0] === sorted[sorted.length - 1]) return null;
    return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  };
  return {
    n,
    spearman: {
      ...rho,
      exact: n <= mostForExact ? exactSpearmanP(scores, truth, rho.value) : null,
      interval: interval(spearmanRho),
    },
    kendall: { ...tau, interval: interval(kendallTau) },
    weightedKendall: { value: weighted, interval: interval(weightedKendall) },
    tiedScores,
    tiedTruth,
    notes,
  };
}

/** Pairs drawn anew. */
interface Draw {
  x: number[];
  y: number[];
}

/** Share of all orders of the truth that agree as well or better, either way round. */
function exactSpearmanP(scores: ArrayLike<number>, truth: ArrayLike<number>, rho: number): number {
  const x = averageRanks(scores);
  const y = averageRanks(truth);
  let extreme = 0;
  let all = 0;
  const visit = (at: number): void => {
    if (at === y.length) {
      all++;
      if (Math.abs(pearson(x, y)) >= Math.abs(rho) - 1e-12) extreme++;
      return;
    }
    for (let other = at; other < y.length; other++) {
      [y[at], y[other]] = [y[other], y[at]];
      visit(at + 1);
      [y[at], y[other]] = [y[other], y[at]];
    }
  };
  visit(0);
  return extreme / all;
}

/**
 * Probability that scores `a` truly agree better with the truth than scores `b` of the same items, by Spearman's rho: the share of
 * draws of pairs (or whole clusters) in which they do, ties half. Larger is better on all sides.
 *
 * @throws ForetuneError `invalid-data` for fewer than 3 items or constant values
 */
export function probabilityBetterPredictor(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  truth: ArrayLike<number>,
  { resamples = 1000, seed = 0, clusters }: AgreementOptions = {},
): number {
  const members = memberships(truth.length, clusters);
  const [first, second] = [a, b].map((scores) => resample(scores, truth, members, resamples, seed, [a, b]));
  return (
    first.reduce((sum, { x, y }, i) => {
      const lead = spearmanRho(x, y) - spearmanRho(second[i].x, second[i].y);
      return sum + (lead > 0 ? 1 : lead === 0 ? 0.5 : 0);
    }, 0) / first.length
  );
}

/** The pairs of each cluster, or each pair by itself where there are too few clusters. */
function memberships(n: number, clusters: readonly string[] | undefined): number[][] {
  const each = Array.from({ length: n }, (_, i) => i);
  const grouped = clusters && [...Map.groupBy(each, (i) => clusters[i]).values()];
  return grouped && grouped.length >= fewestClusters ? grouped : each.map((i) => [i]);
}

function resample(
  scores: ArrayLike<number>,
  truth: ArrayLike<number>,
  members: readonly number[][],
  count: number,
  seed: number | string,
  /** What must vary in a draw beside the truth: equal lists give equal draws. */
  varying: readonly ArrayLike<number>[] = [scores],
): Draw[] {
  const random = createRandom(`${seed}/agreement`);
  const draws: Draw[] = [];
  for (let attempt = 0; draws.length < count; attempt++) {
    if (attempt > 100 * count)
      throw new ForetuneError('invalid-data', `The ${scores.length} pairs are so nearly constant that they cannot be resampled.`);
    const chosen = members.flatMap(() => members[random.below(members.length)]);
    const [x, y] = [chosen.map((i) => scores[i]), chosen.map((i) => truth[i])];
    if (chosen.length < 3 || isConstant(y) || varying.some((values) => isConstant(chosen.map((i) => values[i])))) continue;
    draws.push({ x, y });
  }
  return draws;
}
