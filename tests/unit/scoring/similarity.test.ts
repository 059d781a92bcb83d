import { describe, expect, it } from 'vitest';

import { logMelFilterbank, poolToFrames } from '#main/audio/filterbank.ts';
import { neighbourProbabilities, tsne } from '#main/linalg/tsne.ts';
import { fitUnits, normalisedInformation, unitInformation } from '#main/scoring/mutualInformation.ts';
import { fitNleep } from '#main/scoring/nleep.ts';
import { fitParc } from '#main/scoring/parc.ts';
import { pwcca } from '#main/scoring/pwcca.ts';
import { chooseRows, everyRow } from '#main/scoring/samples.ts';
import { tsneDistance } from '#main/scoring/tsneDistance.ts';

import golden from '../../golden/scoring/similarity.json' with { type: 'json' };
import { Lcg, makeCase } from './data.ts';

const matrix = (rows: number[][]) => ({ features: Float64Array.from(rows.flat()), n: rows.length, d: rows[0].length });
const x = matrix(golden.X);
const y = matrix(golden.Y);

describe('PWCCA', () => {
  // Made by QR and SVD of the data; the product goes through Gram matrices with a ridge of 1e-10, which costs some digits.
  it('equals the literal form', () => {
    expect(pwcca(x, y)).toBeCloseTo(golden.pwcca, 7);
    expect(pwcca(y, x)).toBeCloseTo(golden.pwcca, 7);
  });

  it('is 1 of a set with itself, and does not see an invertible map of the wider view', () => {
    expect(pwcca(x, x)).toBeCloseTo(1, 7);
    const random = new Lcg(3);
    const map = Array.from({ length: 49 }, (_, i) => random.bell() + (i % 8 === 0 ? 3 : 0));
    const mapped = new Float64Array(y.n * 7);
    for (let r = 0; r < y.n; r++)
      for (let i = 0; i < 7; i++) for (let j = 0; j < 7; j++) mapped[r * 7 + i] += y.features[r * 7 + j] * map[j * 7 + i];
    expect(pwcca(x, { ...y, features: mapped })).toBeCloseTo(golden.pwcca, 6);
  });

  it('refuses what it cannot compare', () => {
    expect(() => pwcca(x, { ...y, features: y.features.slice(7), n: 59 })).toThrow(/60 in one set and 59/);
    const few = { features: x.features.slice(0, 25), n: 5, d: 5 };
    expect(() => pwcca(few, few)).toThrow(/5 samples of 5 dimensions/);
  });
});

describe('units', () => {
  it('tell as much of the labels as a contingency table says', () => {
    expect(normalisedInformation(golden.units, golden.labels)).toBeCloseTo(golden.information, 12);
    expect(normalisedInformation(golden.labels, golden.labels)).toBeCloseTo(1, 12);
    expect(() => normalisedInformation([0, 1], [2, 2])).toThrow(/same label/);
  });

  it('of separated classes tell them, of noise next to nothing', () => {
    const clear = makeCase({ seed: 1, n: 300, d: 6, k: 3, noise: 0.1, signal: 3 });
    const noise = makeCase({ seed: 1, n: 300, d: 6, k: 3, noise: 1, signal: 0 });
    expect(unitInformation({ ...clear, seed: 0 })).toBeGreaterThan(0.99);
    expect(unitInformation({ ...noise, seed: 0 })).toBeLessThan(0.15);
    expect(() => unitInformation({ ...clear, seed: 0 }, { clusters: 301 })).toThrow(/301 k-means units/);
  });
});

describe('what is learnt once', () => {
  it('scores all rows as the score itself, and some of them without learning again', () => {
    const { features, n, d, classes, k } = makeCase({ seed: 5, n: 90, d: 4, k: 3, noise: 0.5, signal: 1 });
    const half = everyRow(n).filter((row) => row % 2 === 0);
    const own = half.map((row) => classes[row]);
    for (const fit of [fitUnits, fitNleep, fitParc]) {
      const score = fit({ features, n, d, k, seed: 3 });
      expect(score(everyRow(n), classes, k)).toBe(fit({ features, n, d, k, seed: 3 })(everyRow(n), classes, k));
      expect(Number.isFinite(score(half, own, k))).toBe(true);
      // Learnt from half of the rows alone the space is another one.
      const alone = fit({ features: chooseRows({ features, d }, half), n: half.length, d, k, seed: 3 });
      expect(alone(everyRow(half.length), own, k)).not.toBe(score(half, own, k));
    }
  });
});

describe('t-SNE', () => {
  it('gives every point the perplexity asked for', () => {
    // 1e-5 nats of entropy is where the search ends, here and in scikit-learn.
    const p = neighbourProbabilities(x.features.slice(0, 100), 20, 5, golden.neighbourPerplexity);
    golden.neighbours.flat().forEach((value, i) => expect(p[i]).toBeCloseTo(value, 5));
  });

  it('keeps clusters apart and repeats itself', () => {
    const { features, n, d, classes } = makeCase({ seed: 2, n: 60, d: 5, k: 2, noise: 0.2, signal: 6 });
    const { embedding, divergence } = tsne(features, n, d, { iterations: 500 });
    expect(divergence).toBeLessThan(1);
    const distance = (i: number, j: number) =>
      Math.hypot(embedding[2 * i] - embedding[2 * j], embedding[2 * i + 1] - embedding[2 * j + 1]);
    for (let i = 0; i < n; i++) {
      const nearest = Array.from({ length: n }, (_, j) => j)
        .filter((j) => j !== i)
        .sort((a, b) => distance(i, a) - distance(i, b))[0];
      expect(classes[nearest]).toBe(classes[i]);
    }
    expect(tsne(features, n, d, { iterations: 500 }).embedding).toEqual(embedding);
  });

  it('distance is zero on equal sets, and refuses fewer than four rows', () => {
    expect(tsneDistance(x, x, { iterations: 100 })).toBe(0);
    expect(tsneDistance(x, y, { iterations: 100 })).toBeGreaterThan(0);
    expect(() => tsneDistance(x, { features: new Float64Array([1, 2, 3]), n: 3, d: 1 })).toThrow(/at least 4 samples/);
  });
});

describe('the filterbank', () => {
  const wave = Float32Array.from(
    { length: 1600 },
    (_, i) => 0.4 * Math.sin((2 * Math.PI * 440 * i) / 16000) + 0.2 * Math.sin((2 * Math.PI * 2500 * i) / 16000),
  );

  it("equals NumPy's spectrum in SciPy's window", () => {
    const { values, frames } = logMelFilterbank(wave, 16000, 8);
    expect(frames).toBe(golden.filterbank.length);
    // Values are kept in float32.
    golden.filterbank.flat().forEach((value, i) => expect(values[i]).toBeCloseTo(value, 3));
  });

  it('is averaged to the frames of an encoder by time', () => {
    const bank = { values: Float32Array.of(1, 2, 3, 4, 5, 6), frames: 6, bands: 1, first: 0.0125, hop: 0.01 };
    // Frames every 20 ms from 12.5 ms on see the bank's frames within 10 ms of their centres.
    expect([...poolToFrames(bank, 3, (frame) => 0.0125 + 0.02 * frame)]).toEqual([1.5, 3, 5]);
    expect([...poolToFrames(bank, 1, () => 9)]).toEqual([6]);
  });
});
