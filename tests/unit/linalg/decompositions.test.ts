import { describe, expect, it } from 'vitest';

import { choleskyInPlace, choleskySolve, logDeterminant } from '#main/linalg/cholesky.ts';
import { gaussianMixture } from '#main/linalg/gaussianMixture.ts';
import { kmeans } from '#main/linalg/kmeans.ts';
import { principalComponents } from '#main/linalg/principalComponents.ts';
import { sampleIndices } from '#main/linalg/sampling.ts';

import { Lcg } from '../scoring/data.ts';

describe('Cholesky', () => {
  // A = [[4, 2, 2], [2, 5, 3], [2, 3, 6]] has determinant 64 (expanded by hand).
  const packed = () => Float64Array.of(4, 2, 2, 5, 3, 6);

  it('gives determinants and solutions', () => {
    expect(logDeterminant(packed(), 3)).toBeCloseTo(Math.log(64), 13);
    const factor = packed();
    choleskyInPlace(factor, 3);
    const x = choleskySolve(factor, 3, Float64Array.of(8, 10, 11));
    expect(Array.from(x).map((value) => Number(value.toFixed(12)))).toEqual([1, 1, 1]);
  });

  it('refuses an indefinite matrix', () => {
    expect(() => logDeterminant(Float64Array.of(1, 2, 1), 2)).toThrow('pivot 1 is -3');
  });
});

/** Three balls of 30 rows around corners of a triangle, centred columns. */
function balls() {
  const random = new Lcg(3);
  const corners = [
    [4, 0, 0],
    [0, 4, 0],
    [-4, -4, 0],
  ];
  return Float64Array.from({ length: 90 * 3 }, (_, e) => corners[Math.floor(e / 90)][e % 3] + 0.3 * random.bell());
}

describe('principal components', () => {
  it('hold the variance, in descending order, and do not depend on which way they were computed', () => {
    const random = new Lcg(8);
    const [n, d] = [12, 9];
    const raw = Float64Array.from({ length: n * d }, (_, e) => random.bell() * (1 + (e % d)));
    const mean = Array.from(
      { length: d },
      (_, c) => Array.from({ length: n }, (_, r) => raw[r * d + c]).reduce((a, b) => a + b) / n,
    );
    const rows = raw.map((value, e) => value - mean[e % d]);
    const narrow = principalComponents(rows, n, d, { count: 9 });
    // Zero columns make the same rows wider than they are many.
    const padded = new Float64Array(n * 20);
    for (let r = 0; r < n; r++) padded.set(rows.subarray(r * d, (r + 1) * d), r * 20);
    const wide = principalComponents(padded, n, 20, { count: 20 });
    expect(wide.count).toBe(9);
    const total = rows.reduce((sum, value) => sum + value * value, 0) / (n - 1);
    expect(narrow.variances.reduce((a, b) => a + b)).toBeCloseTo(total, 9);
    narrow.variances.forEach((value, q) => {
      expect(wide.variances[q]).toBeCloseTo(value, 9);
      if (q > 0) expect(value).toBeLessThanOrEqual(narrow.variances[q - 1]);
    });
    // Equal up to sign.
    narrow.scores.forEach((value, e) => expect(Math.abs(wide.scores[e])).toBeCloseTo(Math.abs(value), 8));
  });

  it('keep the fewest that hold more than a share', () => {
    const rows = balls();
    expect(principalComponents(rows, 90, 3, { share: 0.99 }).count).toBe(2);
    expect(principalComponents(rows, 90, 3, { share: 0.5 }).count).toBe(1);
  });
});

describe('clusters', () => {
  it('of k-means and of a Gaussian mixture find separate balls', () => {
    const rows = balls();
    const clusters = kmeans(rows, 90, 3, 3, 1);
    for (let r = 0; r < 90; r++) expect(clusters[r]).toBe(clusters[r - (r % 30)]);
    expect(new Set(clusters).size).toBe(3);
    const { responsibilities } = gaussianMixture(rows, 90, 3, 3, 1);
    for (let r = 0; r < 90; r++) expect(responsibilities[r * 3 + clusters[r]]).toBeCloseTo(1, 9);
  });

  it('of a mixture gain likelihood in every round', () => {
    const random = new Lcg(12);
    const rows = Float64Array.from({ length: 150 * 2 }, () => random.bell());
    const { logLikelihoods, responsibilities } = gaussianMixture(rows, 150, 2, 4, 1);
    logLikelihoods.forEach((value, i) => i > 0 && expect(value).toBeGreaterThanOrEqual(logLikelihoods[i - 1] - 1e-6));
    for (let r = 0; r < 150; r++) expect(responsibilities.subarray(r * 4, r * 4 + 4).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it('survive identical rows', () => {
    expect(() => gaussianMixture(new Float64Array(20), 10, 2, 3, 1)).not.toThrow();
  });
});

describe('sampling', () => {
  it('takes different indices in order, the same for the same seed', () => {
    const chosen = sampleIndices(1000, 50, 7);
    expect(new Set(chosen).size).toBe(50);
    chosen.forEach((index, i) => i > 0 && expect(index).toBeGreaterThan(chosen[i - 1]));
    expect(sampleIndices(1000, 50, 7)).toEqual(chosen);
    expect(Array.from(sampleIndices(3, 5, 7))).toEqual([0, 1, 2]);
  });
});
