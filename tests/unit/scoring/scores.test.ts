import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { linearCka } from '#main/scoring/cka.ts';
import { gbc } from '#main/scoring/gbc.ts';
import { hscoreFromMoments, ledoitWolfShrinkage, shrinkageHscore } from '#main/scoring/hscore.ts';
import { lda } from '#main/scoring/lda.ts';
import { leep } from '#main/scoring/leep.ts';
import { addTargets, createTargetMoments } from '#main/scoring/moments.ts';
import { nce } from '#main/scoring/nce.ts';
import { nleep } from '#main/scoring/nleep.ts';
import { parc } from '#main/scoring/parc.ts';
import { momentsOfRows } from '#main/scoring/samples.ts';
import { sfda } from '#main/scoring/sfda.ts';
import { randomDirections, slicedWasserstein, wasserstein1d } from '#main/scoring/slicedWasserstein.ts';
import { transrate } from '#main/scoring/transrate.ts';

import reference from '../../golden/scoring/reference.json' with { type: 'json' };
import golden from '../../golden/scoring/scores.json' with { type: 'json' };
import { Lcg, makeCase } from './data.ts';

const small = {
  features: Float64Array.from(reference.F.flat()),
  n: 24,
  d: 4,
  classes: Int32Array.from(reference.y),
  k: 3,
  seed: 0,
};
const wide = { ...makeCase({ seed: 31, n: 60, d: 40, k: 4, noise: 0.7, signal: 1 }), seed: 0 };
const posteriors = { probabilities: Float64Array.from(reference.P.flat()), z: 3, n: 24, classes: small.classes, k: 3 };
const projected = {
  features: Float64Array.from(
    reference.F.flatMap((row) => [0, 1].map((j) => row.reduce((sum, value, i) => sum + value * reference.W[i][j], 0))),
  ),
  n: 24,
  d: 2,
};

function hscore({ features, n, d, classes, k }: typeof small): number {
  const moments = momentsOfRows({ features, n, d });
  const targets = createTargetMoments(k, d);
  addTargets(targets, { classes }, features, n, moments.shift);
  return hscoreFromMoments(moments)(targets).value;
}

function rows(from: number, to: number) {
  return { features: small.features.slice(from * 4, to * 4), n: to - from, d: 4 };
}

/** Rotates dimensions a and b of every row. */
function rotated({ features, n, d }: { features: Float64Array; n: number; d: number }, angle: number, a = 0, b = d - 1) {
  const result = Float64Array.from(features);
  for (let r = 0; r < n; r++) {
    result[r * d + a] = Math.cos(angle) * features[r * d + a] - Math.sin(angle) * features[r * d + b];
    result[r * d + b] = Math.sin(angle) * features[r * d + a] + Math.cos(angle) * features[r * d + b];
  }
  return { features: result, n, d };
}

describe('published values', () => {
  // reference.json holds what the published implementations give, in float64 but for LEEP, whose input is rounded to 1e-12.
  it('of the H-score and its shrinkage', () => {
    expect(hscore(small)).toBeCloseTo(reference.h_score, 9);
    expect(ledoitWolfShrinkage(small).shrinkage).toBeCloseTo(reference.ledoit_wolf_shrinkage, 12);
    expect(shrinkageHscore(small)).toBeCloseTo(reference.h_score_reg, 9);
  });

  it('of TransRate in both weightings', () => {
    expect(transrate(small, 'equal')).toBeCloseTo(reference['transrate_tllib_eps1e-4'], 9);
    expect(transrate(small, 'size')).toBeCloseTo(reference['transrate_weighted_eps1e-4'], 9);
  });

  it('of GBC', () => {
    expect(gbc(small, 'diagonal')).toBeCloseTo(reference.gbc_diagonal, 9);
    expect(gbc(small, 'spherical-published')).toBeCloseTo(reference.gbc_spherical_ref, 9);
  });

  it('of LEEP and NCE', () => {
    expect(leep(posteriors)).toBeCloseTo(reference.leep, 9);
    expect(nce(posteriors)).toBeCloseTo(reference.nce, 12);
  });

  it('of linear CKA', () => {
    expect(linearCka(small, projected)).toBeCloseTo(reference.cka_linear_F_vs_FW, 12);
  });

  it('of sliced Wasserstein, also with sets of different sizes', () => {
    const directions = Float64Array.from(reference.swd_dirs.flat());
    expect(slicedWasserstein(rows(0, 12), rows(12, 24), { directions })).toBeCloseTo(reference.swd_first12_vs_last12, 9);
    expect(slicedWasserstein(rows(0, 16), rows(16, 24), { directions })).toBeCloseTo(reference.swd_first16_vs_last8, 9);
  });
});

