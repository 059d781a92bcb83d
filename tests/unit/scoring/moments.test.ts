import { describe, expect, it } from 'vitest';

import {
  addMoments,
  addRows,
  addTargets,
  createFeatureMoments,
  createTargetMoments,
  featureMean,
  packedIndex,
  packedLength,
  rawCross,
  rawGram,
  subtractMoments,
} from '#main/scoring/moments.ts';

import { makeCase } from './data.ts';

const { features, classes, n, d, k } = makeCase({ seed: 21, n: 31, d: 6, k: 3, noise: 0.7, signal: 1, shift: 4 });

function moments(from: number, to: number, shift = new Float64Array(d).fill(4)) {
  const f = createFeatureMoments(d, shift);
  const t = createTargetMoments(k, d);
  const rows = features.slice(from * d, to * d);
  addRows(f, rows, to - from);
  addTargets(t, { classes: classes.slice(from, to) }, rows, to - from, shift);
  return { f, t };
}

describe('moments', () => {
  const all = moments(0, n);

  it('give back F F, Y F and the mean without the shift', () => {
    const gram = rawGram(all.f);
    const cross = rawCross(all.f, all.t);
    const mean = featureMean(all.f);
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let r = 0; r < n; r++) sum += features[r * d + i];
      expect(mean[i]).toBeCloseTo(sum / n, 12);
      for (let j = 0; j < d; j++) {
        let product = 0;
        for (let r = 0; r < n; r++) product += features[r * d + i] * features[r * d + j];
        expect(gram[i * d + j]).toBeCloseTo(product, 9);
      }
      for (let c = 0; c < k; c++) {
        let product = 0;
        for (let r = 0; r < n; r++) product += classes[r] === c ? features[r * d + i] : 0;
        expect(cross[c * d + i]).toBeCloseTo(product, 10);
      }
    }
    expect(Array.from(all.t.sum)).toEqual(Array.from(all.t.squares));
    expect(all.t.sum.reduce((a, b) => a + b)).toBe(n);
  });

  it('add and subtract as rows do', () => {
    const [first, rest] = [moments(0, 13), moments(13, n)];
    const left = subtractMoments(all.f, first.f);
    const leftTargets = subtractMoments(all.t, first.t);
    expect(left.n).toBe(n - 13);
    left.gram.forEach((value, e) => expect(value).toBeCloseTo(rest.f.gram[e], 10));
    leftTargets.cross.forEach((value, e) => expect(value).toBeCloseTo(rest.t.cross[e], 10));
    addMoments(rest.f, first.f);
    addMoments(rest.t, first.t);
    expect(rest.f.n).toBe(n);
    rest.f.gram.forEach((value, e) => expect(value).toBeCloseTo(all.f.gram[e], 10));
    rest.t.cross.forEach((value, e) => expect(value).toBeCloseTo(all.t.cross[e], 10));
  });

  it('index the packed triangle', () => {
    let entry = 0;
    for (let i = 0; i < d; i++) for (let j = i; j < d; j++) expect(packedIndex(d, i, j)).toBe(entry++);
    expect(packedLength(d)).toBe(entry);
  });

  it('refuse what does not belong together', () => {
    expect(() => addMoments(moments(0, n).f, moments(0, n, new Float64Array(d)).f)).toThrow('dimension 0 has 4 and 0');
    expect(() => addMoments(all.f, createFeatureMoments(3))).toThrow('6 and of 3 feature dimensions');
    expect(() => subtractMoments(all.t, createTargetMoments(2, d))).toThrow('3 and of 2 targets');
    expect(() => createFeatureMoments(3, new Float64Array(2))).toThrow('2 entries');
    expect(() => addRows(createFeatureMoments(2), [1, 2, 3], 2)).toThrow('need 4 numbers, not 3');
    const shift = new Float64Array(2);
    expect(() => addTargets(createTargetMoments(2, 2), { classes: [0, 2] }, [1, 2, 3, 4], 2, shift)).toThrow(
      'Row 1 has class index 2',
    );
  });
});
