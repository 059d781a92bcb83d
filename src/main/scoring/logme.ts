import { applyReflectors, type Tridiagonal, tridiagonalise } from '#main/linalg/tridiagonalise.ts';
import { tridiagonalEigenvalues } from '#main/linalg/tridiagonalEigenvalues.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type EvidenceMaximum, maximiseEvidence } from './evidence.ts';
import { type MomentsMetric } from './metric.ts';
import {
  addRows,
  addTargets,
  createFeatureMoments,
  createTargetMoments,
  crossAbout,
  type FeatureMoments,
  packedCentredGram,
  packedIndex,
  packedLength,
  packedRawGram,
  type TargetMoments,
} from './moments.ts';

export interface LogmeOptions {
  /**
   * Takes the mean out of features and targets, which amounts to an intercept with a flat prior: the evidence is then that of
   * the n - 1 contrasts, and divided by n - 1. Off by default, as published; the score is not invariant to shifts without it.
   */
  centre?: boolean;
}

export interface LogmeTarget {
  /** Maximised log evidence / n. */
  value: number;
  /** Precision of the weights' prior; Infinity where the features explain nothing. */
  alpha: number;
  /** Precision of the noise. */
  beta: number;
  /** Effective number of weights, 0 to rank. */
  gamma: number;
  /** Evaluations of the evidence. */
  iterations: number;
}

export interface LogmeResult {
  /** Mean over the kept targets of the maximised log evidence / n. */
  value: number;
  perTarget: LogmeTarget[];
  /** Independent directions of the features. */
  rank: number;
  n: number;
  d: number;
  /** Columns left out because they are constant, such as classes that no sample has. */
  droppedTargets: number[];
  /** What a reader should know, in sentences. */
  notes: string[];
}

/** The part of LogME that depends on the features alone: shared by all label columns and the shuffled control of one layer. */
export interface Factorisation {
  form: 'gram' | 'kernel';
  n: number;
  d: number;
  centred: boolean;
  /** Mean square of the features. The Gram matrix is divided by it: LogME does not depend on scale, the thresholds must not either. */
  scale: number;
  /** [d] what to add to (f - shift) to get the rows that were factorised. */
  offset: Float64Array;
  tridiagonal: Tridiagonal;
  eigenvalues: Float64Array;
  threshold: number;
}

/** Features whose spread is below this share of their mean square are constant to rounding. */
const constantSpread = 1e-13;

function refuseFeatures(n: number, d: number, centredTrace: number, rawTrace: number): void {
  if (n < 2) throw new ForetuneError('invalid-data', `LogME needs at least 2 samples, there are ${n}.`);
  if (!Number.isFinite(rawTrace)) {
    throw new ForetuneError(
      'invalid-data',
      `The features (${n} samples of ${d} dimensions) hold NaN or infinite values; check the audio and the model.`,
    );
  }
  if (!(centredTrace > constantSpread * rawTrace)) {
    throw new ForetuneError(
      'invalid-data',
      `All ${d} features are constant over the ${n} samples; such a layer says nothing about any label.`,
    );
  }
}

function trace(packed: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += packed[packedIndex(size, i, i)];
  return sum;
}

/**
 * Tridiagonal form of a packed Gram or kernel matrix, which is overwritten.
 *
 * @param cancelled size of what was subtracted from the matrix, whose rounding stays in it
 */
function factorisePacked(
  packed: Float64Array,
  parts: Pick<Factorisation, 'form' | 'n' | 'd' | 'centred' | 'offset'>,
  cancelled = 0,
): Factorisation {
  const { form, n, d } = parts;
  const size = form === 'gram' ? d : n;
  const scale = trace(packed, size) / (n * d);
  for (let i = 0; i < packed.length; i++) packed[i] /= scale;
  const tridiagonal = tridiagonalise(packed, size);
  const all = tridiagonalEigenvalues(tridiagonal.diagonal, tridiagonal.offDiagonal);
  const threshold = Math.max(n, d) * Number.EPSILON * (all[0] + cancelled / scale);
  // n rows have rank n at most, whatever rounding makes of it.
  const eigenvalues = all.slice(0, degreesOfFreedom(parts)).filter((sigma) => sigma > threshold);
  return { ...parts, scale, tridiagonal, threshold, eigenvalues };
}

/**
 * Factorises the features of one layer from their moments: O(d^3), independent of n.
 *
 * @throws ForetuneError `invalid-data` for fewer than two samples, NaN, or features that are all constant
 */