describe('independent values', () => {
  // scores.json: the same formulas in NumPy and SciPy the long way (golden/make/scores.py). Both in float64; PARC ranks pairs
  // whose distances differ by rounding only, which moves its ties.
  it('of LDA and SFDA', () => {
    expect(lda(small)).toBeCloseTo(golden.small.lda, 9);
    expect(sfda(small)).toBeCloseTo(golden.small.sfda, 9);
    expect(lda(wide)).toBeCloseTo(golden.wide.lda, 9);
    expect(sfda(wide)).toBeCloseTo(golden.wide.sfda, 9);
  });

  it('of PARC, with and without principal components', () => {
    expect(parc(small)).toBeCloseTo(golden.small.parc, 6);
    expect(parc(wide)).toBeCloseTo(golden.wide.parc, 6);
  });

  it('of spherical GBC and debiased CKA', () => {
    expect(gbc(small, 'spherical')).toBeCloseTo(golden.small.gbcSpherical, 9);
    expect(linearCka(small, projected, { debiased: true })).toBeCloseTo(golden.small.ckaDebiased, 10);
    const firstFive = { features: wide.features.filter((_, e) => e % 40 < 5), n: 60, d: 5 };
    expect(linearCka(wide, firstFive, { debiased: true })).toBeCloseTo(golden.wide.ckaDebiased, 10);
  });
});

describe('properties', () => {
  const angles = fc.double({ min: -3, max: 3, noNaN: true });

  it('rotation leaves H-score, TransRate, LDA, SFDA, CKA and debiased CKA alone', () => {
    fc.assert(
      fc.property(angles, (angle) => {
        const turned = { ...small, ...rotated(small, angle) };
        expect(hscore(turned)).toBeCloseTo(reference.h_score, 9);
        expect(shrinkageHscore(turned)).toBeCloseTo(reference.h_score_reg, 9);
        expect(transrate(turned, 'equal')).toBeCloseTo(reference['transrate_tllib_eps1e-4'], 9);
        expect(lda(turned)).toBeCloseTo(golden.small.lda, 9);
        expect(sfda(turned)).toBeCloseTo(golden.small.sfda, 9);
        expect(linearCka(turned, projected)).toBeCloseTo(reference.cka_linear_F_vs_FW, 10);
        expect(linearCka(turned, projected, { debiased: true })).toBeCloseTo(golden.small.ckaDebiased, 9);
      }),
      { numRuns: 20 },
    );
  });

  it('CKA of a set with itself, scaled and shifted, is 1', () => {
    const changed = { ...small, features: small.features.map((value, e) => 3 * value + (e % 4)) };
    expect(linearCka(small, changed)).toBeCloseTo(1, 12);
    expect(linearCka(small, changed, { debiased: true })).toBeCloseTo(1, 12);
  });

  it('CKA is the same through kernels and through cross products', () => {
    // 60 samples of 40 dimensions go through one path, the same columns tiled to 80 through the other.
    const tiled = {
      features: Float64Array.from({ length: 60 * 160 }, (_, e) => wide.features[Math.floor(e / 160) * 40 + (e % 40)]),
      n: 60,
      d: 160,
    };
    const firstFive = { features: wide.features.filter((_, e) => e % 40 < 5), n: 60, d: 5 };
    expect(linearCka(tiled, firstFive)).toBeCloseTo(linearCka(wide, firstFive), 10);
  });

  it('sliced Wasserstein is zero on equal sets, symmetric, and a metric', () => {
    const [a, b, c] = [rows(0, 10), rows(10, 24), rows(5, 20)];
    expect(slicedWasserstein(a, a, { seed: 3 })).toBe(0);
    expect(slicedWasserstein(a, b, { seed: 3 })).toBeCloseTo(slicedWasserstein(b, a, { seed: 3 }), 12);
    expect(slicedWasserstein(a, b, { seed: 3 })).not.toBe(slicedWasserstein(a, b, { seed: 4 }));
    for (const p of [1, 2, 3]) {
      const distance = (x: typeof a, y: typeof a) => slicedWasserstein(x, y, { seed: 3, p });
      expect(distance(a, b)).toBeLessThanOrEqual(distance(a, c) + distance(c, b) + 1e-12);
    }
  });

  it('sliced Wasserstein of a shift is the shift along the directions', () => {
    const moved = { ...small, features: small.features.map((value, e) => value + (e % 4 === 2 ? 5 : 0)) };
    const directions = randomDirections(50, 4, 'any');
    const expected = Math.sqrt(directions.reduce((sum, value, e) => (e % 4 === 2 ? sum + (5 * value) ** 2 : sum), 0) / 50);
    expect(slicedWasserstein(small, moved, { directions })).toBeCloseTo(expected, 10);
  });

  it('repeating a sample does not move a distribution', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 5 }),
        (values, times) => {
          const a = Float64Array.from(values).sort();
          const repeated = Float64Array.from(values.flatMap((value) => Array.from({ length: times }, () => value))).sort();
          expect(wasserstein1d(a, repeated, 2)).toBe(0);
        },
      ),
    );
  });

  it('LEEP and NCE are at most 0, and 0 where the source class tells the label', () => {
    const random = new Lcg(9);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 6, max: 30 }), (z, n) => {
        const raw = Float64Array.from({ length: n * z }, () => random.uniform());
        const probabilities = raw.map((value, e) => {
          const from = e - (e % z);
          return value / raw.subarray(from, from + z).reduce((a, b) => a + b);
        });
        const classes = Int32Array.from({ length: n }, (_, i) => i % 3);
        expect(leep({ probabilities, n, z, classes, k: 3 })).toBeLessThanOrEqual(1e-12);
        expect(nce({ probabilities, n, z, classes, k: 3 })).toBeLessThanOrEqual(0);
      }),
    );
    const certain = Float64Array.from({ length: 24 * 4 }, (_, e) => (e % 4 === small.classes[Math.floor(e / 4)] ? 1 : 0));
    expect(leep({ ...posteriors, probabilities: certain, z: 4 })).toBe(0);
    expect(nce({ ...posteriors, probabilities: certain, z: 4 })).toBe(0);
  });

  it('N-LEEP tells separated classes from mixed ones, and repeats itself', () => {
    const clear = { ...makeCase({ seed: 41, n: 200, d: 6, k: 3, noise: 0.1, signal: 2 }), seed: 1 };
    const mixed = { ...makeCase({ seed: 41, n: 200, d: 6, k: 3, noise: 0.7, signal: 0.5 }), seed: 1 };
    expect(nleep(clear)).toBeGreaterThan(-1e-3);
    expect(nleep(mixed)).toBeLessThan(-0.1);
    expect(nleep(mixed)).toBe(nleep(mixed));
  });

  it('H-score lies between 0 and classes - 1, and copes with repeated columns', () => {
    const doubled = {
      ...small,
      features: Float64Array.from({ length: 24 * 8 }, (_, e) => small.features[Math.floor(e / 8) * 4 + (e % 4)]),
      d: 8,
    };
    expect(hscore(doubled)).toBeCloseTo(reference.h_score, 9);
    expect(hscore(small)).toBeLessThanOrEqual(2);
  });
});

