import { describe, expect, it } from 'vitest';

import { createRandom } from '#main/linalg/random.ts';
import { linearCka } from '#main/scoring/cka.ts';
import { addMargins, ckaOfMoments, createCrossMoments, type CrossMoments } from '#main/scoring/crossMoments.ts';

const [n, dx, dy] = [60, 7, 5];
const random = createRandom('cka');
const x = Float32Array.from({ length: n * dx }, (_, i) => 3 + (i % dx) + random.normal());
const y = Float32Array.from({ length: n * dy }, (_, i) => 0.7 * x[Math.floor(i / dy) * dx + (i % dy)] + random.normal() - 40);
const shiftOf = (values: Float32Array, d: number, by: number) => Float64Array.from({ length: d }, (_, c) => values[c] + by);

/** Moments of both sets, chunk by chunk, with X'Y in plain loops. */
function momentsOf(a: Float32Array, da: number, b: Float32Array, db: number, by = 0): CrossMoments {
  const moments = createCrossMoments(da, db);
  const [s, t] = [shiftOf(a, da, by), shiftOf(b, db, -by)];
  for (let from = 0; from < n; from += 13) {
    const rows = Math.min(13, n - from);
    addMargins(moments, a.subarray(from * da), b.subarray(from * db), rows, s, t);
    for (let r = from; r < from + rows; r++)
      for (let i = 0; i < da; i++)
        for (let j = 0; j < db; j++) moments.cross[i * db + j] += (a[r * da + i] - s[i]) * (b[r * db + j] - t[j]);
  }
  return moments;
}

describe('CKA from streamed moments', () => {
  it.each([false, true])('equals CKA of all samples at once, whatever the shift (debiased: %s)', (debiased) => {
    const expected = linearCka({ features: x, n, d: dx }, { features: y, n, d: dy }, { debiased });
    for (const by of [0, 10]) {
      const [xy, xx, yy] = [momentsOf(x, dx, y, dy, by), momentsOf(x, dx, x, dx), momentsOf(y, dy, y, dy, by)];
      // Equal but for the order of float64 sums.
      expect(ckaOfMoments(xy, xx, yy, { debiased })).toBeCloseTo(expected, 10);
    }
  });

  it('is 1 of a set with itself, and refuses what cannot be compared', () => {
    const xx = momentsOf(x, dx, x, dx);
    expect(ckaOfMoments(xx, xx, xx)).toBeCloseTo(1, 12);
    expect(ckaOfMoments(xx, xx, xx, { debiased: true })).toBeCloseTo(1, 12);
    const empty = createCrossMoments(2, 2);
    expect(() => ckaOfMoments(empty, empty, empty)).toThrow('at least 2 samples, there are 0');
    const still = { ...createCrossMoments(2, 2), n: 9 };
    expect(() => ckaOfMoments(still, still, still)).toThrow('no variation');
  });
});
