import { applyReflectors } from '#main/linalg/tridiagonalise.ts';
import { createShiftedFactors, factorShifted, shiftedProducts } from '#main/linalg/tridiagonalSolve.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Factorisation, factorise } from './logme.ts';
import { type LabelledSamples, type MomentsMetric, type SamplesMetric } from './metric.ts';
import { addTargets, createTargetMoments, crossAbout, type FeatureMoments, type TargetMoments } from './moments.ts';
import { centredGram, checkFeatures, classCounts, columnMeans, type Samples } from './samples.ts';

/**
 * tr((G + ridge I)^-1 B) with G the Gram matrix of the centred features and B = sum_c s_c s_c'/n_c, s_c the sum of the centred
 * features of class c: the share of classes in the (regularised) total scatter.
 */
function scatterRatio(f: Factorisation, targets: TargetMoments, ridge: number): number {
  const { tridiagonal, scale, d, n } = f;
  if (targets.n !== n) throw new ForetuneError('mismatch', `There are ${n} samples of features but ${targets.n} of targets.`);
  const present = Array.from(targets.sum, (count, c) => ({ count, c })).filter(({ count }) => count > 0);
  if (present.some(({ count, c }) => count !== targets.squares[c])) {
    throw new ForetuneError('usage', 'The H-score needs classes; these targets are numbers.');
  }
  if (present.length < 2)
    throw new ForetuneError('invalid-data', `All ${n} samples have the same label; at least 2 classes are needed.`);
  if (present.length === n)
    throw new ForetuneError(
      'invalid-data',
      `Each of the ${n} samples has a class of its own; the H-score needs classes with several samples.`,
    );
  const sums = crossAbout(targets, f.offset);
  const right = new Float64Array(present.length * d);
  present.forEach(({ count, c }, i) => {
    for (let j = 0; j < d; j++) right[i * d + j] = sums[c * d + j] / Math.sqrt(scale * count);
  });
  applyReflectors(tridiagonal, right, present.length);
  const factors = createShiftedFactors(d);
  factorShifted(tridiagonal.diagonal, tridiagonal.offDiagonal, ridge / scale, factors);
  const products = new Float64Array(2 * present.length);
  shiftedProducts(factors, right, present.length, new Float64Array(4 * d), products);
  return present.reduce((sum, _, i) => sum + products[2 * i], 0);
}

/**
 * H-score (Bao et al., ICIP 2019): tr(cov(f)^+ cov(E[f|y])), between 0 and min(classes - 1, rank).
 *
 * Where directions are missing, a shift by the rounding of the eigenvalues stands in for the pseudo-inverse: class means lie in
 * the span of the features, so it changes nothing that the data determine.
 */
export function hscoreFromMoments(
  features: FeatureMoments,
): (targets: TargetMoments) => { value: number; rank: number; notes: string[] } {
  const f = factorise(features, { centre: true });
  const rank = f.eigenvalues.length;
  const notes =
    f.n < 2 * f.d
      ? [`The H-score is unstable with ${f.n} samples of ${f.d} dimensions; its shrinkage form is made for that.`]
      : [];
  return (targets) => ({ value: scatterRatio(f, targets, rank < f.d ? f.threshold * f.scale : 0), rank, notes });
}

/**
 * Shrinkage of a covariance towards its mean variance (Ledoit & Wolf, Journal of Multivariate Analysis 88, 2004): how much of
 * the spread of covariance entries is sampling error. Returns the moments it made on the way.
 */
export function ledoitWolfShrinkage(samples: Samples & { moments?: FeatureMoments }): {
  shrinkage: number;
  meanVariance: number;
  moments: FeatureMoments;
} {
  const { features, n, d } = samples;
  const mean = columnMeans(samples);
  const moments: FeatureMoments = { n, d, shift: mean, sum: new Float64Array(d), gram: centredGram(samples) };
  let fourth = 0;
  for (let r = 0; r < n; r++) {
    let square = 0;
    for (let c = 0; c < d; c++) square += (features[r * d + c] - mean[c]) ** 2;
    fourth += square * square;
  }
  let trace = 0;
  let frobenius = 0;
  for (let i = 0, entry = 0; i < d; i++) {
    trace += moments.gram[entry] / n;
    for (let j = i; j < d; j++, entry++) frobenius += (i === j ? 1 : 2) * (moments.gram[entry] / n) ** 2;
  }
  const meanVariance = trace / d;
  const spread = (frobenius - d * meanVariance ** 2) / d;
  const error = (fourth / n - frobenius) / (n * d);
  const shrinkage = spread > 0 ? Math.min(error, spread) / spread : 0;
  return { shrinkage, meanVariance, moments };
}

/**
 * H-score with Ledoit-Wolf shrinkage (Ibrahim, Ponomareva & Mazumder, 2022): tr(C_s^-1 (1 - s) cov(E[f|y])) with
 * C_s = (1 - s) S + s mu I. Stable where d nears n; zero at full shrinkage.
 */
export function shrinkageHscore({ features, n, d, classes, k, moments: known }: LabelledSamples): number {
  checkFeatures({ features, n, d });
  classCounts({ classes, n, k });
  const { shrinkage, meanVariance, moments } = ledoitWolfShrinkage({ features, n, d, moments: known });
  if (shrinkage >= 1) return 0;
  const targets = createTargetMoments(k, d);
  addTargets(targets, { classes }, features, n, moments.shift);
  const f = factorise(moments, { centre: true });
  // C_s^-1 (1 - s) = n (G + n ridge I)^-1 with S = G/n; cov(E[f|y]) is unbiased, so n/(n-1) remains.
  const ridge = (shrinkage * meanVariance) / (1 - shrinkage);
  return (n / (n - 1)) * scatterRatio(f, targets, n * ridge);
}

export const hscoreMetric: MomentsMetric = {
  id: 'hscore',
  name: 'H-score',
  direction: 'higher',
  needs: 'moments',
  targets: 'classification',
  cost: 'O(d^3 + k d^2), independent of n',
  source: 'Bao et al., An Information-Theoretic Approach to Transferability in Task Transfer Learning, ICIP 2019',
  prepare: hscoreFromMoments,
};

export const shrinkageHscoreMetric: SamplesMetric = {
  id: 'hscore-shrinkage',
  name: 'H-score, shrinkage',
  direction: 'higher',
  needs: 'samples',
  targets: 'classification',
  cost: 'O(n d^2 + d^3)',
  source: 'Ibrahim, Ponomareva & Mazumder, Newer is Not Always Better: Rethinking Transferability Metrics, ECML PKDD 2022',
  compute: shrinkageHscore,
  takesMoments: true,
};
