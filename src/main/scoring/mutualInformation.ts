import { kmeans } from '#main/linalg/kmeans.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type FittedScore, type LabelledSamples, type SamplesMetric } from './metric.ts';
import { checkFeatures, classCounts, everyRow } from './samples.ts';

export interface UnitOptions {
  /** k-means units; by default one per 20 samples, at least as many as classes and at most 500 (Pasad et al. take 500 for phones). */
  clusters?: number;
}

/**
 * Mutual information of two labellings over the entropy of the second, from counts: I(U; Y)/H(Y), 0 to 1. The plug-in estimate: with few
 * samples per unit chance alone lifts it, by about (units - 1)(classes - 1)/(2 n) nats, which the shuffled-label control shows.
 */
export function normalisedInformation(units: ArrayLike<number>, classes: ArrayLike<number>): number {
  const n = units.length;
  const joint = new Map<string, { unit: number; label: number; count: number }>();
  const ofUnit = new Map<number, number>();
  const ofLabel = new Map<number, number>();
  for (let i = 0; i < n; i++) {
    const [unit, label] = [units[i], classes[i]];
    const key = `${unit} ${label}`;
    const entry = joint.get(key) ?? { unit, label, count: 0 };
    entry.count++;
    joint.set(key, entry);
    ofUnit.set(unit, (ofUnit.get(unit) ?? 0) + 1);
    ofLabel.set(label, (ofLabel.get(label) ?? 0) + 1);
  }
  let information = 0;
  for (const { unit, label, count } of joint.values())
    information += (count / n) * Math.log((count * n) / (ofUnit.get(unit)! * ofLabel.get(label)!));
  let entropy = 0;
  for (const count of ofLabel.values()) entropy -= (count / n) * Math.log(count / n);
  if (!(entropy > 0))
    throw new ForetuneError('invalid-data', `All ${n} samples have the same label; at least 2 classes are needed.`);
  return Math.max(0, information) / entropy;
}

/** Learns the units from all samples; the score of some of them counts how their units and labels meet. */
export function fitUnits(
  { features, n, d, k, seed }: Omit<LabelledSamples, 'classes' | 'moments'>,
  { clusters = Math.max(k, Math.min(500, Math.floor(n / 20))) }: UnitOptions = {},
): FittedScore {
  checkFeatures({ features, n, d });
  if (!(clusters >= 2 && clusters <= n))
    throw new ForetuneError('invalid-data', `${clusters} k-means units cannot be learnt from ${n} samples.`);
  const units = kmeans(Float64Array.from(features), n, d, clusters, seed, { maxIterations: 50 });
  return (rows, classes) =>
    normalisedInformation(
      rows.map((row) => units[row]),
      classes,
    );
}

/** How much of the labels' entropy k-means units of the features tell. */
export function unitInformation(input: LabelledSamples, options: UnitOptions = {}): number {
  classCounts(input);
  return fitUnits(input, options)(everyRow(input.n), input.classes, input.k);
}

export const unitInformationMetric: SamplesMetric = {
  id: 'mi-units',
  name: 'Mutual information of k-means units',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(50 n u d) for u units, at most 500',
  source: 'Pasad, Chou & Livescu, Layer-wise Analysis of a Self-supervised Speech Representation Model, ASRU 2021',
  compute: (input) => unitInformation(input),
  fit: (input) => fitUnits(input),
};
