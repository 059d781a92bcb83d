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
    expect(named).toEqual({ train: all(12), dev: [12, 13, 14, 15], test: [16, 17, 18, 19], stratified: false });
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

  const shareOf = (part: readonly number[], classes: readonly unknown[]): Record<string, number> =>
    Object.fromEntries([...Map.groupBy(part, (i) => classes[i])].map(([name, { length }]) => [String(name), length]).sort());

  it('has each class in its share of every part, and in every part', () => {
    const classes = all(100).map((i) => (i < 70 ? 'a' : i < 96 ? 'b' : 'c'));
    const split = splitUtterances(all(100), { test: 0.2, dev: 0.1, seed: 0, classes });
    expect(split.stratified).toBe(true);
    expect(shareOf(split.test, classes)).toEqual({ a: 14, b: 5, c: 1 });
    expect(shareOf(split.dev, classes)).toEqual({ a: 7, b: 2, c: 1 });
    expect(shareOf(split.train, classes)).toEqual({ a: 49, b: 19, c: 2 });
    // Many classes of which a part cannot hold one each: it keeps its size, and the seed tells who is in it.
    const speakers = all(60).map((i) => i % 20);
    const drawn = [0, 1].map((seed) => splitUtterances(all(60), { test: 0.2, dev: 0.1, seed, classes: speakers }));
    for (const { test, dev, train } of drawn) {
      expect([test.length, dev.length]).toEqual([12, 6]);
      expect(Math.max(...Object.values(shareOf(test, speakers)))).toBe(1);
      expect(Object.keys(shareOf(train, speakers))).toHaveLength(20);
    }
    expect(drawn[0].test).not.toEqual(drawn[1].test);
  });

  it('leaves classes of fewer than three utterances in training, and draws plainly where there are no two larger ones', () => {
    const classes = ['x', 'y', 'y', ...Array<string>(10).fill('a'), ...Array<string>(10).fill('b')];
    const split = splitUtterances(all(23), { test: 0.2, dev: 0.1, seed: 1, classes });
    expect(split.train).toEqual(expect.arrayContaining([0, 1, 2]));
    expect(shareOf(split.test, classes)).toEqual({ a: 2, b: 2 });
    const one = ['x', 'y', 'y', ...Array<string>(20).fill('a')];
    const plain = { test: 0.2, dev: 0.1, seed: 1 };
    expect(splitUtterances(all(23), { ...plain, classes: one })).toEqual(splitUtterances(all(23), plain));
  });

  it('takes what stops training class by class from the training that the data set names', () => {
    const given = all(40).map((i) => (i < 30 ? 'train' : 'test'));
    const classes = all(40).map((i) => (i % 10 === 0 ? 'rare' : 'usual'));
    const split = splitUtterances(all(40), { test: 0.2, dev: 0.16, seed: 4, given, classes });
    expect(split.test).toEqual(all(40).slice(30));
    expect(shareOf(split.dev, classes)).toEqual({ rare: 1, usual: 5 });
  });

  it('of any classes keeps every utterance once, no part empty, a sample of each class in training', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 6, maxLength: 60 }),
        fc.double({ min: 0.02, max: 0.5, noNaN: true }),
        fc.double({ min: 0.02, max: 0.4, noNaN: true }),
        fc.integer(),
        (classes, test, dev, seed) => {
          const options = { test, dev, seed, classes };
          const split = splitUtterances(all(classes.length), options);
          expect([...split.train, ...split.dev, ...split.test].sort((a, b) => a - b)).toEqual(all(classes.length));
          expect(splitUtterances(all(classes.length), options)).toEqual(split);
          if (split.stratified) expect(Object.keys(shareOf(split.train, classes))).toHaveLength(new Set(classes).size);
        },
      ),
    );
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
