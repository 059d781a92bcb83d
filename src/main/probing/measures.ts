import { bootstrapWeights, quantile } from '#main/scoring/bootstrap.ts';
import { ForetuneError } from '#shared/errors.ts';

import { hasLabel, type RowTargets } from './losses.ts';

/** How well a probe does on what it has not seen, from sums over utterances. */
export interface ProbeMeasure {
  id: 'probe-accuracy' | 'probe-r2' | 'probe-f1' | 'probe-ter';
  name: string;
  direction: 'higher' | 'lower';
  /** The formula. */
  meaning: string;
  /** Sums per utterance that the measure is made of. */
  sums: (k: number) => number;
  /** NaN where the utterances do not decide it. */
  of: (totals: Float64Array, k: number) => number;
}

export const accuracyMeasure: ProbeMeasure = {
  id: 'probe-accuracy',
  name: 'Probe accuracy',
  direction: 'higher',
  meaning: 'share of held-out samples whose class is right',
  sums: () => 2,
  of: ([hits, count]) => hits / count,
};

/** Sums: n, then for each target those of y, y^2 and the squared residual. */
export const r2Measure: ProbeMeasure = {
  id: 'probe-r2',
  name: 'Probe R²',
  direction: 'higher',
  meaning: '1 - residual / total sum of squares on held-out samples, mean over the targets that vary',
  sums: (k) => 1 + 3 * k,
  of(totals, k) {
    let [sum, varying] = [0, 0];
    for (let c = 0; c < k; c++) {
      const [y, square, residual] = totals.subarray(1 + 3 * c, 4 + 3 * c);
      const variance = square - (y * y) / totals[0];
      if (!(variance > 1e-12 * square)) continue;
      sum += 1 - residual / variance;
      varying++;
    }
    return sum / varying;
  },
};

/** Sums: right, wrongly said, wrongly not said. */
export const f1Measure: ProbeMeasure = {
  id: 'probe-f1',
  name: 'Probe F1',
  direction: 'higher',
  meaning: '2 TP / (2 TP + FP + FN) over all held-out samples and classes, said where the probability is above one half',
  sums: () => 3,
  of: ([right, excess, missed]) => (2 * right) / (2 * right + excess + missed),
};

/** Sums: errors, tokens of the references. */
export const tokenErrorMeasure: ProbeMeasure = {
  id: 'probe-ter',
  name: 'Probe token error rate',
  direction: 'lower',
  meaning: '(substitutions + deletions + insertions) / tokens of the held-out references, greedy decoding',
  sums: () => 2,
  of: ([errors, tokens]) => errors / tokens,
};

export const probeMeasures: readonly ProbeMeasure[] = [accuracyMeasure, r2Measure, f1Measure, tokenErrorMeasure];

export function measureOf(kind: RowTargets['kind']): ProbeMeasure {
  return { classification: accuracyMeasure, regression: r2Measure, 'multi-label': f1Measure }[kind];
}

/** Adds what rows say to the sums of their utterances. `z` as `lossOfRows`; `utterance` gives the place of each row's sums. */
export function addOutcomes(
  targets: RowTargets,
  start: number,
  count: number,
  z: Float64Array,
  stride: number,
  sums: Float64Array,
  utterance: (row: number) => number,
): void {
  const { k } = targets;
  const width = measureOf(targets.kind).sums(k);
  for (let i = 0; i < count; i++) {
    const row = start + i;
    if (!hasLabel(targets, row)) continue;
    const at = utterance(row) * width;
    const logits = z.subarray(i * stride, i * stride + k);
    if (targets.kind === 'classification') {
      let best = 0;
      for (let c = 1; c < k; c++) if (logits[c] > logits[best]) best = c;
      sums[at] += best === targets.classes[row] ? 1 : 0;
      sums[at + 1]++;
      continue;
    }
    if (targets.kind === 'regression') sums[at]++;
    for (let c = 0; c < k; c++) {
      const y = targets.values[row * k + c];
      if (targets.kind === 'regression') {
        sums[at + 1 + 3 * c] += y;
        sums[at + 2 + 3 * c] += y * y;
        sums[at + 3 + 3 * c] += (y - logits[c]) ** 2;
      } else {
        const said = logits[c] > 0;
        if (said && y === 1) sums[at]++;
        else if (said) sums[at + 1]++;
        else if (y === 1) sums[at + 2]++;
      }
    }
  }
}

export interface HeldOut {
  value: number;
  /** 95 % bootstrap interval over utterances; null where it cannot be had. */
  low: number | null;
  high: number | null;
  /** The measure of each draw of utterances; equal seeds and utterances give equal draws, so that those of two probes are pairs. */
  replicates: number[] | null;
}

/**
 * The measure over all utterances, and its bootstrap interval over utterances.
 *
 * @param sums [utterances, measure.sums(k)]
 * @param draws of utterances with replacement
 * @throws ForetuneError `invalid-data` where the held-out utterances do not decide it
 */
export function heldOut(
  measure: ProbeMeasure,
  k: number,
  sums: Float64Array,
  { draws, seed }: { draws: number; seed: number | string },
): HeldOut {
  const width = measure.sums(k);
  const utterances = sums.length / width;
  const weigh = (weight: (u: number) => number): number => {
    const totals = new Float64Array(width);
    for (let u = 0; u < utterances; u++) {
      const times = weight(u);
      if (times !== 0) for (let i = 0; i < width; i++) totals[i] += times * sums[u * width + i];
    }
    return measure.of(totals, k);
  };
  const value = weigh(() => 1);
  if (!Number.isFinite(value)) {
    throw new ForetuneError(
      'invalid-data',
      `The ${utterances} held-out utterances do not decide the ${measure.name.toLowerCase()} (${measure.meaning}): they carry no label, or one that never varies.`,
    );
  }
  const replicates = utterances < 2 ? [] : bootstrapWeights(utterances, draws, seed).map((weights) => weigh((u) => weights[u]));
  if (replicates.length < 20 || !replicates.every(Number.isFinite)) return { value, low: null, high: null, replicates: null };
  // Plain percentiles: sums of held-out utterances have no bias to correct, and the measure's bounds are kept.
  const sorted = replicates.toSorted((a, b) => a - b);
  return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975), replicates };
}
