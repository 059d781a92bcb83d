import { describe, expect, it } from 'vitest';

import { jackknifeInterval, leaveOneGroupOut } from '#main/scoring/jackknife.ts';

describe('delete-one-group jackknife', () => {
  // For a mean of equal groups the jackknife is the textbook standard error of the group means, exactly.
  it('gives the standard error of a mean', () => {
    const groups = [3, 5, 4, 8, 10].map((sum) => ({ sum, n: 1 }));
    const total = { sum: 30, n: 5 };
    const result = leaveOneGroupOut(
      total,
      groups,
      ({ sum, n }) => sum / n,
      (a, b) => ({ sum: a.sum - b.sum, n: a.n - b.n }),
    );
    const se = Math.sqrt(34 / 4 / 5);
    expect(result.value).toBe(6);
    expect(result.replicates).toEqual([27 / 4, 25 / 4, 26 / 4, 22 / 4, 20 / 4]);
    expect(result.se).toBeCloseTo(se, 12);
    // t of 4 degrees of freedom at 0.975 from any table: 2.776.
    expect(result.high - result.value).toBeCloseTo(2.7764451051977987 * se, 10);
    expect(result.low).toBeCloseTo(2 * result.value - result.high, 12);
  });

  // Unequal groups, a ratio of sums: Busing's pseudo-values p_g are then the group means, and J the total mean.
  it('weighs groups of unequal size', () => {
    const groups = [
      { sum: 6, n: 2 },
      { sum: 5, n: 1 },
      { sum: 28, n: 7 },
    ];
    const total = { sum: 39, n: 10 };
    const sizes = groups.map(({ n }) => n);
    const { se } = leaveOneGroupOut(
      total,
      groups,
      ({ sum, n }) => sum / n,
      (a, b) => ({ sum: a.sum - b.sum, n: a.n - b.n }),
      sizes,
    );
    const variance = ((3 - 3.9) ** 2 / 4 + (5 - 3.9) ** 2 / 9 + (4 - 3.9) ** 2 / (3 / 7)) / 3;
    expect(se).toBeCloseTo(Math.sqrt(variance), 12);
  });

  it('is a point where all replicates agree', () => {
    expect(jackknifeInterval(2, [2, 2, 2])).toMatchObject({ se: 0, low: 2, high: 2 });
  });

  it('refuses fewer than two groups and empty ones', () => {
    expect(() => jackknifeInterval(1, [1])).toThrow('at least 2 groups');
    expect(() => jackknifeInterval(1, [1, 2], [3, 0])).toThrow('Group 1 of 2 holds 0 samples');
  });
});
