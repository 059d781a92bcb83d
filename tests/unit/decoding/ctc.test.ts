import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ArpaReader } from '#main/decoding/arpa.ts';
import { type BeamSettings, defaultBeam, searchBeam } from '#main/decoding/beamSearch.ts';
import { bestPath, collapsed, decodeGreedily } from '#main/decoding/greedy.ts';
import { scoreSentence } from '#main/decoding/languageModel.ts';
import { logAdd, logSoftmax } from '#main/decoding/logProbabilities.ts';
import { transcriptOf, type Vocabulary } from '#main/decoding/vocabulary.ts';

const vocabularyOf = (...texts: string[]): Vocabulary => ({
  texts: ['', ...texts],
  blank: 0,
  delimiter: texts.includes(' ') ? texts.indexOf(' ') + 1 : null,
  separator: '',
  lowerCase: false,
});
const exact: BeamSettings = { ...defaultBeam, width: 5000, pruneBelow: Infinity, leastCharacter: -Infinity, alpha: 0, beta: 0 };

/** ln of the total probability of every transcript, from all V^T paths. */
function byAllPaths(logProbabilities: Float64Array, rows: number, columns: number): Map<string, number> {
  const totals = new Map<string, number>();
  const path = new Array<number>(rows).fill(0);
  for (let number = 0; number < columns ** rows; number++) {
    let sum = 0;
    for (let row = 0, rest = number; row < rows; row++, rest = Math.floor(rest / columns)) {
      path[row] = rest % columns;
      sum += logProbabilities[row * columns + path[row]];
    }
    const key = collapsed(path, 0).join(' ');
    totals.set(key, logAdd(totals.get(key) ?? -Infinity, sum));
  }
  return totals;
}

const logitsOf = (rows: number, columns: number) =>
  fc
    .array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: rows * columns, maxLength: rows * columns })
    .map((values) => logSoftmax(values, rows, columns));

describe('greedy decoding', () => {
  it('collapses repeats, then drops blanks (Graves et al. 2006: B(a-ab-) = B(-aa--abb) = aab)', () => {
    expect(collapsed([1, 0, 1, 2, 0], 0)).toEqual([1, 1, 2]);
    expect(collapsed([0, 1, 1, 0, 0, 1, 2, 2], 0)).toEqual([1, 1, 2]);
    expect(collapsed([], 0)).toEqual([]);
  });

  it('takes the best column of every frame, the first of equal ones', () => {
    expect([...bestPath([0, 2, 1, 3, 3, 0, -1, -2, -1], 3, 3)]).toEqual([1, 0, 0]);
    expect(decodeGreedily([0, 2, 1, 3, 3, 0, -1, -2, 5], 3, 3, 0)).toEqual([1, 2]);
    expect(() => bestPath([0, NaN], 1, 2)).toThrow('The logits of frame 0 are not numbers');
  });
});

describe('log probabilities', () => {
  it('add as probabilities do, and rows sum to one, also where exponentials overflow', () => {
    expect(logAdd(Math.log(0.2), Math.log(0.5))).toBeCloseTo(Math.log(0.7), 14);
    expect(logAdd(-Infinity, -Infinity)).toBe(-Infinity);
    const [a, b, c] = logSoftmax([1000, 1000, -1000], 1, 3);
    expect([a, b, c].map((value) => value.toFixed(12))).toEqual(
      [-Math.LN2, -Math.LN2, -2000 - Math.LN2].map((value) => value.toFixed(12)),
    );
    expect(() => logSoftmax([0, 1, Infinity, 1], 2, 2)).toThrow('The logits of frame 1 are not finite');
  });
});

