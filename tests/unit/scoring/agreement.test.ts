import { describe, expect, it } from 'vitest';

import { probabilityBetterPredictor, rankAgreement } from '#main/scoring/agreement.ts';
import { kendall, spearman, weightedKendall } from '#main/scoring/correlation.ts';

import { Lcg } from './data.ts';

const random = new Lcg(9);
const truth = Array.from({ length: 30 }, () => random.bell());
const good = truth.map((value) => value + 0.2 * random.bell());
const poor = truth.map((value) => value + 3 * random.bell());

describe('agreement', () => {
  it('has the figures of the correlations, and intervals around them', () => {
    const result = rankAgreement(good, truth);
    expect(result.spearman).toMatchObject(spearman(good, truth));
    expect(result.kendall).toMatchObject(kendall(good, truth));
    expect(result.weightedKendall.value).toBe(weightedKendall(good, truth));
    for (const { value, interval } of [result.spearman, result.kendall, result.weightedKendall]) {
      expect(interval!.low).toBeLessThan(value);
      expect(interval!.high).toBeGreaterThanOrEqual(value - 0.02);
      expect(interval!.high).toBeLessThanOrEqual(1);
    }
    expect(rankAgreement(good, truth)).toEqual(result);
  });

  it('counts ties and says so', () => {
    const result = rankAgreement([1, 1, 2, 3, 4, 5], [1, 2, 3, 3, 3, 4]);
    expect([result.tiedScores, result.tiedTruth]).toEqual([1, 3]);
    expect(result.notes.join(' ')).toMatch(/1 pair of equal scores.*3 pairs of equal truth/);
  });

  it('goes through all orders of a few pairs', () => {
    // Only the right order and its reverse are as extreme: 2 of 120, and of 24.
    expect(rankAgreement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).spearman).toMatchObject({ p: 0, exact: 2 / 120, interval: null });
    expect(rankAgreement([4, 3, 2, 1], [1, 2, 3, 4]).spearman.exact).toBe(2 / 24);
    expect(rankAgreement(good, truth).spearman.exact).toBeNull();
  });

  it('draws whole models where pairs belong to models', () => {
    // Three models far apart and nothing within them: thirty pairs are worth three.
    const clusters = truth.map((_, i) => `m${i % 3}`);
    const x = truth.map((_, i) => 10 * (i % 3) + random.bell());
    const y = truth.map((_, i) => 10 * (i % 3) + random.bell());
    const naive = rankAgreement(x, y).spearman.interval!;
    const honest = rankAgreement(x, y, { clusters });
    expect(honest.spearman.interval!.high - honest.spearman.interval!.low).toBeGreaterThan(2 * (naive.high - naive.low));
    expect(honest.notes.join(' ')).toMatch(/whole models \(3\)/);
  });

  it('says which predictor is truly better, and when it cannot tell', () => {
    expect(probabilityBetterPredictor(good, poor, truth)).toBeGreaterThan(0.975);
    expect(probabilityBetterPredictor(good, good, truth)).toBe(0.5);
  });

  it('refuses too few pairs and constant truth in a sentence', () => {
    expect(() => rankAgreement([1, 2], [1, 2])).toThrow(/at least 3 pairs/);
    expect(() => rankAgreement([1, 2, 3], [4, 4, 4])).toThrow(/All 3 values are 4/);
    expect(() => rankAgreement([1, NaN, 3], [4, 5, 6])).toThrow(/NaN/);
  });
});
