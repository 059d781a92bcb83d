import { describe, expect, it } from 'vitest';

import { normalize, segmentBounds } from '../../../src/main/audio/segment.ts';

describe('segmentBounds', () => {
  const options = { maxSeconds: 30, minSamples: 400 };

  it('leaves a short recording whole', () => {
    expect(segmentBounds(16_000 * 30, 16_000, options)).toEqual([{ start: 0, end: 480_000 }]);
    expect(segmentBounds(100, 16_000, options)).toEqual([{ start: 0, end: 100 }]);
    expect(segmentBounds(0, 16_000, options)).toEqual([]);
  });

  it('cuts evenly, so that no tail is too short for a frame', () => {
    expect(segmentBounds(480_001, 16_000, options)).toEqual([
      { start: 0, end: 240_001 },
      { start: 240_001, end: 480_001 },
    ]);
  });

  it('covers everything without gaps, in parts of nearly one length that are not too long', () => {
    for (const samples of [1, 399, 480_001, 1_000_003, 57_600_000]) {
      const bounds = segmentBounds(samples, 16_000, options);
      expect(bounds[0].start).toBe(0);
      expect(bounds.at(-1)!.end).toBe(samples);
      for (let i = 1; i < bounds.length; i++) expect(bounds[i].start).toBe(bounds[i - 1].end);
      const lengths = bounds.map(({ start, end }) => end - start);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(480_000);
    }
  });

  it('prefers parts that are long enough for a frame to parts that are short enough', () => {
    expect(segmentBounds(1000, 16_000, { maxSeconds: 0.02, minSamples: 400 }).map(({ start, end }) => end - start)).toEqual([
      500, 500,
    ]);
  });
});

describe('normalize', () => {
  it('gives zero mean and unit variance', () => {
    // (x - 2.5) / sqrt(1.25 + 1e-7), by hand.
    const expected = [-1.5, -0.5, 0.5, 1.5].map((x) => Math.fround(x / Math.sqrt(1.25 + 1e-7)));
    expect([...normalize(Float32Array.of(1, 2, 3, 4))]).toEqual(expected);
  });

  it('leaves its input alone and does not divide by the zero variance of silence', () => {
    const constant = new Float32Array(5).fill(0.25);
    expect([...normalize(constant)]).toEqual([0, 0, 0, 0, 0]);
    expect(constant[0]).toBe(0.25);
  });
});
