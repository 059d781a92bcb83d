import { gzipSync } from 'node:zlib';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ArpaReader } from '#main/decoding/arpa.ts';
import { beginState, emptyState, scoreSentence, scoreWord, wordNumber } from '#main/decoding/languageModel.ts';
import { ForetuneError } from '#shared/errors.ts';

/** A trigram model over a, b and c, made up by hand. */
export const arpa = `A comment before the data.

\\data\\
ngram 1=6
ngram 2=5
ngram 3=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.30
-0.7\t</s>
-0.5\ta\t-0.20
-0.6\tb\t-0.10
-0.8\tc

\\2-grams:
-0.2\t<s> a\t-0.05
-0.3\ta b\t-0.15
-0.4\tb c\t0
-0.9\ta </s>
-0.35\tb a\t-0.25

\\3-grams:
-0.1\t<s> a b
-0.15\ta b c

\\end\\
`;

function read(text: string | Uint8Array, pieces = 1) {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const reader = new ArpaReader('lm.arpa');
  const size = Math.ceil(bytes.length / pieces) || 1;
  for (let start = 0; start < bytes.length; start += size) reader.push(bytes.subarray(start, start + size));
  return reader.finish();
}

/** log10 P of each word after those before it, from <s>, and of the end. */
function probabilities(words: string[]): number[] {
  const model = read(arpa);
  const after = new Int32Array([beginState(model)]);
  return [...words.map((word) => wordNumber(model, word)), model.end].map((word) => scoreWord(model, after[0], word, after));
}

describe('a language model', () => {
  it('knows its order, counts and words', () => {
    const model = read(arpa);
    expect(model).toMatchObject({ order: 3, counts: [6, 5, 2], unknown: 0, begin: 1, end: 2 });
    expect(['<unk>', 'a', 'c', 'd'].map((word) => wordNumber(model, word))).toEqual([0, 3, 5, -1]);
    expect(wordNumber(model, 'B')).toBe(4);
  });

  it.each<[string[], number[]]>([
    // P(a | <s>), P(b | <s> a), P(c | a b), then </s> after "b c", "c" and nothing: -0 - 0 - .7.
    [
      ['a', 'b', 'c'],
      [-0.2, -0.1, -0.15, -0.7],
    ],
    // P(b | <s>) backs off by -.3 to P(b); P(a | <s> b) = P(a | b), for "<s> b" is no context; P(</s> | b a) = -.25 + P(</s> | a).
    [
      ['b', 'a'],
      [-0.3 - 0.6, -0.35, -0.25 - 0.9],
    ],
    // P(a | <s>); P(a | <s> a) = -.05 + (P(a | a) = -.2 + P(a)); P(b | a a) = P(b | a); P(</s> | a b) = -.15 - .1 + P(</s>).
    [
      ['a', 'a', 'b'],
      [-0.2, -0.05 - 0.2 - 0.5, -0.3, -0.15 - 0.1 - 0.7],
    ],
    // An unknown word backs off like any other: P(d | <s> a) = -.05 - .2 + P(<unk>); after it nothing is known.
    [
      ['a', 'd', 'b'],
      [-0.2, -0.05 - 0.2 - 1, -0.6, -0.1 - 0.7],
    ],
    [[], [-0.3 - 0.7]],
  ])('gives %j the probabilities worked out by hand', (words, expected) => {
    const found = probabilities(words);
    // The model's numbers are kept in float32.
    found.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 6));
    expect(found).toHaveLength(expected.length);
    expect(scoreSentence(read(arpa), words)).toBeCloseTo(
      expected.reduce((sum, value) => sum + value, 0),
      5,
    );
  });

  it('without <unk> makes an unknown word all but impossible', () => {
    const model = read('\\data\\\nngram 1=2\n\\1-grams:\n-0.3 a -0.5\n-0.4 b\n\\end\\\n');
    const after = new Int32Array(1);
    expect(scoreWord(model, emptyState, -1, after)).toBe(-100);
    expect(after[0]).toBe(emptyState);
    expect(model.begin).toBe(-1);
  });

  it('is the same however the bytes come, with Windows line ends and other spaces', () => {
    const whole = read(arpa);
    for (const pieces of [2, 7, 60, arpa.length]) expect(read(arpa, pieces)).toEqual(whole);
    expect(read(arpa.replaceAll('\n', '\r\n').replaceAll('\t', '  '))).toEqual(whole);
  });

  it('of many n-grams finds each of them again', () => {
    const count = 3000;
    const word = (i: number) => `w${i}`;
    const lines = (order: number, entry: (i: number) => string) =>
      `\\${order}-grams:\n${Array.from({ length: count }, (_, i) => entry(i)).join('\n')}\n`;
    const model = read(
      `\\data\\\nngram 1=${count}\nngram 2=${count}\n${lines(1, (i) => `-${i / 1000} ${word(i)} -${i / 500}`)}${lines(2, (i) => `-${i / 2000} ${word(i)} ${word((7 * i) % count)}`)}\\end\\\n`,
    );
    const after = new Int32Array(1);
    for (let i = 0; i < count; i++) {
      expect(wordNumber(model, word(i))).toBe(i);
      expect(scoreWord(model, i, (7 * i) % count, after)).toBeCloseTo(-i / 2000, 5);
      const other = (7 * i + 1) % count;
      expect(scoreWord(model, i, other, after)).toBeCloseTo(-i / 500 - other / 1000, 4);
    }
  });
});

