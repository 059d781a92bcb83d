import { describe, expect, it } from 'vitest';

import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { collapsed, decodeGreedily } from '#main/decoding/greedy.ts';
import { createRandom } from '#main/linalg/random.ts';
import { ctcLoss, rowsNeeded } from '#main/speedup/ctcLoss.ts';
import { type HeadTask, trainHead } from '#main/speedup/exitHead.ts';

/** -ln of the sum over all paths that spell the labels, each written out. */
function byEnumeration(logp: Float64Array, rows: number, columns: number, labels: number[]): number {
  let sum = 0;
  for (let path = 0; path < columns ** rows; path++) {
    const steps = Array.from({ length: rows }, (_, row) => Math.floor(path / columns ** row) % columns);
    if (collapsed(steps, 0).join() === labels.join())
      sum += Math.exp(steps.reduce((total, column, row) => total + logp[row * columns + column], 0));
  }
  return -Math.log(sum);
}

const random = createRandom('ctc');
const logits = Float64Array.from({ length: 5 * 3 }, () => 2 * random.normal());

describe('the CTC loss', () => {
  it.each([[[1, 2]], [[1, 1]], [[2]], [[]], [[1, 2, 1]]])('sums all paths that spell %j', (labels) => {
    const logp = logSoftmax(logits, 5, 3);
    const gradient = new Float64Array(15);
    expect(ctcLoss(logp, 5, 3, labels, 0, gradient)).toBeCloseTo(byEnumeration(logp, 5, 3, labels), 12);
  });

  it('has the slope that differences have', () => {
    const gradient = new Float64Array(15);
    const loss = (values: Float64Array) => ctcLoss(logSoftmax(values, 5, 3), 5, 3, [1, 1], 0, new Float64Array(15));
    ctcLoss(logSoftmax(logits, 5, 3), 5, 3, [1, 1], 0, gradient);
    const step = 1e-5;
    for (let i = 0; i < 15; i++) {
      const moved = (by: number) => loss(logits.with(i, logits[i] + by));
      // Central differences err by the step's square.
      expect(gradient[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 7);
    }
  });

  it('is infinite where rows are too few, and stays finite over thousands of rows', () => {
    expect(rowsNeeded([1, 1, 2])).toBe(4);
    expect(ctcLoss(logSoftmax(logits, 3, 3), 3, 3, [1, 1, 2], 0, new Float64Array(9))).toBe(Infinity);
    const rows = 3000;
    const labels = Array.from({ length: 1499 }, (_, i) => 1 + (i % 2));
    const loss = ctcLoss(new Float64Array(rows * 3).fill(-Math.log(3)), rows, 3, labels, 0, new Float64Array(rows * 3));
    expect(loss).toBeGreaterThan(0);
    expect(loss).toBeLessThan(rows * Math.log(3));
  });
});

/** Utterances of two symbols, each shown for some frames as one of two directions in noise. */
function task(upsampling: number): HeadTask {
  const source = createRandom('features');
  const width = 6;
  const frames: number[] = [];
  const utterances = Array.from({ length: 24 }, () => {
    const start = frames.length / width;
    const labels: number[] = [];
    const steps = 4 / upsampling;
    for (let i = 0; i < 5; i++) {
      const label = 1 + source.below(2);
      labels.push(label);
      for (let t = 0; t < steps; t++)
        for (let d = 0; d < width; d++)
          frames.push(10 + (d === 2 * label - 2 + (t < steps / 2 ? 0 : 1) ? 40 : 0) + 2 * source.normal());
    }
    return { start, frames: frames.length / width - start, labels };
  });
  return {
    features: Float32Array.from(frames),
    ...{ width, utterances, vocabulary: 3, blank: 0, upsampling, initial: null },
    ...{ epochs: 30, learningRate: 0.05, seed: '0' },
  };
}

describe('an exit head', () => {
  it.each([1, 2])('learns what frozen features say, with %i rows a frame', (upsampling) => {
    const given = task(upsampling);
    const { weight, bias, losses, tooLong } = trainHead(given);
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]);
    expect(tooLong).toBe(0);
    const outputs = 3 * upsampling;
    let right = 0;
    for (const { start, frames, labels } of given.utterances) {
      const z = Float64Array.from({ length: frames * outputs }, (_, i) => {
        const [frame, output] = [Math.floor(i / outputs), i % outputs];
        let sum = bias[output];
        for (let d = 0; d < 6; d++) sum += weight[output * 6 + d] * given.features[(start + frame) * 6 + d];
        return sum;
      });
      if (decodeGreedily(z, frames * upsampling, 3, 0).join() === labels.join()) right++;
    }
    expect(right).toBeGreaterThan(20);
  });

  it('is the same for the same task, and starts from the head it is given', () => {
    const given = { ...task(1), epochs: 2 };
    expect(trainHead(given)).toEqual(trainHead(given));
    const initial = { weight: Float32Array.from({ length: 18 }, (_, i) => 0.01 * i), bias: Float32Array.of(0.1, 0.2, 0.3) };
    const { weight, bias } = trainHead({ ...given, initial, epochs: 0 });
    weight.forEach((value, i) => expect(value).toBeCloseTo(initial.weight[i], 6));
    bias.forEach((value, i) => expect(value).toBeCloseTo(initial.bias[i], 5));
  });

  it('leaves out transcripts that are longer than its rows', () => {
    const given = task(1);
    given.utterances[0].labels = new Array<number>(50).fill(1);
    expect(trainHead({ ...given, epochs: 1 }).tooLong).toBe(1);
  });
});
