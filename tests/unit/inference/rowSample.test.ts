import { describe, expect, it } from 'vitest';

import { rowKey, RowSampler } from '#main/inference/rowSample.ts';

const width = 3;
/** Two layers whose rows say which they are. */
const rowsOf = (utterance: number, first: number, count: number) =>
  [0, 1000].map((layer) =>
    Float32Array.from({ length: count * width }, (_, e) => layer + 100 * utterance + first + Math.floor(e / width)),
  );
const valuesOf = (utterance: number) => () => Float64Array.of(utterance % 2, utterance === 3 ? NaN : 5);

function sampled(rows: number, order: number[], parts: number, seed = 1) {
  const sampler = new RowSampler({ rows, seed }, width, 2, 2);
  for (const utterance of order) {
    const size = 60 / parts;
    for (let part = 0; part < parts; part++)
      sampler.offer(utterance, part * size, size, rowsOf(utterance, part * size, size), valuesOf(utterance));
  }
  return sampler.samples();
}

describe('the row sample', () => {
  it('does not depend on the order of utterances or on how they are cut', () => {
    const once = sampled(40, [0, 1, 2, 3, 4, 5], 1);
    expect(sampled(40, [5, 3, 1, 0, 2, 4], 6)).toEqual(once);
    expect(sampled(40, [0, 1, 2, 3, 4, 5], 1, 2)).not.toEqual(once);
  });

  it('keeps the same rows in every layer, with their utterance, frame and labels', () => {
    const [a, b] = sampled(40, [0, 1, 2, 3, 4, 5], 2);
    expect(a.utterances).toHaveLength(40);
    expect(b.utterances).toEqual(a.utterances);
    a.utterances.forEach((utterance, row) => {
      expect(a.features[row * width]).toBe(100 * utterance + a.frames[row]);
      expect(b.features[row * width + 2]).toBe(1000 + 100 * utterance + a.frames[row]);
      expect(a.values.slice(2 * row, 2 * row + 2)).toEqual(valuesOf(utterance)());
    });
  });

  it('keeps everything where there is room', () => {
    const [a] = sampled(1000, [2, 0, 1], 3);
    expect(a.utterances).toHaveLength(180);
    expect([...a.frames.slice(0, 60)]).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it('goes on from what was saved as if it had not stopped', () => {
    const whole = sampled(40, [0, 1, 2, 3, 4, 5], 1);
    const resumed = new RowSampler({ rows: 40, seed: 1 }, width, 2, 2);
    resumed.restore(sampled(40, [0, 1, 2], 1));
    for (const utterance of [3, 4, 5]) resumed.offer(utterance, 0, 60, rowsOf(utterance, 0, 60), valuesOf(utterance));
    expect(resumed.samples()).toEqual(whole);
  });

  it('draws every row equally often', () => {
    const counts = new Float64Array(6);
    for (let seed = 0; seed < 200; seed++)
      for (const utterance of sampled(30, [0, 1, 2, 3, 4, 5], 1, seed)[0].utterances) counts[utterance]++;
    // 6000 draws over six utterances: 1000 each, within five standard errors of 29.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(145);
    const keys = Array.from({ length: 4096 }, (_, i) => rowKey(0, Math.floor(i / 64), i % 64) / 2 ** 32);
    expect(new Set(keys).size).toBe(4096);
    expect(keys.reduce((a, b) => a + b, 0) / 4096).toBeCloseTo(0.5, 1);
  });
});
