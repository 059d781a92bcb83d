import { describe, expect, it } from 'vitest';

import { logGamma, studentTQuantile, studentTTwoSided } from '#main/linalg/studentT.ts';

import golden from '../../golden/scoring/studentT.json' with { type: 'json' };

describe("Student's t", () => {
  // scipy.stats.t (golden/make/student_t.py). Relative, because tails must keep their digits: p-values of 1e-20 are reported.
  it('has the quantiles of SciPy to 1e-11', () => {
    for (const { p, df, t } of golden.quantiles) expect(Math.abs(studentTQuantile(p, df) / t - 1)).toBeLessThan(1e-11);
  });

  it('has the two-sided tails of SciPy to 1e-11', () => {
    for (const { t, df, p } of golden.twoSided) expect(Math.abs(studentTTwoSided(t, df) / p - 1)).toBeLessThan(1e-11);
  });

  it('is symmetric and handles the ends', () => {
    expect(studentTQuantile(0.025, 9)).toBeCloseTo(-studentTQuantile(0.975, 9), 12);
    expect(studentTQuantile(0.5, 9)).toBe(0);
    expect(studentTTwoSided(Infinity, 9)).toBe(0);
    expect(studentTTwoSided(-1, 9)).toBe(studentTTwoSided(1, 9));
    expect(studentTTwoSided(NaN, 9)).toBeNaN();
  });

  it('rests on a right ln Gamma', () => {
    expect(logGamma(0.5)).toBeCloseTo(0.5 * Math.log(Math.PI), 14);
    expect(logGamma(11)).toBeCloseTo(Math.log(3628800), 13);
  });
});
