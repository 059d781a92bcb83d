import { Matrix, SingularValueDecomposition } from 'ml-matrix';

import { createRandom } from '#main/linalg/random.ts';
import { logmeFromSamples } from '#main/scoring/logme.ts';

import { median, say } from './say.ts';

const n = 3000;
const d = 384;
const k = 50;
const rounds = 3;

/** LogME as first published: a full singular value decomposition of F, then the fixed point per class, to convergence. */
function plainLogme(features: Float64Array, labels: Int32Array): number {
  const matrix = new Matrix(n, d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) matrix.set(i, j, features[i * d + j]);
  const svd = new SingularValueDecomposition(matrix, { computeRightSingularVectors: true, autoTranspose: true });
  const u = svd.leftSingularVectors;
  const sigma = svd.diagonal.map((s) => s * s);
  let sum = 0;
  for (let c = 0; c < k; c++) {
    const x2 = sigma.map((_, j) => {
      let dot = 0;
      for (let i = 0; i < n; i++) if (labels[i] === c) dot += u.get(i, j);
      return dot * dot;
    });
    const yy = labels.reduce((count, label) => count + (label === c ? 1 : 0), 0);
    const rest = yy - x2.reduce((a, b) => a + b, 0);
    let alpha = 1;
    let beta = 1;
    let gamma = 0;
    let m2 = 0;
    let residual = 0;
    for (let step = 0; step < 500; step++) {
      const t = alpha / beta;
      gamma = m2 = 0;
      residual = rest;
      sigma.forEach((s, j) => {
        gamma += s / (s + t);
        m2 += (s * x2[j]) / (s + t) ** 2;
        residual += x2[j] / (1 + s / t) ** 2;
      });
      alpha = gamma / m2;
      beta = (n - gamma) / residual;
      if (Math.abs(alpha / beta / t - 1) < 1e-10) break;
    }
    const logDeterminant = sigma.reduce((total, s) => total + Math.log(alpha + beta * s), 0);
    sum +=
      ((d / 2) * Math.log(alpha) +
        (n / 2) * Math.log(beta) -
        0.5 * logDeterminant -
        (beta / 2) * residual -
        (alpha / 2) * m2 -
        (n / 2) * Math.log(2 * Math.PI)) /
      n;
  }
  return sum / k;
}

/** LogME of this project against the plain formulation, on the same features. */
export function benchLogme(): void {
  const random = createRandom('bench');
  const labels = Int32Array.from({ length: n }, (_, i) => i % k);
  const means = Float64Array.from({ length: k * d }, () => random.normal());
  const features = Float64Array.from(
    { length: n * d },
    (_, i) => random.normal() * 3 + means[labels[Math.floor(i / d)] * d + (i % d)],
  );
  const targets = new Float64Array(k * n);
  labels.forEach((label, i) => (targets[label * n + i] = 1));
  const ratios: number[] = [];
  let difference = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const plain = plainLogme(features, labels);
    const between = performance.now();
    const ours = logmeFromSamples(features, n, d, targets, k).value;
    ratios.push((between - start) / (performance.now() - between));
    difference = Math.abs(plain - ours);
  }
  say(
    `LogME, ${n} x ${d} features, ${k} classes: plain full-SVD formulation over ours`,
    `${median(ratios).toFixed(1)} times the time (difference ${difference.toExponential(1)})`,
  );
}
