import { describe, expect, it } from 'vitest';

import { createRandom, shuffle } from '#main/linalg/random.ts';

const draws = 100_000;

describe('a random stream', () => {
  it('is that of xoshiro128** seeded by splitmix64 of FNV-1a', () => {
    // From an independent implementation in Python (tests/golden/make/random_stream.py).
    const random = createRandom('foretune');
    expect(Array.from({ length: 5 }, () => random.uint32())).toEqual([
      1757429504, 3507322842, 3564781114, 3123300322, 1181855656,
    ]);
  });

  it('depends on its seed only', () => {
    const first = (seed: number | string) => createRandom(seed).uniform();
    expect(first(1)).toBe(first('1'));
    expect(new Set(Array.from({ length: 1000 }, (_, seed) => first(seed))).size).toBe(1000);
  });

  it('has the moments of the uniform and of the normal distribution', () => {
    const random = createRandom(3);
    let [uniform, normal, square, fourth] = [0, 0, 0, 0];
    for (let i = 0; i < draws; i++) {
      const u = random.uniform();
      expect(u >= 0 && u < 1).toBe(true);
      const z = random.normal();
      uniform += u / draws;
      normal += z / draws;
      square += z ** 2 / draws;
      fourth += z ** 4 / draws;
    }
    // Five standard errors: sqrt(1/12), 1, sqrt 2 and sqrt 96 over sqrt n.
    expect(Math.abs(uniform - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(draws));
    expect(Math.abs(normal)).toBeLessThan(5 / Math.sqrt(draws));
    expect(Math.abs(square - 1)).toBeLessThan((5 * Math.SQRT2) / Math.sqrt(draws));
    expect(Math.abs(fourth - 3)).toBeLessThan((5 * Math.sqrt(96)) / Math.sqrt(draws));
  });

  it('draws every number below a bound equally often', () => {
    const random = createRandom('dice');
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[random.below(6)] += 1;
    // Chi-square with 5 degrees of freedom exceeds 25.7 once in 10,000.
    expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(25.7);
  });
});

describe('shuffle', () => {
  it('keeps every item and gives every order equally often', () => {
    const random = createRandom('cards');
    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = shuffle(['a', 'b', 'c'], random).join('');
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect([...orders.keys()].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
    expect([...orders.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(25.7);
  });
});