export function factorise(features: FeatureMoments, { centre = false }: LogmeOptions = {}): Factorisation {
  const { n, d, shift, sum } = features;
  const shiftedTrace = trace(features.gram, d);
  const centredTrace = sum.reduce((rest, total) => rest - total ** 2 / n, shiftedTrace);
  const rawTrace = sum.reduce((all, total, c) => all + shift[c] * (2 * total + n * shift[c]), shiftedTrace);
  refuseFeatures(n, d, centredTrace, rawTrace);
  const offset = centre ? sum.map((total) => -total / n) : shift;
  const parts = { form: 'gram', n, d, centred: centre, offset } as const;
  if (centre) return factorisePacked(packedCentredGram(features), parts, shiftedTrace - centredTrace);
  return factorisePacked(packedRawGram(features), parts);
}

/** The columns that vary, with their sums of squares. */
function keepTargets(n: number, k: number, columns: { sum: ArrayLike<number>; squares: ArrayLike<number> }, centred: boolean) {
  const kept: number[] = [];
  const dropped: number[] = [];
  const squares: number[] = [];
  for (let column = 0; column < k; column++) {
    const square = columns.squares[column];
    if (!Number.isFinite(square))
      throw new ForetuneError('invalid-data', `Target column ${column} holds NaN or infinite values.`);
    const spread = square - columns.sum[column] ** 2 / n;
    if (spread > constantSpread * square) {
      kept.push(column);
      squares.push(centred ? spread : square);
    } else {
      dropped.push(column);
    }
  }
  if (kept.length === 0) {
    const what = k === 1 ? 'The target is the same' : 'The label is the same';
    throw new ForetuneError(
      'invalid-data',
      `${what} on all ${n} samples; LogME needs at least two classes, or a target that varies.`,
    );
  }
  return { kept, dropped, squares: Float64Array.from(squares) };
}

function describe(f: Factorisation, maxima: EvidenceMaximum[], kept: number[], dropped: number[]): LogmeResult {
  const { n, d, scale, eigenvalues } = f;
  const rank = eigenvalues.length;
  const notes: string[] = [];
  if (n < d) notes.push(`Fewer samples (${n}) than dimensions (${d}): the evidence is exact, but the score rests on few data.`);
  else if (rank < d) notes.push(`The features span ${rank} of their ${d} dimensions.`);
  if (dropped.length > 0)
    notes.push(`${dropped.length} constant target column${dropped.length > 1 ? 's were' : ' was'} left out: ${listed(dropped)}.`);
  const perfect = kept.filter((_, i) => maxima[i].perfectFit);
  if (perfect.length > 0)
    notes.push(
      `The features fit ${perfect.length} of ${kept.length} targets perfectly; their noise is held at a floor: ${listed(perfect)}.`,
    );
  const unexplained = kept.filter((_, i) => maxima[i].t === Infinity);
  if (unexplained.length > 0)
    notes.push(`The features explain nothing of ${unexplained.length} of ${kept.length} targets: ${listed(unexplained)}.`);
  return {
    value: maxima.reduce((sum, { value }) => sum + value, 0) / maxima.length,
    perTarget: maxima.map(({ value, t, beta, gamma, iterations }) => ({
      value,
      alpha: t * scale * beta,
      beta,
      gamma,
      iterations,
    })),
    rank,
    n,
    d,
    droppedTargets: dropped,
    notes,
  };
}

function listed(columns: number[]): string {
  return columns.length > 10 ? `${columns.slice(0, 10).join(', ')}, ...` : columns.join(', ');
}

function degreesOfFreedom({ n, centred }: Pick<Factorisation, 'n' | 'centred'>): number {
  return centred ? n - 1 : n;
}

/**
 * LogME of one set of targets on factorised features: O(k d^2) for the projections, O(k d) per evaluation of the evidence.
 *
 * @throws ForetuneError `mismatch` if features and targets do not count the same samples, `invalid-data` if no target varies
 */
export function logmeFromFactorisation(f: Factorisation, targets: TargetMoments): LogmeResult {
  const { n, d, scale, offset, tridiagonal } = f;
  if (targets.n !== n) throw new ForetuneError('mismatch', `There are ${n} samples of features but ${targets.n} of targets.`);
  const { kept, dropped, squares } = keepTargets(n, targets.k, targets, f.centred);
  const cross = crossAbout(targets, offset);
  const right = new Float64Array(kept.length * d);
  const root = Math.sqrt(scale);
  kept.forEach((column, i) => {
    for (let c = 0; c < d; c++) right[i * d + c] = cross[column * d + c] / root;
  });
  if (!Number.isFinite(right.reduce((sum, value) => sum + value, 0)))
    throw new ForetuneError('invalid-data', 'The cross terms of features and targets hold NaN or infinite values.');
  applyReflectors(tridiagonal, right, kept.length);
  return describe(f, maximiseEvidence({ ...f, n: degreesOfFreedom(f) }, right, squares), kept, dropped);
}

