import { choleskyInPlace } from './cholesky.ts';
import { kmeans } from './kmeans.ts';

export interface GaussianMixture {
  /** [n, components] posterior of each component for each row. */
  responsibilities: Float64Array;
  /** Mean log likelihood per row, after each iteration. */
  logLikelihoods: number[];
}

/** Added to the diagonal of every covariance, so that a component on few rows stays a Gaussian. */
const ridge = 1e-6;
const tolerance = 1e-3;
const maxIterations = 100;

/**
 * Gaussian mixture with full covariances by expectation maximisation from k-means clusters (Bishop, Pattern Recognition and
 * Machine Learning, section 9.2.2). Stops where the mean log likelihood gains less than 1e-3.
 *
 * @param rows [n, d] row-major
 */
export function gaussianMixture(
  rows: Float64Array,
  n: number,
  d: number,
  components: number,
  seed: number | string,
): GaussianMixture {
  const responsibilities = new Float64Array(n * components);
  kmeans(rows, n, d, components, seed).forEach((cluster, r) => (responsibilities[r * components + cluster] = 1));
  const logLikelihoods: number[] = [];
  const fit = { rows, n, d, components, responsibilities };
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    logLikelihoods.push(improve(fit));
    const gain = logLikelihoods[iteration] - (logLikelihoods[iteration - 1] ?? -Infinity);
    if (Math.abs(gain) < tolerance) break;
  }
  return { responsibilities, logLikelihoods };
}

/** Below its row's best by more than this, a log density gives a responsibility of exactly 0 in float64. */
const vanishing = 746;

/** What is fitted, and how far it has come. */
interface Fit {
  /** [n, d] */
  rows: Float64Array;
  n: number;
  d: number;
  components: number;
  /** [n, components] */
  responsibilities: Float64Array;
}

/** One round: parameters from the responsibilities, then responsibilities from the parameters. Returns the mean log likelihood per row. */
function improve(fit: Fit): number {
  const { rows, n, d, components, responsibilities } = fit;
  const logDensities = new Float64Array(n * components);
  const centres = Array.from({ length: components }, (_, g) => centreOf(fit, g));
  const best = leastDensities(centres, fit);
  const x = new Float64Array(d);
  for (const [g, centre] of centres.entries()) {
    const { weight, mean } = centre;
    const covariance = covarianceOf(fit, g, centre);
    choleskyInPlace(covariance, d);
    let logDeterminant = 0;
    for (let k = 0, row = 0; k < d; row += d - k, k++) logDeterminant += Math.log(covariance[row]);
    const constant = Math.log(weight) - 0.5 * d * Math.log(2 * Math.PI) - logDeterminant;
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < d; c++) x[c] = rows[r * d + c] - mean[c];
      const density = constant - 0.5 * whitenedSquare(covariance, d, x, 2 * (constant - best[r] + vanishing));
      logDensities[r * components + g] = density;
      if (density > best[r]) best[r] = density;
    }
  }
  let total = 0;
  for (let r = 0; r < n; r++) {
    const own = logDensities.subarray(r * components, (r + 1) * components);
    const largest = own.reduce((a, b) => Math.max(a, b), -Infinity);
    let sum = 0;
    for (const value of own) sum += Math.exp(value - largest);
    const logSum = largest + Math.log(sum);
    total += logSum;
    for (let g = 0; g < components; g++) responsibilities[r * components + g] = Math.exp(own[g] - logSum);
  }
  return total / n;
}

/** A component without its covariance. */
interface Centre {
  /** Rows that it has, in shares. */
  total: number;
  weight: number;
  /** [d] */
  mean: Float64Array;
  /** Trace of the covariance. */
  trace: number;
}

function centreOf({ rows, n, d, components, responsibilities }: Fit, g: number): Centre {
  // A component without rows gets a vanishing weight instead of a division by zero.
  let total = 10 * Number.EPSILON;
  const mean = new Float64Array(d);
  for (let r = 0; r < n; r++) {
    const share = responsibilities[r * components + g];
    total += share;
    if (share > 0) for (let c = 0; c < d; c++) mean[c] += share * rows[r * d + c];
  }
  for (let c = 0; c < d; c++) mean[c] /= total;
  let trace = d * ridge;
  for (let r = 0; r < n; r++) {
    const share = responsibilities[r * components + g] / total;
    if (share > 0) for (let c = 0; c < d; c++) trace += share * (rows[r * d + c] - mean[c]) ** 2;
  }
  return { total, weight: total / n, mean, trace };
}

/**
 * What the log density of each row comes to at least under one of the components, before any covariance is known: with a share s of
 * the component's total the squared Mahalanobis distance is at most total/s, and ln det C at most d ln(tr C/d). [n]
 */
function leastDensities(centres: readonly Centre[], { n, d, components, responsibilities }: Fit): Float64Array {
  const least = new Float64Array(n).fill(-Infinity);
  for (const [g, { total, weight, trace }] of centres.entries()) {
    const constant = Math.log(weight) - 0.5 * d * (Math.log(2 * Math.PI) + Math.log(trace / d));
    for (let r = 0; r < n; r++) {
      const share = responsibilities[r * components + g];
      if (share >= leastShare * total) least[r] = Math.max(least[r], constant - (0.5 * total) / share);
    }
  }
  return least;
}

/** Of a component's total; smaller shares are left out of its covariance. */
const leastShare = 1e-12;

function covarianceOf(
  { rows, n, d, components, responsibilities }: Fit,
  g: number,
  { total, mean }: Pick<Centre, 'total' | 'mean'>,
): Float64Array {
  const covariance = new Float64Array((d * (d + 1)) / 2);
  const x = new Float64Array(d);
  for (let r = 0; r < n; r++) {
    const share = responsibilities[r * components + g] / total;
    if (share < leastShare) continue;
    for (let c = 0; c < d; c++) x[c] = rows[r * d + c] - mean[c];
    for (let i = 0, entry = 0; i < d; i++) {
      const value = share * x[i];
      for (let j = i; j < d; j++) covariance[entry++] += value * x[j];
    }
  }
  for (let k = 0, row = 0; k < d; row += d - k, k++) covariance[row] += ridge;
  return covariance;
}

/** |U'^-1 x|^2 for the packed Cholesky factor U, or some number above `limit` where it is above; x is overwritten. */
function whitenedSquare(factor: Float64Array, d: number, x: Float64Array, limit: number): number {
  let sum = 0;
  for (let k = 0, row = 0; k < d; row += d - k, k++) {
    const value = x[k] / factor[row];
    sum += value * value;
    if (sum > limit) return sum;
    for (let c = 1; c < d - k; c++) x[k + c] -= factor[row + c] * value;
  }
  return sum;
}
