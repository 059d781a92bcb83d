import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { createRandom } from '#main/linalg/random.ts';
import { forcedAlignment, type TokenSpan } from '#main/tasks/forcedAlignment.ts';

interface Golden {
  frames: number;
  columns: number;
  blank: number;
  tokens: number[];
  logProbabilities: number[];
  path: number[];
  score: number;
}

/** Columns frame by frame, as spans tell them. */
function pathOf(spans: readonly TokenSpan[], tokens: readonly number[], frames: number, blank: number): number[] {
  const path = new Array<number>(frames).fill(blank);
  for (const [i, { first, end }] of spans.entries()) path.fill(tokens[i], first, end);
  return path;
}

const collapsed = (path: readonly number[], blank: number): number[] =>
  path.filter((column, t) => column !== blank && (t === 0 || column !== path[t - 1]));

/** All paths of this many frames and columns. */
function* paths(frames: number, columns: number): Generator<number[]> {
  for (let code = 0; code < columns ** frames; code++)
    yield Array.from({ length: frames }, (_, t) => Math.floor(code / columns ** t) % columns);
}

describe('forcedAlignment', () => {
  // The zero-temperature limit of PyTorch's CTC loss and its gradient: tests/golden/make/forced_alignment.py.
  const golden = JSON.parse(
    readFileSync(resolve(import.meta.dirname, '../../golden/tasks/forcedAlignment.json'), 'utf8'),
  ) as Golden[];
  it.each(golden.map((one) => [one.tokens.join(' '), one] as const))("finds PyTorch's path of %s", (_, one) => {
    const { frames, columns, tokens, blank } = one;
    const found = forcedAlignment(Float64Array.from(one.logProbabilities), frames, columns, tokens, blank);
    expect(pathOf(found.spans, tokens, frames, blank)).toEqual(one.path);
    // Sums of at most 80 numbers of five decimals.
    expect(Math.abs(found.logProbability - one.score)).toBeLessThan(1e-9);
  });

  it('finds the best of all paths that spell the tokens', () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = createRandom(seed);
      const [frames, columns, blank] = [6, 3, seed % 3];
      const others = [0, 1, 2].filter((column) => column !== blank);
      const tokens = Array.from({ length: 1 + (seed % 4) }, () => others[Number(random.uniform() < 0.5)]);
      const logProbabilities = logSoftmax(
        Float64Array.from({ length: frames * columns }, () => 4 * random.uniform() - 2),
        frames,
        columns,
      );
      let best = -Infinity;
      let bestPath: number[] | undefined;
      for (const path of paths(frames, columns)) {
        if (collapsed(path, blank).join() !== tokens.join()) continue;
        const score = path.reduce((sum, column, t) => sum + logProbabilities[t * columns + column], 0);
        if (score > best) [best, bestPath] = [score, path];
      }
      if (!bestPath) {
        expect(() => forcedAlignment(logProbabilities, frames, columns, tokens, blank)).toThrow('needs at least');
        continue;
      }
      const { spans, logProbability } = forcedAlignment(logProbabilities, frames, columns, tokens, blank);
      expect(pathOf(spans, tokens, frames, blank)).toEqual(bestPath);
      expect(logProbability).toBeCloseTo(best, 12);
      for (const [i, { first, end, probability }] of spans.entries()) {
        const own = Array.from({ length: end - first }, (_, f) => Math.exp(logProbabilities[(first + f) * columns + tokens[i]]));
        expect(probability).toBeCloseTo(own.reduce((sum, p) => sum + p, 0) / own.length, 12);
      }
    }
  });

  it('takes the greedy path where the transcript is the greedy one', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = createRandom(seed);
      const [frames, columns] = [200, 29];
      const logits = Float64Array.from({ length: frames * columns }, () => random.uniform());
      const logProbabilities = logSoftmax(logits, frames, columns);
      const greedy = Array.from({ length: frames }, (_, t) => {
        const row = [...logits.subarray(t * columns, (t + 1) * columns)];
        return row.indexOf(Math.max(...row));
      });
      const tokens = collapsed(greedy, 0);
      const { spans } = forcedAlignment(logProbabilities, frames, columns, tokens, 0);
      expect(pathOf(spans, tokens, frames, 0)).toEqual(greedy);
    }
  });

  it('uses every frame where there are just enough', () => {
    const even = new Float64Array(5 * 3).fill(-Math.log(3));
    expect(forcedAlignment(even, 5, 3, [1, 1, 2, 1], 0).spans.map(({ first, end }) => [first, end])).toEqual([
      [0, 1],
      [2, 3],
      [3, 4],
      [4, 5],
    ]);
  });

  it('says what cannot be aligned', () => {
    const even = new Float64Array(4 * 3).fill(-Math.log(3));
    expect(() => forcedAlignment(even, 4, 3, [1, 1, 2, 1], 0)).toThrow(
      'the transcript needs at least 5 frames (4 tokens and a blank between equal ones), but the audio gives 4.',
    );
    expect(() => forcedAlignment(even, 4, 3, [], 0)).toThrow('the transcript is empty');
    const never = Float64Array.from(even, (value, i) => (i % 3 === 2 ? -Infinity : value));
    expect(() => forcedAlignment(never, 4, 3, [2], 0)).toThrow('no path through the frames has a probability above zero');
    expect(() => forcedAlignment(new Float64Array(0), 2e9, 0, [1], 0)).toThrow();
  });
});
