import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

/** How often each group of utterances counts in one replicate of a score. */
export type GroupWeights = Int32Array;

/** Leaving each group out in turn. */
export function leaveOneOutWeights(groups: number): GroupWeights[] {
  return Array.from({ length: groups }, (_, out) => Int32Array.from({ length: groups }, (__, g) => (g === out ? 0 : 1)));
}

/** Drawing as many groups as there are, with replacement. Equal seeds give equal draws, so that replicates of two models are pairs. */
export function bootstrapWeights(groups: number, draws: number, seed: number | string): GroupWeights[] {
  const random = createRandom(`${seed}/bootstrap`);
  return Array.from({ length: draws }, () => {
    const weights = new Int32Array(groups);
    for (let i = 0; i < groups; i++) weights[random.below(groups)]++;
    return weights;
  });
}

/** The p-quantile of sorted numbers, linearly between neighbours. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/**
 * 95 % interval from bootstrap replicates: their percentiles, moved so that their mean lies on the score. Groups drawn twice repeat
 * samples, which moves many scores (the evidence above all) as a whole; that shift is no uncertainty.
 *
 * @throws ForetuneError `invalid-data` for fewer than 20 replicates
 */
export function bootstrapInterval(value: number, replicates: readonly number[]): { low: number; high: number; se: number } {
  const count = replicates.length;
  if (count < 20)
    throw new ForetuneError('invalid-data', `A bootstrap interval needs at least 20 replicates, there are ${count}.`);
  const mean = replicates.reduce((sum, replicate) => sum + replicate / count, 0);
  const moved = replicates.map((replicate) => replicate - mean + value).sort((a, b) => a - b);
  const variance = moved.reduce((sum, replicate) => sum + (replicate - value) ** 2, 0) / (count - 1);
  return { low: quantile(moved, 0.025), high: quantile(moved, 0.975), se: Math.sqrt(variance) };
}
