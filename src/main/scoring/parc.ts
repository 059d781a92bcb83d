import { principalComponents } from '#main/linalg/principalComponents.ts';
import { sampleIndices } from '#main/linalg/sampling.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type LabelledSamples, type SamplesMetric } from './metric.ts';
import { spearmanWithProperty } from './ranks.ts';
import { checkFeatures, chooseRows, classCounts, columnMeans, everyRow } from './samples.ts';

export interface ParcOptions {
  /** Principal components kept of wider features. */
  components?: number;
  /** Samples compared; a seeded subset of more. All pairs are ranked, so the cost grows with its square. */
  maxSamples?: number;
}

/**
 * PARC (Bolya, Mittapalli & Hoffman, NeurIPS 2021): 100 times the Spearman correlation between the dissimilarities (one minus
 * correlation) of samples in feature space and in label space. Features are standardised per dimension and reduced to 32
 * principal components first. -100 to 100.
 *
 * @throws ForetuneError `invalid-data` for one class among the samples compared, or a sample that is constant over dimensions
 */
export function parc(input: LabelledSamples, options: ParcOptions = {}): number {
  classCounts(input);
  return fitParc(input, options)(everyRow(input.n), input.classes);
}

/** Principal components of all samples; the score of some of them compares those in their space. */
export function fitParc(
  input: Omit<LabelledSamples, 'classes' | 'moments'>,
  { components = 32, maxSamples = 2000 }: ParcOptions = {},
): (rows: Int32Array, classes: Int32Array) => number {
  checkFeatures(input);
  if (input.d < 2)
    throw new ForetuneError('invalid-data', 'PARC correlates samples over dimensions, so it needs at least 2 dimensions.');
  const chosen = sampleIndices(input.n, maxSamples, input.seed);
  const points = correlatable(standardised(input, chosen), chosen.length, input.d, components);
  const width = points.length / chosen.length;
  const place = new Map(Array.from(chosen, (row, i) => [row, i]));
  return (rows, classes) => {
    const kept = everyRow(rows.length).filter((i) => place.has(rows[i]));
    return pairCorrelation(
      points,
      width,
      kept.map((i) => place.get(rows[i])!),
      kept.map((i) => classes[i]),
    );
  };
}

/** 100 times the Spearman correlation of dissimilarities over all pairs of the chosen points. */
function pairCorrelation(points: Float64Array, width: number, chosen: Int32Array, classes: Int32Array): number {
  const n = chosen.length;
  const pairs = (n * (n - 1)) / 2;
  const inFeatures = new Float64Array(pairs);
  const inLabels = new Uint8Array(pairs);
  for (let i = 0, pair = 0; i < n; i++) {
    const a = chosen[i] * width;
    for (let j = i + 1; j < n; j++, pair++) {
      const b = chosen[j] * width;
      let correlation = 0;
      for (let c = 0; c < width; c++) correlation += points[a + c] * points[b + c];
      inFeatures[pair] = 1 - correlation;
      // One-hot labels correlate with 1 within a class and -1/(k-1) across: two values, so ranks see only which.
      inLabels[pair] = classes[i] === classes[j] ? 0 : 1;
    }
  }
  const rho = spearmanWithProperty(inFeatures, inLabels);
  if (Number.isNaN(rho))
    throw new ForetuneError(
      'invalid-data',
      `PARC is undefined on these ${n} samples: all pairs are alike, in features or in labels.`,
    );
  return 100 * rho;
}

/** The chosen rows with mean 0 and variance 1 in every dimension that varies, [n, d]. */
function standardised({ features, d }: Pick<LabelledSamples, 'features' | 'd'>, chosen: Int32Array): Float64Array {
  const rows = chooseRows({ features, d }, chosen);
  const n = chosen.length;
  const mean = columnMeans({ features: rows, n, d });
  const square = new Float64Array(d);
  for (let e = 0; e < rows.length; e++) square[e % d] += (rows[e] -= mean[e % d]) ** 2;
  return rows.map((value, e) => (square[e % d] > 0 ? value / Math.sqrt(square[e % d] / n) : 0));
}

/** Rows with mean 0 and norm 1 over their own dimensions: their dot products are correlations. */
function correlatable(rows: Float64Array, n: number, d: number, components: number): Float64Array {
  const { scores, count } = d > components ? principalComponents(rows, n, d, { count: components }) : { scores: rows, count: d };
  for (let r = 0; r < n; r++) {
    const row = scores.subarray(r * count, (r + 1) * count);
    const mean = row.reduce((sum, value) => sum + value, 0) / count;
    const norm = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0));
    if (!(norm > 0))
      throw new ForetuneError('invalid-data', `PARC cannot compare sample ${r}: all its standardised features are equal.`);
    for (let c = 0; c < count; c++) row[c] = (row[c] - mean) / norm;
  }
  return scores;
}

export const parcMetric: SamplesMetric = {
  id: 'parc',
  name: 'PARC',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(d^3 + m^2 log m), m at most 2000 samples',
  source: 'Bolya, Mittapalli & Hoffman, Scalable Diverse Model Selection for Accessible Transfer Learning, NeurIPS 2021',
  compute: (input) => parc(input),
  fit: (input) => fitParc(input),
};