describe('refusals', () => {
  it('name the class, the sample and the number', () => {
    const lonely = { ...small, classes: Int32Array.from(small.classes, (c, i) => (i === 0 ? 3 : c)), k: 4 };
    expect(() => gbc(lonely, 'diagonal')).toThrow('Class 3 has 1 sample; at least 2 are needed in each of the 4 classes.');
    expect(() => transrate({ ...small, classes: new Int32Array(24), k: 1 }, 'size')).toThrow(
      'All 24 samples have the same label',
    );
    expect(() => nleep(wide, { componentsPerClass: 16 })).toThrow('64 for 4 classes, but there are 60 samples');
    expect(() => leep({ ...posteriors, probabilities: posteriors.probabilities.map((p) => 2 * p) })).toThrow(
      'probabilities lie between 0 and 1',
    );
    expect(() => leep({ ...posteriors, probabilities: posteriors.probabilities.map((p) => 0.5 * p) })).toThrow(
      'The posteriors of sample 0 sum to 0.5',
    );
    expect(() => linearCka(small, rows(0, 12))).toThrow('24 in one set and 12 in the other');
    expect(() => slicedWasserstein(small, projected)).toThrow('4 and 2 dimensions');
    expect(() => slicedWasserstein(small, small, { p: 0.5 })).toThrow('at least 1, not 0.5');
    const perClass = small.features.map((_, e) => small.classes[Math.floor(e / 4)]);
    expect(() => lda({ ...small, features: perClass })).toThrow('do not vary within any of the 3 classes');
    const own = Int32Array.from({ length: 24 }, (_, i) => i);
    expect(() => hscore({ ...small, classes: own, k: 24 })).toThrow('a class of its own');
  });
});
