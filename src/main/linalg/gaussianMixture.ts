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
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    improve(rows, n, d, components, responsibilities, logLikelihoods);
    const gain = logLikelihoods[iteration] - (logLikelihoods[iteration - 1] ?? -Infinity);
    if (Math.abs(gain) < tolerance) break;
  }
  return { responsibilities, logLikelihoods };
}

/** One round: parameters from the responsibilities, then responsibilities from the parameters. */
function improve(
  rows: Float64Array,
  n: number,
  d: number,
  components: number,
  responsibilities: Float64Array,
  logLikelihoods: number[],
): void {
  const logDensities = new Float64Array(n * components);
  for (let g = 0; g < components; g++) {
    const { weight, mean, covariance } = parameters(rows, n, d, components, responsibilities, g);
    choleskyInPlace(covariance, d);
    let logDeterminant = 0;
    for (let k = 0, row = 0; k < d; row += d - k, k++) logDeterminant += Math.log(covariance[row]);
    const constant = Math.log(weight) - 0.5 * d * Math.log(2 * Math.PI) - logDeterminant;
    const x = new Float64Array(d);
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < d; c++) x[c] = rows[r * d + c] - mean[c];
      logDensities[r * components + g] = constant - 0.5 * whitenedSquare(covariance, d, x);
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
  logLikelihoods.push(total / n);
}

function parameters(rows: Float64Array, n: number, d: number, components: number, responsibilities: Float64Array, g: number) {
  // A component without rows gets a vanishing weight instead of a division by zero.
  let total = 10 * Number.EPSILON;
  const mean = new Float64Array(d);
  for (let r = 0; r < n; r++) {
    const share = responsibilities[r * components + g];
    total += share;
    if (share > 0) for (let c = 0; c < d; c++) mean[c] += share * rows[r * d + c];
  }
  for (let c = 0; c < d; c++) mean[c] /= total;
  const covariance = new Float64Array((d * (d + 1)) / 2);
  const x = new Float64Array(d);
  for (let r = 0; r < n; r++) {
    const share = responsibilities[r * components + g] / total;
    if (share < 1e-12) continue;
    for (let c = 0; c < d; c++) x[c] = rows[r * d + c] - mean[c];
    for (let i = 0, entry = 0; i < d; i++) {
      const value = share * x[i];
      for (let j = i; j < d; j++) covariance[entry++] += value * x[j];
    }
  }
  for (let k = 0, row = 0; k < d; row += d - k, k++) covariance[row] += ridge;
  return { weight: total / n, mean, covariance };
}

/** |U'^-1 x|^2 for the packed Cholesky factor U; x is overwritten. */
function whitenedSquare(factor: Float64Array, d: number, x: Float64Array): number {
  let sum = 0;
  for (let k = 0, row = 0; k < d; row += d - k, k++) {
    const value = x[k] / factor[row];
    sum += value * value;
    for (let c = 1; c < d - k; c++) x[k + c] -= factor[row + c] * value;
  }
  return sum;
}