describe('prefix beam search', () => {
  it('sums the paths of a transcript where the best path is another (worked example)', () => {
    // Two frames of blank .6 and a .4: the best path is blank-blank (.36), but "a" has .4 x .4 + 2 x .4 x .6 = .64.
    const logProbabilities = logSoftmax([0.6, 0.4, 0.6, 0.4].map(Math.log), 2, 2);
    expect(decodeGreedily(logProbabilities, 2, 2, 0)).toEqual([]);
    const found = searchBeam(logProbabilities, 2, vocabularyOf('a'), exact, null, 9);
    expect(found.map(({ columns, logAcoustic }) => [columns.length, Math.exp(logAcoustic).toFixed(12)])).toEqual([
      [1, (0.64).toFixed(12)],
      [0, (0.36).toFixed(12)],
    ]);
  });

  it('gives every transcript its exact probability, and finds the most probable', () => {
    fc.assert(
      fc.property(logitsOf(5, 3), (logProbabilities) => {
        const totals = byAllPaths(logProbabilities, 5, 3);
        const found = searchBeam(logProbabilities, 5, vocabularyOf('a', 'b'), exact, null, Infinity);
        expect(found).toHaveLength(totals.size);
        for (const { columns, logAcoustic } of found) expect(logAcoustic).toBeCloseTo(totals.get(columns.join(' '))!, 9);
        expect(found[0].logAcoustic).toBeCloseTo(Math.max(...totals.values()), 9);
      }),
      { numRuns: 40 },
    );
  });

  it('takes marks that write nothing for blanks', () => {
    const marked: Vocabulary = { ...vocabularyOf('a', 'b'), texts: ['', 'a', 'b', ''] };
    fc.assert(
      fc.property(logitsOf(4, 4), (logProbabilities) => {
        const joined = new Float64Array(12);
        for (let row = 0; row < 4; row++) {
          joined[3 * row] = logAdd(logProbabilities[4 * row], logProbabilities[4 * row + 3]);
          joined.set(logProbabilities.subarray(4 * row + 1, 4 * row + 3), 3 * row + 1);
        }
        const [best] = searchBeam(logProbabilities, 4, marked, exact);
        const [expected] = searchBeam(joined, 4, vocabularyOf('a', 'b'), exact);
        expect(best.columns).toEqual(expected.columns);
        expect(best.logAcoustic).toBeCloseTo(expected.logAcoustic, 9);
      }),
      { numRuns: 30 },
    );
  });

  it('pruned hard still gives no more than the exact probability, and never an impossible transcript', () => {
    fc.assert(
      fc.property(logitsOf(5, 3), fc.integer({ min: 1, max: 4 }), (logProbabilities, width) => {
        const totals = byAllPaths(logProbabilities, 5, 3);
        const [best] = searchBeam(logProbabilities, 5, vocabularyOf('a', 'b'), { ...defaultBeam, width, alpha: 0, beta: 0 });
        expect(best.logAcoustic).toBeLessThanOrEqual(totals.get(best.columns.join(' '))! + 1e-9);
      }),
      { numRuns: 40 },
    );
  });

  it('of no frames is the empty transcript', () => {
    expect(searchBeam(new Float64Array(0), 0, vocabularyOf('a'), exact)).toMatchObject([
      { columns: [], logAcoustic: 0, words: 0 },
    ]);
  });

  describe('with a language model', () => {
    const reader = new ArpaReader('lm.arpa');
    reader.push(
      new TextEncoder().encode(
        `\\data\\\nngram 1=5\nngram 2=3\n\\1-grams:\n-2 <unk>\n-99 <s> -0.1\n-0.6 </s>\n-0.4 a -0.3\n-0.9 b -0.2\n\\2-grams:\n-0.1 <s> a\n-0.2 a b\n-1.5 b a\n\\end\\\n`,
      ),
    );
    const model = reader.finish();
    const vocabulary = vocabularyOf('a', 'b', ' ');
    const settings: BeamSettings = { ...exact, alpha: 0.7, beta: 0.4, unknownWord: -3 };

    it('finds the transcript with the best weighted sum, over all paths and words', () => {
      fc.assert(
        fc.property(logitsOf(4, 4), (logProbabilities) => {
          const scored = [...byAllPaths(logProbabilities, 4, 4)].map(([key, logAcoustic]) => {
            const columns = key === '' ? [] : key.split(' ').map(Number);
            const words = columns
              .map((column) => vocabulary.texts[column])
              .join('')
              .split(' ')
              .filter(Boolean);
            const unknown = words.filter((word) => word !== 'a' && word !== 'b').length;
            const logLanguage = scoreSentence(model, words) - 3 * unknown;
            return { columns, score: logAcoustic + 0.7 * Math.LN10 * logLanguage + 0.4 * words.length, words, logLanguage };
          });
          const found = searchBeam(logProbabilities, 4, vocabulary, settings, model, Infinity);
          expect(found).toHaveLength(scored.length);
          const expected = new Map(scored.map((entry) => [entry.columns.join(' '), entry]));
          for (const { columns, score, words, logLanguage } of found) {
            const entry = expected.get(columns.join(' '))!;
            expect(score).toBeCloseTo(entry.score, 6);
            expect(logLanguage).toBeCloseTo(entry.logLanguage, 6);
            expect(words).toBe(entry.words.length);
          }
          expect(found[0].score).toBeCloseTo(Math.max(...scored.map(({ score }) => score)), 6);
        }),
        { numRuns: 25 },
      );
    });

    it('corrects what sounds alike: "a b" where the audio says "a a" a little louder', () => {
      const frame = (...shares: number[]) => shares.map(Math.log);
      const logits = [frame(0.02, 0.94, 0.02, 0.02), frame(0.02, 0.02, 0.02, 0.94), frame(0.02, 0.52, 0.44, 0.02)].flat();
      const logProbabilities = logSoftmax(logits, 3, 4);
      const text = (settings: BeamSettings, lm: typeof model | null) =>
        transcriptOf(vocabulary, searchBeam(logProbabilities, 3, vocabulary, settings, lm)[0].columns);
      expect(text(defaultBeam, null)).toBe('a a');
      expect(text(defaultBeam, model)).toBe('a b');
      expect(text({ ...defaultBeam, alpha: 0 }, model)).toBe('a a');
    });

    it('needs a vocabulary that has words', () => {
      expect(() => searchBeam(new Float64Array(0), 0, vocabularyOf('a'), settings, model)).toThrow(
        'The vocabulary has no word delimiter',
      );
    });
  });
});
