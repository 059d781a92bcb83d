import { choleskyInPlace, choleskySolve } from '#main/linalg/cholesky.ts';
import { tridiagonalise } from '#main/linalg/tridiagonalise.ts';
import { tridiagonalEigenvalues } from '#main/linalg/tridiagonalEigenvalues.ts';

import { ForetuneError } from '#shared/errors.ts';

import { type LabelledSamples, type SamplesMetric } from './metric.ts';
import { addRows, createFeatureMoments, packedCentredGram, packedIndex } from './moments.ts';
import { checkFeatures, classCounts, classMeans } from './samples.ts';

export interface RegularisedLda {
  /** [n, k] posterior of each class for each sample. */
  posteriors: Float64Array;
  /** Share of the identity in the within-class scatter. */
  shrinkage: number;
}

/** Weight of the identity, exp(-5 sigma), sigma the largest eigenvalue of the within-class scatter, as the authors set it. */
function shrinkageOf(scatter: Float64Array, d: number): number {
  const { diagonal, offDiagonal } = tridiagonalise(Float64Array.from(scatter), d);
  return Math.max(Math.exp(-5 * tridiagonalEigenvalues(diagonal, offDiagonal)[0]), 1e-10);
}

/** Scatter within the classes over n, packed. */
function withinScatter({ features, n, d, classes }: Omit<LabelledSamples, 'seed' | 'k'>, means: Float64Array): Float64Array {
  const within = new Float64Array(n * d);
  for (let r = 0, e = 0; r < n; r++) {
    const mean = classes[r] * d;
    for (let j = 0; j < d; j++, e++) within[e] = features[e] - means[mean + j];
  }
  const moments = createFeatureMoments(d);
  addRows(moments, within, n);
  return moments.gram.map((sum) => sum / n);
}

/** The same from the scatter about the common mean, less that of the class means. Overwrites `total`. */
function withinFromTotal(
  total: Float64Array,
  { n, d, k }: { n: number; d: number; k: number },
  means: Float64Array,
  counts: Int32Array,
): Float64Array {
  const mean = new Float64Array(d);
  for (let c = 0; c < k; c++) for (let j = 0; j < d; j++) mean[j] += (counts[c] / n) * means[c * d + j];
  const away = new Float64Array(d);
  for (let c = 0; c < k; c++) {
    for (let j = 0; j < d; j++) away[j] = means[c * d + j] - mean[j];
    for (let i = 0, entry = 0; i < d; i++) {
      const weighted = counts[c] * away[i];
      for (let j = i; j < d; j++) total[entry++] -= weighted * away[j];
    }
  }
  return total.map((sum) => sum / n);
}

/**
 * Linear discriminant analysis with the regularised within-class scatter of SFDA (Shao et al., ECCV 2022, section 3.2):
 * S_w <- (1 - lambda) S_w + lambda tr(S_w)/d I, posteriors from x'S_w^-1 mu_c - mu_c'S_w^-1 mu_c / 2 + ln prior_c. All
 * discriminants are kept, so the projection W of the paper has W W' = S_w^-1 and need not be computed.
 *
 * @param shrinkage lambda; from the data where omitted
 */
export function regularisedLda(
  { features, n, d, classes, k, moments }: Omit<LabelledSamples, 'seed'>,
  shrinkage?: number,
): RegularisedLda {
  const counts = classCounts({ classes, n, k });
  const means = classMeans({ features, n, d, classes, k }, counts);
  const scatter = moments
    ? withinFromTotal(packedCentredGram(moments), { n, d, k }, means, counts)
    : withinScatter({ features, n, d, classes }, means);
  let trace = 0;
  for (let i = 0; i < d; i++) trace += scatter[packedIndex(d, i, i)];
  if (!(trace > 0)) {
    throw new ForetuneError(
      'invalid-data',
      `The features do not vary within any of the ${k} classes (${n} samples), so they have no within-class scatter.`,
    );
  }
  const lambda = shrinkage ?? shrinkageOf(scatter, d);
  for (let e = 0; e < scatter.length; e++) scatter[e] *= 1 - lambda;
  for (let i = 0; i < d; i++) scatter[packedIndex(d, i, i)] += (lambda * trace) / d;
  choleskyInPlace(scatter, d);
  const posteriors = new Float64Array(n * k);
  for (let c = 0; c < k; c++) {
    const mean = means.subarray(c * d, (c + 1) * d);
    const weights = choleskySolve(scatter, d, mean);
    let intercept = Math.log(counts[c] / n);
    for (let j = 0; j < d; j++) intercept -= 0.5 * mean[j] * weights[j];
    for (let r = 0; r < n; r++) posteriors[r * k + c] = intercept + dot(features, r * d, weights);
  }
  softmaxRows(posteriors, n, k);
  return { posteriors, shrinkage: lambda };
}

/** Of a row that begins at `from`, in four sums, which the processor adds up side by side. */
function dot(rows: Float64Array | Float32Array, from: number, weights: Float64Array): number {
  const d = weights.length;
  let [a, b, c, e] = [0, 0, 0, 0];
  let j = 0;
  for (; j + 3 < d; j += 4) {
    a += rows[from + j] * weights[j];
    b += rows[from + j + 1] * weights[j + 1];
    c += rows[from + j + 2] * weights[j + 2];
    e += rows[from + j + 3] * weights[j + 3];
  }
  for (; j < d; j++) a += rows[from + j] * weights[j];
  return a + b + (c + e);
}

/** Softmax of each row, in place. */
export function softmaxRows(values: Float64Array, n: number, k: number): void {
  for (let r = 0; r < n; r++) {
    const row = values.subarray(r * k, (r + 1) * k);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    let sum = 0;
    for (let c = 0; c < k; c++) sum += row[c] = Math.exp(row[c] - largest);
    for (let c = 0; c < k; c++) row[c] /= sum;
  }
}

/** Mean posterior of the true class. */
export function meanTruePosterior(posteriors: Float64Array, classes: Int32Array, k: number): number {
  return classes.reduce((sum, c, r) => sum + posteriors[r * k + c], 0) / classes.length;
}

/** Mean posterior of the true class under regularised LDA: the first pass of SFDA. 0 to 1. */
export function lda(input: LabelledSamples): number {
  checkFeatures(input);
  return meanTruePosterior(regularisedLda(input).posteriors, input.classes, input.k);
}

export const ldaMetric: SamplesMetric = {
  id: 'lda',
  name: 'Regularised LDA',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(n d^2 + d^3 + n k d)',
  source: 'Shao et al., Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher Space, ECCV 2022',
  compute: lda,
  takesMoments: true,
};
