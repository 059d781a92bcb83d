import { ForetuneError } from '#shared/errors.ts';
import { type ExitRule } from '#shared/speed.ts';

/** A mean over frames as sum and count, so that means of several stretches can be joined. */
export interface FrameSum {
  sum: number;
  frames: number;
}

/**
 * Entropy of the character distribution in nats, summed over rows: H = -sum_c p_c ln p_c, p the softmax of the logits. Blank frames
 * count like all others, as published (Zaiem et al. 2023, section 2.3); uniform logits have the largest value, ln(columns).
 * @param logits rows x columns, row-major
 */
export function entropySum(logits: ArrayLike<number>, rows: number, columns: number): FrameSum {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let most = -Infinity;
    for (let i = start; i < start + columns; i++) most = Math.max(most, logits[i]);
    // H = ln Z - sum_c p_c (z_c - most), Z = sum_c e^(z_c - most)
    let [normaliser, weighted] = [0, 0];
    for (let i = start; i < start + columns; i++) {
      const above = logits[i] - most;
      const share = Math.exp(above);
      normaliser += share;
      weighted += share * above;
    }
    const entropy = Math.log(normaliser) - weighted / normaliser;
    if (!Number.isFinite(entropy))
      throw new ForetuneError('invalid-data', `The logits of frame ${row} are not finite; the model overflows on this audio.`);
    sum += entropy;
  }
  return { sum, frames: rows };
}

/** torch's cosine_similarity keeps each norm at least this. */
const leastNorm = 1e-8;

/**
 * Cosine similarity of two successive layers, summed over frames (Zaiem et al. 2023, section 2.3).
 * @param current, previous frames x width, row-major
 */
export function similaritySum(current: ArrayLike<number>, previous: ArrayLike<number>, frames: number, width: number): FrameSum {
  let sum = 0;
  for (let frame = 0; frame < frames; frame++) {
    let [product, a, b] = [0, 0, 0];
    for (let i = frame * width; i < (frame + 1) * width; i++) {
      product += current[i] * previous[i];
      a += current[i] ** 2;
      b += previous[i] ** 2;
    }
    sum += product / (Math.max(Math.sqrt(a), leastNorm) * Math.max(Math.sqrt(b), leastNorm));
  }
  return { sum, frames };
}

/** The mean over all frames of some stretches: an utterance's parts, or a batch. */
export function meanOf(stretches: readonly FrameSum[]): number {
  let [sum, frames] = [0, 0];
  for (const stretch of stretches) {
    sum += stretch.sum;
    frames += stretch.frames;
  }
  return sum / frames;
}

/** Does an exit take it? Entropy below the threshold, or similarity above it. */
export function exitFires(rule: ExitRule, value: number, threshold: number): boolean {
  return rule === 'entropy' ? value < threshold : value > threshold;
}

/**
 * The exit that is taken: the first one that fires, else the last one, whose statistic nobody asks.
 * @param values the statistic at each exit, in order; the last exit is the end of the encoder
 */
export function chooseExit(rule: ExitRule, values: readonly number[], threshold: number): number {
  const first = values.slice(0, -1).findIndex((value) => exitFires(rule, value, threshold));
  return first === -1 ? values.length - 1 : first;
}

/**
 * Exits of a whole data set under one threshold. With groups of one utterance each decides for itself; with larger ones the group's
 * mean decides for all of it, as published, where the groups were batches of 4 in order of length.
 * @param statistics [utterance][exit]
 * @returns the exit's index for every utterance
 */
export function chooseExits(
  rule: ExitRule,
  statistics: readonly (readonly FrameSum[])[],
  threshold: number,
  groups: readonly (readonly number[])[],
): number[] {
  const chosen = new Array<number>(statistics.length).fill(-1);
  for (const group of groups) {
    const exits = statistics[group[0]].length;
    const values = Array.from({ length: exits }, (_, exit) => meanOf(group.map((utterance) => statistics[utterance][exit])));
    const exit = chooseExit(rule, values, threshold);
    for (const utterance of group) chosen[utterance] = exit;
  }
  return chosen;
}

/** Groups of `size` neighbours in order of length, as batches were formed for the published figures; the data set's order for 1. */
export function groupsByLength(lengths: readonly number[], size: number): number[][] {
  const order = lengths.map((_, utterance) => utterance);
  if (size > 1) order.sort((a, b) => lengths[a] - lengths[b] || a - b);
  const groups: number[][] = [];
  for (let start = 0; start < order.length; start += size) groups.push(order.slice(start, start + size));
  return groups;
}

const significant = (value: number, digits: number): number => Number(value.toPrecision(digits));

/** How many thresholds `auto` takes. */
const gridSize = 8;

/**
 * Thresholds that spread the exits of this model evenly over its layers, from the most willing to leave on. Published grids fit one
 * model; statistics of others differ. A group passes exit k if no value up to there fires, which its extreme so far decides; the number
 * of extremes that do not fire is the sum of exits passed, so evenly placed quantiles of them give evenly placed mean exits.
 * @param values the statistic of every group at every exit but the last, [group][exit]
 */
export function thresholdGrid(rule: ExitRule, values: readonly (readonly number[])[]): number[] {
  const extremes = values.flatMap((ofGroup) => {
    let so = rule === 'entropy' ? Infinity : -Infinity;
    return ofGroup.map((value) => (so = rule === 'entropy' ? Math.min(so, value) : Math.max(so, value)));
  });
  const sorted = Float64Array.from(extremes.filter(Number.isFinite)).sort();
  if (sorted.length === 0) return [];
  const found = Array.from({ length: gridSize }, (_, step) => {
    const place = Math.floor(((step + 0.5) / gridSize) * sorted.length);
    return significant(sorted[place], rule === 'entropy' ? 3 : 4);
  });
  const ordered = [...new Set(found)].sort((a, b) => a - b);
  return rule === 'entropy' ? ordered.reverse() : ordered;
}

/** The grids of the authors' scripts (METHODS 3.2). */
export const publishedThresholds: Record<ExitRule, number[]> = {
  entropy: [0.06, 0.05, 0.04, 0.035, 0.03, 0.025, 0.02, 0.01],
  similarity: [0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.955, 0.96, 0.965, 0.97, 0.98, 0.99],
};

/** Exits as published: from the middle of the encoder on (13 to 24 of 24), so the last one is its end. */
export function defaultExits(blocks: number): number[] {
  const first = Math.max(1, Math.floor(blocks / 2) + (blocks > 2 ? 1 : 0));
  return Array.from({ length: blocks - first + 1 }, (_, i) => first + i);
}

/** What to say of a threshold that no utterance met, and of one that all met at once; nothing where it does its work. */
export function exitWarning(rule: ExitRule, threshold: number, values: readonly (readonly number[])[]): string | undefined {
  // Utterances too short for a frame have no value.
  const asked = values.flatMap((ofGroup) => ofGroup.slice(0, -1)).filter(Number.isFinite);
  if (asked.length === 0) return undefined;
  if (asked.some((value) => exitFires(rule, value, threshold))) return undefined;
  const extreme = rule === 'entropy' ? Math.min(...asked) : Math.max(...asked);
  const [side, word] = rule === 'entropy' ? ['below', 'smallest'] : ['above', 'largest'];
  return `Early exit by ${rule} ${side} ${threshold} never fires: the ${word} value at any exit is ${significant(extreme, 4)}, so every utterance runs to the end and pays for the exits on top.`;
}
