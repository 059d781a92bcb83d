import { createRandom } from './random.ts';

function squaredDistance(a: Float64Array, from: number, b: Float64Array, at: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += (a[from + c] - b[at + c]) ** 2;
  return sum;
}

/** Starting centres by k-means++ (Arthur & Vassilvitskii, 2007): far points are likelier. */
function seedCentres(rows: Float64Array, n: number, d: number, k: number, seed: number | string): Float64Array {
  const random = createRandom(seed);
  const centres = new Float64Array(k * d);
  const nearest = new Float64Array(n).fill(Infinity);
  let chosen = random.below(n);
  for (let c = 0; c < k; c++) {
    centres.set(rows.subarray(chosen * d, (chosen + 1) * d), c * d);
    let total = 0;
    for (let r = 0; r < n; r++) {
      nearest[r] = Math.min(nearest[r], squaredDistance(rows, r * d, centres, c * d, d));
      total += nearest[r];
    }
    let draw = random.uniform() * total;
    chosen = nearest.findIndex((distance) => (draw -= distance) < 0);
    if (chosen < 0) chosen = random.below(n);
  }
  return centres;
}

/** Clusters of rows by Lloyd's iterations from k-means++ centres; returns the cluster of each row. */
export function kmeans(
  rows: Float64Array,
  n: number,
  d: number,
  k: number,
  seed: number | string,
  { maxIterations = 300 } = {},
): Int32Array {
  const centres = seedCentres(rows, n, d, k, seed);
  const clusters = new Int32Array(n).fill(-1);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    let moved = false;
    for (let r = 0; r < n; r++) {
      let best = 0;
      let least = Infinity;
      for (let c = 0; c < k; c++) {
        const distance = squaredDistance(rows, r * d, centres, c * d, d);
        if (distance < least) [best, least] = [c, distance];
      }
      if (clusters[r] !== best) moved = true;
      clusters[r] = best;
    }
    if (!moved) break;
    const counts = new Int32Array(k);
    const sums = new Float64Array(k * d);
    for (let r = 0; r < n; r++) {
      counts[clusters[r]]++;
      for (let c = 0; c < d; c++) sums[clusters[r] * d + c] += rows[r * d + c];
    }
    // A cluster that lost all its rows keeps its centre.
    for (let e = 0; e < centres.length; e++) {
      const count = counts[Math.floor(e / d)];
      if (count > 0) centres[e] = sums[e] / count;
    }
  }
  return clusters;
}
