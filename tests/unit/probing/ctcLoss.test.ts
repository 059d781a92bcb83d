import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { collapsed } from '#main/decoding/greedy.ts';
import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { ctcLoss, fewestFrames } from '#main/probing/ctcLoss.ts';

import golden from '../../golden/probing/losses.json' with { type: 'json' };
import { Lcg } from '../scoring/data.ts';

function logits(seed: number, count: number, scale: number): Float64Array {
  const random = new Lcg(seed);
  return Float64Array.from({ length: count }, () => scale * random.bell());
}

/** -ln of the summed probability of every path that collapses to the tokens. */
function byEnumeration(logProbabilities: Float64Array, frames: number, columns: number, tokens: number[], blank: number): number {
  let sum = 0;
  for (let code = 0; code < columns ** frames; code++) {
    const path = Array.from({ length: frames }, (_, t) => Math.floor(code / columns ** t) % columns);
    if (collapsed(path, blank).join() !== tokens.join()) continue;
    sum += Math.exp(path.reduce((total, column, t) => total + logProbabilities[t * columns + column], 0));
  }
  return -Math.log(sum);
}

describe('the CTC loss', () => {
  // float64 on both sides: what differs is the order of sums.
  it.each(golden.ctc)("equals PyTorch's, and its gradient: $frames frames, tokens $tokens", (wanted) => {
    const { seed, frames, columns, tokens, blank, scale, loss, gradient } = wanted;
    const logProbabilities = logSoftmax(logits(seed, frames * columns, scale), frames, columns);
    const got = new Float64Array(frames * columns);
    expect(ctcLoss(logProbabilities, frames, columns, tokens, blank, got)).toBeCloseTo(loss, 10);
    for (const [i, value] of gradient.entries()) expect(got[i]).toBeCloseTo(value, 10);
  });

  it('is the sum over all paths', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 2, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 2 }), { maxLength: 4 }),
        fc.integer({ min: 0, max: 1000 }),
        (frames, columns, drawn, seed) => {
          const tokens = drawn.map((token) => Math.min(token, columns - 1));
          const logProbabilities = logSoftmax(logits(seed, frames * columns, 3), frames, columns);
          const loss = ctcLoss(logProbabilities, frames, columns, tokens, 0);
          if (frames < fewestFrames(tokens)) expect(loss).toBe(Infinity);
          else expect(loss).toBeCloseTo(byEnumeration(logProbabilities, frames, columns, tokens, 0), 9);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has the gradient that finite differences show', () => {
    const [frames, columns, tokens] = [8, 4, [1, 1, 3]];
    const start = logits(9, frames * columns, 2);
    const gradient = new Float64Array(start.length);
    const loss = (z: Float64Array, out?: Float64Array): number =>
      ctcLoss(logSoftmax(z, frames, columns), frames, columns, tokens, 0, out);
    loss(start, gradient);
    for (let i = 0; i < start.length; i++) {
      const moved = (by: number): Float64Array => start.map((value, j) => (j === i ? value + by : value));
      expect(gradient[i]).toBeCloseTo((loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5, 8);
    }
  });

  it('is infinite, with no gradient, where the tokens do not fit', () => {
    const gradient = new Float64Array(6).fill(1);
    expect(ctcLoss(logSoftmax(new Float64Array(6), 2, 3), 2, 3, [1, 1], 0, gradient)).toBe(Infinity);
    expect([...gradient]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(ctcLoss(new Float64Array(0), 0, 3, [], 0)).toBe(0);
    expect(ctcLoss(new Float64Array(0), 0, 3, [1], 0)).toBe(Infinity);
    expect(fewestFrames([1, 1, 2, 2, 2])).toBe(8);
  });
});
