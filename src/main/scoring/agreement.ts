import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { quantile } from './bootstrap.ts';
import { kendall, spearman, weightedKendall } from './correlation.ts';

export interface Interval {
  low: number;
  high: number;
}

/** How well scores and truth agree over n pairs. On both sides larger is better. */
export interface RankAgreement {
  n: number;
  spearman: { value: number; p: number; interval: Interval | null };
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
  { resamples = 2000, seed = 0, clusters }: AgreementOptions = {},
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
  const drawn = n < fewestForInterval ? undefined : resample(scores, truth, members, resamples, seed);
  const interval = (pick: (draw: Draw) => number): Interval | null => {
    if (!drawn) return null;
    const sorted = drawn.map(pick).sort((a, b) => a - b);
    return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  };
  return {
    n,
    spearman: { ...rho, interval: interval(({ rho: value }) => value) },
    kendall: { ...tau, interval: interval(({ tau: value }) => value) },
    weightedKendall: { value: weighted, interval: interval(({ weighted: value }) => value) },
    tiedScores,
    tiedTruth,
    notes,
  };
}

interface Draw {
  rho: number;
  tau: number;
  weighted: number;
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
): Draw[] {
  const random = createRandom(`${seed}/agreement`);
  const draws: Draw[] = [];
  for (let attempt = 0; draws.length < count; attempt++) {
    if (attempt > 100 * count)
      throw new ForetuneError('invalid-data', `The ${scores.length} pairs are so nearly constant that they cannot be resampled.`);
    const chosen = members.flatMap(() => members[random.below(members.length)]);
    const [x, y] = [chosen.map((i) => scores[i]), chosen.map((i) => truth[i])];
    if (chosen.length < 3 || isConstant(x) || isConstant(y)) continue;
    draws.push({ rho: spearman(x, y).value, tau: kendall(x, y).value, weighted: weightedKendall(x, y) });
  }
  return draws;
}
