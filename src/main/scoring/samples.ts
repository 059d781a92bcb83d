import { ForetuneError } from '#shared/errors.ts';

import { addRows, createFeatureMoments, type FeatureMoments, packedCentredGram } from './moments.ts';

export interface Samples {
  /** [n, d] row-major. */
  features: Float64Array | Float32Array;
  n: number;
  d: number;
}

export interface ClassedSamples extends Samples {
  /** [n] class of each row, 0 to k - 1. */
  classes: Int32Array;
  k: number;
}

/**
 * Refuses features on which no score has a meaning.
 *
 * @throws ForetuneError `mismatch` for a wrong length, `invalid-data` for too few rows, NaN or infinities (with their place),
 *   or features that never vary
 */
export function checkFeatures({ features, n, d }: Samples, what = 'features'): void {
  if (features.length !== n * d)
    throw new ForetuneError('mismatch', `${n} samples of ${d} dimensions need ${n * d} numbers, not ${features.length}.`);
  if (n < 2 || d < 1)
    throw new ForetuneError(
      'invalid-data',
      `The ${what} are ${n} samples of ${d} dimensions; at least 2 samples of 1 dimension are needed.`,
    );
  const bad = features.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new ForetuneError(
      'invalid-data',
      `Dimension ${bad % d} of sample ${Math.floor(bad / d)} of the ${what} is ${features[bad]}; every feature must be a finite number.`,
    );
  }
  const varies = features.some((value, e) => value !== features[e % d]);
  if (!varies)
    throw new ForetuneError(
      'invalid-data',
      `All ${d} dimensions of the ${what} are constant over the ${n} samples, so nothing can be said about any label.`,
    );
}

/**
 * Samples per class.
 *
 * @throws ForetuneError `invalid-data` for fewer than two classes, a class nobody has, or fewer than `least` samples in one
 */
export function classCounts({ classes, n, k }: Pick<ClassedSamples, 'classes' | 'n' | 'k'>, least = 1): Int32Array {
  if (classes.length !== n) throw new ForetuneError('mismatch', `There are ${n} samples but ${classes.length} labels.`);
  const counts = new Int32Array(k);
  for (let i = 0; i < n; i++) {
    if (!(classes[i] >= 0 && classes[i] < k))
      throw new ForetuneError('invalid-data', `Sample ${i} has class ${classes[i]}, which is none of 0 to ${k - 1}.`);
    counts[classes[i]]++;
  }
  if (k < 2) throw new ForetuneError('invalid-data', `All ${n} samples have the same label; at least 2 classes are needed.`);
  const few = counts.findIndex((count) => count < least);
  if (few >= 0) {
    throw new ForetuneError(
      'invalid-data',
      `Class ${few} has ${counts[few]} sample${counts[few] === 1 ? '' : 's'}; at least ${least} are needed in each of the ${k} classes.`,
    );
  }
  return counts;
}

/** Means of the rows, [d]. */
export function columnMeans({ features, n, d }: Samples): Float64Array {
  const mean = new Float64Array(d);
  for (let r = 0, e = 0; r < n; r++) for (let c = 0; c < d; c++) mean[c] += features[e++];
  return mean.map((sum) => sum / n);
}

/** Means of the rows of each class, [k, d]. */
export function classMeans({ features, n, d, classes, k }: ClassedSamples, counts: Int32Array): Float64Array {
  const means = new Float64Array(k * d);
  for (let r = 0, e = 0; r < n; r++) {
    const target = classes[r] * d;
    for (let c = 0; c < d; c++) means[target + c] += features[e++];
  }
  return means.map((sum, e) => sum / counts[Math.floor(e / d)]);
}

/** The rows less their mean, in float64. */
export function centredRows(samples: Samples): Float64Array {
  const { features, n, d } = samples;
  const mean = columnMeans(samples);
  const centred = new Float64Array(n * d);
  for (let r = 0, e = 0; r < n; r++) for (let c = 0; c < d; c++, e++) centred[e] = features[e] - mean[c];
  return centred;
}

/** Moments of the rows about their mean. */
export function momentsOfRows(samples: Samples): FeatureMoments {
  const moments = createFeatureMoments(samples.d, columnMeans(samples));
  addRows(moments, samples.features, samples.n);
  return moments;
}

/** Scatter of the rows about their mean, packed upper triangle; from their moments where these are known. */
export function centredGram(samples: Samples & { moments?: FeatureMoments }): Float64Array {
  return samples.moments ? packedCentredGram(samples.moments) : momentsOfRows(samples).gram;
}

/** The chosen rows of a set of samples. */
export function chooseRows({ features, d }: Pick<Samples, 'features' | 'd'>, rows: ArrayLike<number>): Float64Array {
  const chosen = new Float64Array(rows.length * d);
  for (let i = 0; i < rows.length; i++) chosen.set(features.subarray(rows[i] * d, (rows[i] + 1) * d), i * d);
  return chosen;
}

/** 0 to n - 1. */
export function everyRow(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}
