import { describe, expect, it } from 'vitest';

import { normalTwoSided } from '#main/linalg/normal.ts';
import { kendall, spearman, weightedKendall } from '#main/scoring/correlation.ts';

import golden from '../../golden/scoring/scores.json' with { type: 'json' };

describe('rank correlations', () => {
  // scipy.stats spearmanr, kendalltau, weightedtau on METHODS' tables A to D and on cases with ties (golden/make/scores.py).
  for (const [name, expected] of Object.entries(golden.correlations)) {
    it(`equal SciPy's to 1e-10: ${name}`, () => {
      const { x, y } = expected;
      const close = (found: number, value: number) =>
        expect(Math.abs(found - value)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(value)));
      close(spearman(x, y).value, expected.spearman);
      close(spearman(x, y).p, expected.spearmanP);
      close(kendall(x, y).value, expected.kendall);
      close(kendall(x, y).p, expected.kendallP);
      close(weightedKendall(x, y), expected.weighted);
      // Small p-values keep their digits too.
      if (expected.spearmanP > 0) expect(Math.abs(spearman(x, y).p / expected.spearmanP - 1)).toBeLessThan(1e-9);
      if (expected.kendallP > 0) expect(Math.abs(kendall(x, y).p / expected.kendallP - 1)).toBeLessThan(1e-9);
    });
  }

  // The poster prints .69, .87, .81; METHODS recomputes .6961, .8701, .8088 from its ranks.
  it('reproduce the printed figures of table A', () => {
    const { correlations } = golden;
    const rho = (name: keyof typeof correlations) => spearman(correlations[name].x, correlations[name].y).value.toFixed(4);
    expect([
      rho('table A, tsne, printed ranks'),
      rho('table A, logme, printed ranks'),
      rho('table A, swd, printed ranks'),
    ]).toEqual(['0.6961', '0.8701', '0.8088']);
  });

  it('refuse what cannot be ranked', () => {
    expect(() => spearman([1, 2], [1, 2])).toThrow('at least 3 pairs, there are 2');
    expect(() => kendall([1, 1, 1], [1, 2, 3])).toThrow('All 3 values are 1');
    expect(() => weightedKendall([1, NaN, 3], [1, 2, 3])).toThrow('Value 1 of 3 is NaN');
    expect(() => spearman([1, 2, 3], [1, 2])).toThrow('3 and 2 values');
  });
});

describe('the normal tail', () => {
  // scipy.stats.norm.sf doubled.
  it('has all its digits', () => {
    const tails: [number, number][] = [
      [0.1, 0.920344325445942],
      [1, 0.31731050786291415],
      [1.96, 0.04999579029644087],
      [5, 5.733031437583878e-7],
      [20, 5.507248237212467e-89],
    ];
    for (const [z, p] of tails) expect(Math.abs(normalTwoSided(z) / p - 1)).toBeLessThan(1e-11);
    expect(normalTwoSided(0)).toBe(1);
    expect(normalTwoSided(-1)).toBe(normalTwoSided(1));
  });
});
