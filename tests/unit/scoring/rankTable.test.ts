import { describe, expect, it } from 'vitest';

import { createRandom } from '#main/linalg/random.ts';
import { bootstrapInterval, bootstrapWeights, leaveOneOutWeights, quantile } from '#main/scoring/bootstrap.ts';
import { jackknifeInterval } from '#main/scoring/jackknife.ts';
import { probabilityAbove, rankTable, type Replicated } from '#main/scoring/rankTable.ts';

/** Means of numbers in groups, as a score with its jackknife replicates. */
function meanOf(groups: number[]): Replicated {
  const sum = groups.reduce((a, b) => a + b, 0);
  return {
    value: sum / groups.length,
    replicates: groups.map((value) => (sum - value) / (groups.length - 1)),
    resampling: 'jackknife',
  };
}

const random = createRandom(11);
const shared = Array.from({ length: 12 }, () => random.normal());
const candidate = (shift: number, own: number) => meanOf(shared.map((value) => value + shift + own * random.normal()));

describe('group weights', () => {
  it('leave each group out, or draw as many as there are', () => {
    expect(leaveOneOutWeights(3).map((weights) => [...weights])).toEqual([
      [0, 1, 1],
      [1, 0, 1],
      [1, 1, 0],
    ]);
    const draws = bootstrapWeights(10, 500, 4);
    for (const weights of draws) expect(weights.reduce((a, b) => a + b, 0)).toBe(10);
    // A group is missing from a share of (1 - 1/10)^10 of the draws.
    expect(draws.filter((weights) => weights[0] === 0).length / 500).toBeCloseTo(0.349, 1);
    expect(bootstrapWeights(10, 500, 4)).toEqual(draws);
    expect(bootstrapWeights(10, 500, 5)).not.toEqual(draws);
  });

  it('give a mean the standard error it has', () => {
    const values = Array.from({ length: 40 }, () => random.normal());
    const mean = values.reduce((a, b) => a + b / 40, 0);
    const replicates = bootstrapWeights(40, 2000, 1).map((weights) =>
      values.reduce((sum, value, g) => sum + (weights[g] * value) / 40, 0),
    );
    const { se, low, high } = bootstrapInterval(mean, replicates);
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0)) / 40;
    expect(se).toBeCloseTo(spread, 1.5);
    expect(high - low).toBeCloseTo(2 * 1.96 * spread, 1);
    expect(() => bootstrapInterval(0, [1, 2])).toThrow(/at least 20 replicates/);
  });

  it('do not take a shift of all replicates for uncertainty', () => {
    const replicates = Array.from({ length: 100 }, (_, i) => 5 + i / 100);
    const { low, high } = bootstrapInterval(1, replicates);
    expect(low).toBeLessThan(1);
    expect(high).toBeGreaterThan(1);
    expect(quantile([1, 2, 4], 0.75)).toBe(3);
  });
});

describe('the probability that one beats another', () => {
  it('goes with the interval of the difference', () => {
    for (let trial = 0; trial < 50; trial++) {
      const [a, b] = [candidate(0.3, 0.3), candidate(0, 0.3)];
      const p = probabilityAbove(a, b)!;
      const differences = a.replicates!.map((replicate, g) => replicate - b.replicates![g]);
      const { low, high } = jackknifeInterval(a.value - b.value, differences);
      expect(p > 0.975).toBe(low > 0);
      expect(p < 0.025).toBe(high < 0);
      expect(probabilityAbove(b, a)).toBeCloseTo(1 - p, 12);
    }
  });

  it('is even for a score against itself, sure for a constant lead, unknown without pairs', () => {
    const a = candidate(0, 1);
    expect(probabilityAbove(a, a)).toBe(0.5);
    expect(probabilityAbove({ ...a, value: a.value + 1, replicates: a.replicates!.map((v) => v + 1) }, a)).toBe(1);
    expect(probabilityAbove(a, { ...a, replicates: null })).toBeNull();
    expect(probabilityAbove(a, { ...a, replicates: a.replicates!.slice(1) })).toBeNull();
    expect(probabilityAbove(a, { ...a, resampling: 'bootstrap' })).toBeNull();
  });
});

describe('a rank table', () => {
  it('orders, shares ranks, and takes the lower for better where it is', () => {
    const [a, b, c] = [candidate(0, 0.01), candidate(2, 0.01), candidate(1, 0.01)];
    const up = rankTable([a, b, c, b], { higherIsBetter: true });
    expect(up.rows.map(({ candidate: index }) => index)).toEqual([1, 3, 2, 0]);
    expect(up.rows.map(({ rank }) => rank)).toEqual([1, 1, 3, 4]);
    expect(up.rows[0].beatsNext).toBe(0.5);
    expect(up.rows[1].beatsNext).toBeGreaterThan(0.99);
    expect(up.rows[3].beatsNext).toBeNull();
    const down = rankTable([a, b, c], { higherIsBetter: false });
    expect(down.rows[0].candidate).toBe(0);
    expect(down.rows[0].value).toBe(a.value);
    expect(down.beats[0][1]).toBeCloseTo(up.beats[1][0]!, 12);
    expect(down.beats[1][1]).toBeNull();
  });

  it.each(['jackknife', 'bootstrap'] as const)('draws of two candidates agree with their probability: %s', (resampling) => {
    const [x, y] = [Array.from({ length: 12 }, (_, i) => shared[i] + 0.25), Array.from({ length: 12 }, () => random.normal())];
    const score = (groups: number[]): Replicated =>
      resampling === 'jackknife'
        ? meanOf(groups)
        : {
            value: meanOf(groups).value,
            resampling,
            replicates: bootstrapWeights(12, 1000, 2).map((weights) =>
              groups.reduce((sum, value, g) => sum + (weights[g] * value) / 12, 0),
            ),
          };
    const { rows, beats } = rankTable([score(x), score(y)], { higherIsBetter: true });
    const first = rows[0].candidate;
    // 4000 draws: three standard errors are 0.024.
    expect(Math.abs(rows[0].best! - beats[first][1 - first]!)).toBeLessThan(0.024);
    expect(rows[0].best! + rows[1].best!).toBeCloseTo(1, 10);
  });

  it('says nothing of chances where there are no replicates', () => {
    const table = rankTable([{ ...candidate(0, 1), replicates: null }, candidate(1, 1)], { higherIsBetter: true });
    expect(table.rows[0]).toMatchObject({ candidate: 1, rank: 1, best: null, rankLow: null, beatsNext: null });
  });
});