describe('a file that is no such model', () => {
  it.each<[string, string, string]>([
    [
      'too few entries',
      arpa.replace('ngram 2=5', 'ngram 2=6'),
      'lm.arpa, line 23: the section of 2-grams has 5 entries, but the header announces 6.',
    ],
    [
      'too many entries',
      arpa.replace('ngram 1=6', 'ngram 1=5'),
      'line 14: the section of 1-grams has more entries than the 5 that the header announces',
    ],
    [
      'a huge announced count',
      arpa.replace('ngram 3=2', 'ngram 3=999999999999'),
      'the section of 3-grams has 2 entries, but the header announces 999999999999',
    ],
    ['a missing section', arpa.replace(/\\3-grams:\n.*\n.*\n/, ''), 'the header announces 2 3-grams, but there are none'],
    ['an unknown word', arpa.replace('b c\t0', 'b x\t0'), 'line 19: the word "x" is no 1-gram of the file'],
    [
      'a missing prefix',
      arpa.replace('-0.3\ta b', '-0.3\tc b'),
      'line 25: the first 2 words of the 3-gram are no 2-gram of the file',
    ],
    ['a word twice', arpa.replace('-0.8\tc', '-0.8\tb'), 'the word "b" stands there twice'],
    ['an n-gram twice', arpa.replace('b a\t', 'b c\t'), 'the 2-gram stands there twice'],
    ['a probability above one', arpa.replace('-0.8\tc', '0.8\tc'), 'the log10 probability 0.8 is above 0'],
    ['a probability that is none', arpa.replace('-0.8\tc', 'x\tc'), 'the probability "x" is no number'],
    [
      'too many words',
      arpa.replace('-0.4\tb c', '-0.4\tb c a a a'),
      'a 2-gram is a number, 2 words and perhaps a number, but there are more parts',
    ],
    ['no end', arpa.replace('\\end\\', ''), 'without "\\end\\"; the file is truncated'],
    [
      'sections out of order',
      arpa.replace('\\2-grams:', '\\3-grams:'),
      'found "\\3-grams:" where "\\2-grams:" or "\\end\\" belongs',
    ],
    ['counts out of order', arpa.replace('ngram 2', 'ngram 3'), 'the count of 3-grams stands where that of 2-grams belongs'],
    ['no counts', '\\data\\\n\\end\\\n', 'the header has no counts'],
    ['another text', 'path,transcription\n', 'lm.arpa is no language model in ARPA format: it has no line "\\data\\".'],
    ['nothing', '', 'it has no line "\\data\\"'],
  ])('with %s is refused', (_, text, sentence) => {
    expect(() => read(text)).toThrow(sentence);
  });

  it('with an endless line is refused before it fills the memory', () => {
    expect(() => read(new Uint8Array(3 << 20).fill(65), 100)).toThrow('the line is longer than 1048576 bytes');
  });

  it('never does worse than a clear refusal', () => {
    const bytes = new TextEncoder().encode(arpa);
    const mutation = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 6 }), fc.nat(bytes.length), (edits, length) => {
        const damaged = bytes.slice(0, Math.max(length, 60));
        for (const [at, value] of edits) damaged[at % damaged.length] = value;
        try {
          const model = read(damaged, 3);
          expect(Number.isFinite(scoreSentence(model, ['a', 'b', 'x']))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ForetuneError);
          expect((error as ForetuneError).code).toBe('corrupt');
        }
      }),
      { numRuns: 300 },
    );
    expect(() => read(gzipSync(bytes))).toThrow(ForetuneError);
  });
});
