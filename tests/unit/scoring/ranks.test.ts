import { describe, expect, test } from 'vitest';

import { createRandom } from '#main/linalg/random.ts';
import { averageRanks, pearson, spearmanWithProperty } from '#main/scoring/ranks.ts';

describe('Spearman with a property', () => {
  test.each([
    ['without ties', 0],
    ['with many ties', 4],
    ['with one tie', 1],
  ])('equals the correlation of average ranks %s', (_, levels) => {
    const random = createRandom(levels);
    const values = Float64Array.from({ length: 501 }, () => (levels > 1 ? random.below(levels) : random.normal()));
    if (levels === 1) values[7] = values[300];
    const has = Uint8Array.from(values, (value) => Number(random.normal() + 0.3 * value > 0));
    expect(spearmanWithProperty(values, has)).toBeCloseTo(pearson(averageRanks(values), averageRanks(has)), 12);
  });

  test('is undefined where one side is constant', () => {
    expect(spearmanWithProperty(Float64Array.of(1, 1, 1), [0, 1, 1])).toBeNaN();
    expect(spearmanWithProperty(Float64Array.of(1, 2, 3), [1, 1, 1])).toBeNaN();
    expect(spearmanWithProperty(Float64Array.of(1, 2, 3), [0, 0, 0])).toBeNaN();
  });
});
