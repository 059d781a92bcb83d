import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { splitUtterances } from '#main/probing/split.ts';

const all = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe('parting utterances', () => {
  it('puts every utterance into one part, by the seed alone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 80 }), fc.integer(), (n, seed) => {
        const split = splitUtterances(all(n), { test: 0.25, dev: 0.25, seed });
        expect([...split.train, ...split.dev, ...split.test].sort((a, b) => a - b)).toEqual(all(n));
        expect(splitUtterances(all(n), { test: 0.25, dev: 0.25, seed })).toEqual(split);
      }),
    );
    const { test, dev } = splitUtterances(all(100), { test: 0.2, dev: 0.1, seed: 0 });
    expect([test.length, dev.length]).toEqual([20, 10]);
  });

  it('keeps groups together', () => {
    const groups = all(60).map((i) => `speaker ${i % 7}`);
    const split = splitUtterances(all(60), { test: 0.3, dev: 0.2, seed: 3, groups });
    const heard = (part: number[]): Set<string> => new Set(part.map((i) => groups[i]));
    for (const [a, b] of [
      [split.train, split.dev],
      [split.train, split.test],
      [split.dev, split.test],
    ])
      expect([...heard(a)].filter((group) => heard(b).has(group))).toEqual([]);
  });

  it('follows the data set where it names its parts, and takes what stops training from training', () => {
    const given = all(20).map((i) => (i < 12 ? 'Train' : i < 16 ? 'validation' : 'TEST'));
    const named = splitUtterances(all(20), { test: 0.2, dev: 0.1, seed: 0, given });
    expect(named).toEqual({ train: all(12), dev: [12, 13, 14, 15], test: [16, 17, 18, 19] });
    const two = splitUtterances(all(20), {
      test: 0.2,
      dev: 0.2,
      seed: 0,
      given: given.map((part) => part.replace('validation', '')),
    });
    expect(two.test).toEqual([16, 17, 18, 19]);
    expect(two.dev.length).toBe(3);
    expect([...two.train, ...two.dev].sort((a, b) => a - b)).toEqual(all(12));
  });

  it('refuses what names no part, and parts that would be empty', () => {
    const options = { test: 0.2, dev: 0.1, seed: 0 };
    expect(() => splitUtterances(all(4), { ...options, given: ['train', 'test', 'fold3', 'dev'] })).toThrow(
      /"fold3" names no part/,
    );
    expect(() => splitUtterances(all(4), { ...options, given: Array(4).fill('train') })).toThrow(
      /held-out part of 4 utterances is empty/,
    );
    expect(() => splitUtterances([0], options)).toThrow(/at least three utterances/);
    expect(() => splitUtterances(all(9), { ...options, groups: all(9).map((i) => String(i % 2)) })).toThrow(
      /part of 9 utterances is empty/,
    );
  });
});
