import { createRandom, type Random } from '#main/linalg/random.ts';
import { studentTTwoSided } from '#main/linalg/studentT.ts';

import { quantile } from './bootstrap.ts';
import { jackknifeInterval } from './jackknife.ts';

/** A score with its replicates over groups of utterances; those of two candidates of one run are pairs. */
export interface Replicated {
  value: number;
  replicates: readonly number[] | null;
  resampling: 'jackknife' | 'bootstrap';
}

/** Whether the replicates of two scores came from the same groups, so that their difference has replicates of its own. */
function paired(a: Replicated, b: Replicated): a is Replicated & { replicates: readonly number[] } {
  const [x, y] = [a.replicates, b.replicates];
  return x !== null && y !== null && x.length === y.length && x.length >= 2 && a.resampling === b.resampling;
}

/**
 * Probability that `a` truly lies above `b`, from the paired replicates of the difference: Student's t with G - 1 degrees of freedom on
 * its jackknife standard error, or the share of centred bootstrap draws. It weighs the uncertainty from the utterances at hand;
 * null without pairs.
 */
export function probabilityAbove(a: Replicated, b: Replicated): number | null {
  if (!paired(a, b)) return null;
  const others = b.replicates!;
  const difference = a.value - b.value;
  const replicates = a.replicates.map((replicate, i) => replicate - others[i]);
  if (a.resampling === 'bootstrap') {
    const mean = replicates.reduce((sum, replicate) => sum + replicate / replicates.length, 0);
    const above = replicates.reduce((sum, replicate) => {
      const moved = replicate - mean + difference;
      return sum + (moved > 0 ? 1 : moved === 0 ? 0.5 : 0);
    }, 0);
    return above / replicates.length;
  }
  const { se } = jackknifeInterval(difference, replicates);
  if (se === 0) return difference > 0 ? 1 : difference < 0 ? 0 : 0.5;
  const p = studentTTwoSided(difference / se, replicates.length - 1);
  return difference >= 0 ? 1 - p / 2 : p / 2;
}

export interface RankRow {
  /** Index among the candidates. */
  candidate: number;
  value: number;
  /** 1 is the best; equal scores share a rank. */
  rank: number;
  /** Probability that the candidate is the best of all. Null without paired replicates. */
  best: number | null;
  /** 95 % of the draws put the rank between these. */
  rankLow: number | null;
  rankHigh: number | null;
  /** Probability that it truly beats the next of the table; null for the last, or without pairs. */
  beatsNext: number | null;
}

export interface RankTable {
  /** Best first. */
  rows: RankRow[];
  /** [i][j]: probability that candidate i truly beats candidate j, by their index; null without pairs and on the diagonal. */
  beats: (number | null)[][];
}

export interface RankOptions {
  higherIsBetter: boolean;
  draws?: number;
  seed?: number | string;
}

/**
 * Ranks candidates and says how sure the ranks are: pairwise probabilities, the probability of being best and a 95 % range of ranks from
 * joint draws. Draws of jackknife replicates weigh the groups' pseudo-values p_g = G s - (G - 1) s_(g) with Gaussian numbers shared by
 * all candidates and divide by a chi deviate, so that every difference of two has exactly the t distribution of `probabilityAbove`; draws of bootstrap
 * replicates are the replicates themselves, centred on the score.
 */
export function rankTable(candidates: readonly Replicated[], { higherIsBetter, draws = 4000, seed = 0 }: RankOptions): RankTable {
  const sign = higherIsBetter ? 1 : -1;
  const oriented = candidates.map(({ value, replicates, resampling }): Replicated => ({
    value: sign * value,
    replicates: replicates?.map((replicate) => sign * replicate) ?? null,
    resampling,
  }));
  const beats = oriented.map((a, i) => oriented.map((b, j) => (i === j ? null : probabilityAbove(a, b))));
  const order = oriented.map((_, i) => i).sort((a, b) => oriented[b].value - oriented[a].value || a - b);
  const joint =
    oriented.length > 1 && oriented.every((other) => paired(oriented[0], other))
      ? ranksOfDraws(oriented, draws, seed)
      : undefined;
  const rows = order.map((candidate, place): RankRow => {
    const { value } = oriented[candidate];
    const ranks = joint?.[candidate];
    return {
      candidate,
      value: candidates[candidate].value,
      rank: 1 + oriented.filter((other) => other.value > value).length,
      best: ranks ? ranks.reduce((sum, rank) => sum + Number(rank === 1), 0) / ranks.length : null,
      rankLow: ranks ? Math.floor(quantile(ranks, 0.025)) : null,
      rankHigh: ranks ? Math.ceil(quantile(ranks, 0.975)) : null,
      beatsNext: place + 1 < order.length ? beats[candidate][order[place + 1]] : null,
    };
  });
  return { rows, beats };
}

/** Rank of each candidate in each draw, sorted. */
function ranksOfDraws(candidates: readonly Replicated[], draws: number, seed: number | string): Float64Array[] {
  const values = jointDraws(candidates, draws, createRandom(`${seed}/ranks`));
  const count = values[0].length;
  const ranks = candidates.map(() => new Float64Array(count));
  for (let draw = 0; draw < count; draw++) {
    for (let i = 0; i < candidates.length; i++) {
      let above = 0;
      for (const other of values) if (other[draw] > values[i][draw]) above++;
      ranks[i][draw] = 1 + above;
    }
  }
  return ranks.map((own) => own.sort());
}

/** [candidate][draw] scores as they might have come out of other utterances. */
function jointDraws(candidates: readonly Replicated[], draws: number, random: Random): Float64Array[] {
  if (candidates[0].resampling === 'bootstrap') {
    return candidates.map(({ value, replicates }) => {
      const mean = replicates!.reduce((sum, replicate) => sum + replicate / replicates!.length, 0);
      return Float64Array.from(replicates!, (replicate) => replicate - mean + value);
    });
  }
  const groups = candidates[0].replicates!.length;
  // p_g less their mean is -(G - 1)(s_(g) - s_(.)), and their sum of squares over G(G - 1) is the jackknife variance.
  const influence = candidates.map(({ replicates }) => {
    const mean = replicates!.reduce((sum, replicate) => sum + replicate / groups, 0);
    return Float64Array.from(replicates!, (replicate) => -Math.sqrt((groups - 1) / groups) * (replicate - mean));
  });
  const drawn = candidates.map(() => new Float64Array(draws));
  const weights = new Float64Array(groups);
  for (let draw = 0; draw < draws; draw++) {
    for (let g = 0; g < groups; g++) weights[g] = random.normal();
    let chiSquare = 0;
    for (let i = 1; i < groups; i++) chiSquare += random.normal() ** 2;
    const spread = Math.sqrt((groups - 1) / chiSquare);
    candidates.forEach(({ value }, i) => {
      let sum = 0;
      for (let g = 0; g < groups; g++) sum += weights[g] * influence[i][g];
      drawn[i][draw] = value + spread * sum;
    });
  }
  return drawn;
}