/**
 * LogME from sufficient statistics (You et al., ICML 2021 and JMLR 2022): the maximised log evidence per sample of a linear map
 * with Gaussian prior and noise, averaged over target columns.
 *
 * @throws ForetuneError as `factorise` and `logmeFromFactorisation`
 */
export function logmeFromMoments(features: FeatureMoments, targets: TargetMoments, options: LogmeOptions = {}): LogmeResult {
  return logmeFromFactorisation(factorise(features, options), targets);
}

/**
 * LogME of features in memory. With fewer samples than dimensions it works on FF' (n x n), else on F'F (d x d).
 *
 * @param features [n, d] row-major
 * @param targets [k, n], one row per target column
 * @throws ForetuneError `mismatch` for wrong lengths, `invalid-data` for NaN (with its place), constant features or targets
 */
export function logmeFromSamples(
  features: Float64Array | Float32Array,
  n: number,
  d: number,
  targets: Float64Array,
  k: number,
  { centre = false }: LogmeOptions = {},
): LogmeResult {
  if (features.length !== n * d)
    throw new ForetuneError('mismatch', `${n} samples of ${d} dimensions need ${n * d} numbers, not ${features.length}.`);
  if (targets.length !== k * n)
    throw new ForetuneError('mismatch', `${k} targets of ${n} samples need ${k * n} numbers, not ${targets.length}.`);
  const bad = features.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new ForetuneError(
      'invalid-data',
      `Feature ${bad % d} of sample ${Math.floor(bad / d)} is ${features[bad]}; every feature must be a finite number.`,
    );
  }
  if (n < d) return logmeFromKernel(features, n, d, targets, k, centre);
  const mean = columnMeans(features, n, d);
  const moments = createFeatureMoments(d, mean);
  const targetMoments = createTargetMoments(k, d);
  const values = new Float64Array(n * k);
  for (let column = 0; column < k; column++) {
    for (let r = 0; r < n; r++) values[r * k + column] = targets[column * n + r];
  }
  addRows(moments, features, n);
  addTargets(targetMoments, { values }, features, n, mean);
  return logmeFromMoments(moments, targetMoments, { centre });
}

function columnMeans(features: ArrayLike<number>, n: number, d: number): Float64Array {
  const mean = new Float64Array(d);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < d; c++) mean[c] += features[r * d + c];
  }
  return mean.map((sum) => sum / n);
}

function logmeFromKernel(
  features: ArrayLike<number>,
  n: number,
  d: number,
  targets: Float64Array,
  k: number,
  centre: boolean,
): LogmeResult {
  const mean = columnMeans(features, n, d);
  const rows = new Float64Array(n * d);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < d; c++) rows[r * d + c] = features[r * d + c] - (centre ? mean[c] : 0);
  }
  const packed = new Float64Array(packedLength(n));
  let entry = 0;
  let rawTrace = 0;
  let centredTrace = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let dot = 0;
      for (let c = 0; c < d; c++) dot += rows[i * d + c] * rows[j * d + c];
      packed[entry++] = dot;
    }
    for (let c = 0; c < d; c++) {
      rawTrace += features[i * d + c] ** 2;
      centredTrace += (features[i * d + c] - mean[c]) ** 2;
    }
  }
  refuseFeatures(n, d, centredTrace, rawTrace);
  const f = factorisePacked(packed, { form: 'kernel', n, d, centred: centre, offset: mean });

  const sum = new Float64Array(k);
  const squareSums = new Float64Array(k);
  targets.forEach((y, i) => {
    const column = Math.floor(i / n);
    sum[column] += y;
    squareSums[column] += y * y;
  });
  const { kept, dropped, squares } = keepTargets(n, k, { sum, squares: squareSums }, centre);
  const right = new Float64Array(kept.length * n);
  kept.forEach((column, i) => {
    const level = centre ? sum[column] / n : 0;
    for (let r = 0; r < n; r++) right[i * n + r] = targets[column * n + r] - level;
  });
  applyReflectors(f.tridiagonal, right, kept.length);
  return describe(f, maximiseEvidence({ ...f, n: degreesOfFreedom(f) }, right, squares), kept, dropped);
}

export const logmeMetric: MomentsMetric = {
  id: 'logme',
  name: 'LogME',
  direction: 'higher',
  needs: 'moments',
  targets: 'both',
  cost: 'O(d^3 + k d^2), independent of n',
  source: 'You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021',
  prepare(features, options) {
    const factorisation = factorise(features, options);
    return (targets) => logmeFromFactorisation(factorisation, targets);
  },
  ofSamples: logmeFromSamples,
};
