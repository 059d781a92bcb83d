import { principalComponents } from './principalComponents.ts';
import { createRandom } from './random.ts';

export interface TsneOptions {
  /** Effective neighbours of a point; lowered to (n - 1)/3 where there are few points. */
  perplexity?: number;
  iterations?: number;
  seed?: number | string;
}

/** Rounds in which the attraction is exaggerated, so that clusters form before they settle. */
const early = { rounds: 250, exaggeration: 12, momentum: 0.5 };
const lateMomentum = 0.8;
const smallestGain = 0.01;

function squaredDistances(rows: Float64Array, n: number, d: number): Float64Array {
  const distances = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      let sum = 0;
      for (let c = 0; c < d; c++) sum += (rows[i * d + c] - rows[j * d + c]) ** 2;
      distances[i * n + j] = distances[j * n + i] = sum;
    }
  }
  return distances;
}

/** Joint neighbour probabilities: Gaussians whose widths give every point the same perplexity, made symmetric. [n, n] */
export function neighbourProbabilities(rows: Float64Array, n: number, d: number, perplexity: number): Float64Array {
  const distances = squaredDistances(rows, n, d);
  const conditional = new Float64Array(n * n);
  const wanted = Math.log(perplexity);
  for (let i = 0; i < n; i++) {
    const own = conditional.subarray(i * n, (i + 1) * n);
    let nearest = Infinity;
    for (let j = 0; j < n; j++) if (j !== i) nearest = Math.min(nearest, distances[i * n + j]);
    let [low, high, precision] = [0, Infinity, 1];
    for (let step = 0; step < 100; step++) {
      let sum = 0;
      let weighted = 0;
      for (let j = 0; j < n; j++) {
        // Distances beyond the nearest: the sum then cannot vanish.
        const beyond = distances[i * n + j] - nearest;
        own[j] = j === i ? 0 : Math.exp(-precision * beyond);
        sum += own[j];
        weighted += own[j] * beyond;
      }
      const entropy = Math.log(sum) + (precision * weighted) / sum;
      for (let j = 0; j < n; j++) own[j] /= sum;
      const excess = entropy - wanted;
      if (Math.abs(excess) < 1e-5) break;
      if (excess > 0) {
        low = precision;
        precision = high === Infinity ? 2 * precision : (low + high) / 2;
      } else {
        high = precision;
        precision = (low + high) / 2;
      }
    }
  }
  const joint = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) joint[i * n + j] = Math.max((conditional[i * n + j] + conditional[j * n + i]) / (2 * n), 1e-12);
  }
  return joint;
}

/** The two leading principal components, shrunk to a standard deviation of 1e-4 along the first; a seeded cloud where there are not two. */
function start(rows: Float64Array, n: number, d: number, seed: number | string): Float64Array {
  const mean = new Float64Array(d);
  rows.forEach((value, e) => (mean[e % d] += value / n));
  const centred = rows.map((value, e) => value - mean[e % d]);
  const { scores, count, variances } = principalComponents(centred, n, d, { count: 2 });
  if (count === 2) return scores.map((value) => (value / Math.sqrt(variances[0])) * 1e-4);
  const random = createRandom(seed);
  return Float64Array.from({ length: 2 * n }, () => 1e-4 * random.normal());
}

/**
 * Exact t-SNE to two dimensions (van der Maaten & Hinton, JMLR 9, 2008), with scikit-learn's defaults: start from principal
 * components, learning rate max(n/48, 50), exaggeration 12 for 250 rounds. O(n^2) per round.
 *
 * @param rows [n, d] row-major
 * @returns [n, 2] and the Kullback-Leibler divergence reached
 */
export function tsne(
  rows: Float64Array,
  n: number,
  d: number,
  { perplexity = 30, iterations = 1000, seed = 0 }: TsneOptions = {},
): { embedding: Float64Array; divergence: number } {
  const p = neighbourProbabilities(rows, n, d, Math.min(perplexity, Math.max(1.5, (n - 1) / 3)));
  const y = start(rows, n, d, seed);
  const velocity = new Float64Array(2 * n);
  const gains = new Float64Array(2 * n).fill(1);
  const gradient = new Float64Array(2 * n);
  const kernel = new Float64Array(n * n);
  const rate = Math.max(n / early.exaggeration / 4, 50);
  let divergence = 0;
  for (let round = 0; round < iterations; round++) {
    const exaggeration = round < early.rounds ? early.exaggeration : 1;
    const momentum = round < early.rounds ? early.momentum : lateMomentum;
    let total = 0;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const value = 1 / (1 + (y[2 * i] - y[2 * j]) ** 2 + (y[2 * i + 1] - y[2 * j + 1]) ** 2);
        kernel[i * n + j] = value;
        total += 2 * value;
      }
    }
    gradient.fill(0);
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const value = kernel[i * n + j];
        const pull = 4 * (exaggeration * p[i * n + j] - value / total) * value;
        const [dx, dy] = [pull * (y[2 * i] - y[2 * j]), pull * (y[2 * i + 1] - y[2 * j + 1])];
        gradient[2 * i] += dx;
        gradient[2 * i + 1] += dy;
        gradient[2 * j] -= dx;
        gradient[2 * j + 1] -= dy;
      }
    }
    for (let e = 0; e < 2 * n; e++) {
      gains[e] = Math.max(smallestGain, velocity[e] * gradient[e] < 0 ? gains[e] + 0.2 : gains[e] * 0.8);
      velocity[e] = momentum * velocity[e] - rate * gains[e] * gradient[e];
      y[e] += velocity[e];
    }
    if (round === iterations - 1) {
      for (let i = 0; i < n; i++)
        for (let j = i + 1; j < n; j++) divergence += 2 * p[i * n + j] * Math.log((p[i * n + j] * total) / kernel[i * n + j]);
    }
  }
  return { embedding: y, divergence };
}
