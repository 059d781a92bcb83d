import { describe, expect, it } from 'vitest';

import {
  chooseExit,
  chooseExits,
  defaultExits,
  entropySum,
  exitWarning,
  groupsByLength,
  similaritySum,
  thresholdGrid,
} from '#main/speedup/earlyExit.ts';

describe('the entropy of characters', () => {
  it('is ln of their number where all are alike, and in nats', () => {
    expect(entropySum(new Float32Array(62), 2, 31).sum / 2).toBeCloseTo(3.434, 3);
    // p = 3/4, 1/4: -(3/4 ln 3/4 + 1/4 ln 1/4)
    expect(entropySum([Math.log(3), 0], 1, 2)).toEqual({ sum: expect.closeTo(0.5623351446, 9) as number, frames: 1 });
  });

  it('does not overflow, and refuses what is no number', () => {
    expect(entropySum([1e4, 0, -1e4], 1, 3).sum).toBe(0);
    expect(() => entropySum([0, Number.NaN], 1, 2)).toThrow('logits of frame 0 are not finite');
  });
});

describe('the similarity of layers', () => {
  it('is the cosine of every frame, summed', () => {
    // cos 0 and cos 60 degrees
    const { sum, frames } = similaritySum([2, 0, 1, 0], [5, 0, 1, Math.sqrt(3)], 2, 2);
    expect(sum).toBeCloseTo(1.5, 12);
    expect(frames).toBe(2);
    expect(similaritySum([0, 0], [1, 0], 1, 2).sum).toBe(0);
  });
});

describe('exits', () => {
  it('are the first that fires, or the end, whose own statistic nobody asks', () => {
    expect(chooseExit('entropy', [0.5, 0.2, 0.1, 0], 0.3)).toBe(1);
    expect(chooseExit('entropy', [0.5, 0.4, 0.3, 0], 0.3)).toBe(3);
    expect(chooseExit('similarity', [0.9, 0.95, 0.99], 0.95)).toBe(2);
    expect(chooseExit('similarity', [0.9, 0.96, 0.99], 0.95)).toBe(1);
  });

  it('are taken by each utterance, or by a batch on its mean over frames', () => {
    const of = (...means: number[]) => means.map((mean) => ({ sum: mean * 10, frames: 10 }));
    const long = [0.1, 0.1, 0].map((mean) => ({ sum: mean * 90, frames: 90 }));
    const statistics = [of(0.9, 0.2, 0), long];
    expect(chooseExits('entropy', statistics, 0.3, [[0], [1]])).toEqual([1, 0]);
    // (0.9 x 10 + 0.1 x 90) / 100 = 0.18
    expect(chooseExits('entropy', statistics, 0.3, [[0, 1]])).toEqual([0, 0]);
    expect(chooseExits('entropy', statistics, 0.15, [[0, 1]])).toEqual([1, 1]);
  });

  it('begin in the middle, as published for 24 layers', () => {
    expect(defaultExits(24)).toEqual([13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
    expect(defaultExits(6)).toEqual([4, 5, 6]);
    expect(defaultExits(1)).toEqual([1]);
  });

  it('group utterances by length', () => {
    expect(groupsByLength([30, 10, 20], 2)).toEqual([[1, 2], [0]]);
    expect(groupsByLength([30, 10, 20], 1)).toEqual([[0], [1], [2]]);
  });
});

describe('thresholds', () => {
  const values = Array.from({ length: 50 }, (_, g) => [1, 0.8, 0.6].map((base) => base + 0.37 * ((g * 0.618) % 1)));

  it('spread mean exits evenly over what a model gives', () => {
    const means = thresholdGrid('entropy', values).map(
      (threshold) => values.reduce((sum, of) => sum + chooseExit('entropy', [...of, 0], threshold), 0) / values.length,
    );
    expect(means).toHaveLength(8);
    // Three exits before the end: steps of 3 / 8 from 3 / 16.
    means.forEach((mean, step) => expect(Math.abs(mean - (3 * (step + 0.5)) / 8)).toBeLessThan(0.1));
  });

  it('that never fire are told with the value that came closest', () => {
    expect(
      exitWarning(
        'entropy',
        0.1,
        values.map((of) => [...of, 0]),
      ),
    ).toContain('never fires: the smallest value at any exit is 0.6');
    expect(exitWarning('similarity', 0.99, [[0.9, 0.95, 1]])).toContain('the largest value at any exit is 0.95');
    expect(
      exitWarning(
        'entropy',
        0.9,
        values.map((of) => [...of, 0]),
      ),
    ).toBeUndefined();
  });
});
