import { describe, expect, it } from 'vitest';

import { decodeGreedily } from '#main/decoding/greedy.ts';
import { createRandom } from '#main/linalg/random.ts';
import { type HeadTask, trainHead } from '#main/speedup/exitHead.ts';

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
