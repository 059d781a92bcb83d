import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { align, charactersOf, countErrors, wordsOf } from '#main/decoding/editDistance.ts';
import { errorRate, errorsOf, rateDifference } from '#main/decoding/errorRate.ts';

/** The plain recurrence of Levenshtein's distance. */
function distance(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return a.length + b.length;
  const [[x, ...rest], [y, ...others]] = [a, b];
  return Math.min(distance(rest, others) + (x === y ? 0 : 1), distance(rest, b) + 1, distance(a, others) + 1);
}

describe('an alignment', () => {
  it('of words names what went wrong', () => {
    const alignment = align(wordsOf('yes no  left right'), wordsOf('yes know left'));
    expect(alignment).toEqual([
      { kind: 'correct', reference: 'yes', hypothesis: 'yes' },
      { kind: 'substitution', reference: 'no', hypothesis: 'know' },
      { kind: 'correct', reference: 'left', hypothesis: 'left' },
      { kind: 'deletion', reference: 'right', hypothesis: null },
    ]);
    expect(countErrors(alignment)).toEqual({ substitutions: 1, deletions: 1, insertions: 0, length: 4 });
  });

  it('of letters is the textbook one: kitten, sitting', () => {
    expect(countErrors(align(charactersOf('kitten'), charactersOf('sitting')))).toEqual({
      substitutions: 2,
      deletions: 0,
      insertions: 1,
      length: 6,
    });
    expect(countErrors(align([], ['a', 'b']))).toEqual({ substitutions: 0, deletions: 0, insertions: 2, length: 0 });
  });

  it('counts code points, not halves of them', () => {
    expect(countErrors(align(charactersOf('a🙂'), charactersOf('a🙃'))).substitutions).toBe(1);
  });

  it('is a best one, and spells both texts', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 6 });
    fc.assert(
      fc.property(text, text, (reference, hypothesis) => {
        const alignment = align(reference, hypothesis);
        expect(errorsOf(countErrors(alignment))).toBe(distance(reference, hypothesis));
        expect(alignment.flatMap((step) => step.reference ?? [])).toEqual(reference);
        expect(alignment.flatMap((step) => step.hypothesis ?? [])).toEqual(hypothesis);
        for (const step of alignment) expect(step.kind === 'correct').toBe(step.reference === step.hypothesis);
      }),
    );
  });

  it('of texts beyond all bounds is refused', () => {
    const [a, b] = ['a', 'b'].map((letter) => new Array<string>(20_000).fill(letter));
    expect(() => align(a, b)).toThrow('A reference of 20000 and a hypothesis of 20000 items are too long to be aligned');
    expect(align(a, a)).toHaveLength(20_000);
  });
});

describe('an error rate', () => {
  const counts = (substitutions: number, deletions: number, insertions: number, length: number) => ({
    substitutions,
    deletions,
    insertions,
    length,
  });

  it('is pooled over the corpus, not averaged over utterances', () => {
    const rate = errorRate([counts(1, 0, 0, 1), counts(0, 1, 1, 9)]);
    expect(rate).toMatchObject({ substitutions: 1, deletions: 1, insertions: 1, errors: 3, length: 10, rate: 0.3 });
  });

  it('has an interval that is reproducible, holds the rate and has the width of the binomial where words are utterances', () => {
    const utterances = Array.from({ length: 400 }, (_, i) => counts(i % 5 === 0 ? 1 : 0, 0, 0, 1));
    const rate = errorRate(utterances, 7);
    expect(rate).toEqual(errorRate(utterances, 7));
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => errorRate(utterances, seed).low)).size).toBeGreaterThan(1);
    // sqrt(.2 x .8 / 400) = .02; 1000 resamples know 1.96 of these to some 5 %.
    expect(rate.rate - rate.low).toBeCloseTo(1.96 * 0.02, 2);
    expect(rate.high - rate.rate).toBeCloseTo(1.96 * 0.02, 2);
  });

  it('is exact where every utterance has the same errors', () => {
    const rate = errorRate([counts(1, 0, 0, 4), counts(1, 0, 0, 4), counts(0, 1, 0, 4)]);
    expect([rate.low, rate.rate, rate.high]).toEqual([0.25, 0.25, 0.25]);
  });

  it('differs from another in pairs: what is hard for both cancels', () => {
    const base = Array.from({ length: 50 }, (_, i) => counts(i % 3, 0, 0, 5));
    const worse = base.map((utterance) => ({ ...utterance, deletions: 1 }));
    const { difference, low, high } = rateDifference(base, worse);
    expect([difference, low, high].map((value) => value.toFixed(12))).toEqual(new Array(3).fill((0.2).toFixed(12)));
    expect(() => rateDifference(base, worse.slice(1))).toThrow('Error rates of 50 and 49 utterances');
  });

  it('of empty references is none', () => {
    expect(() => errorRate([counts(0, 0, 2, 0)])).toThrow('The references of 1 utterances are empty');
  });
});
