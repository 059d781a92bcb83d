import { describe, expect, it } from 'vitest';

import { alphaOf, checkSchedule, fitsPattern } from '#main/merging/alpha.ts';

const place = (canonical: string, layer: number) => ({
  canonical,
  module: canonical.includes('attention') ? ('attention' as const) : ('ffn' as const),
  layer,
});
const attention = place('encoder.layers.2.attention.k_proj.weight', 3);
const ffn = place('encoder.layers.2.feed_forward.output_dense.weight', 3);

describe('alpha', () => {
  it('is one number, or interpolated over layers and constant beyond the ends', () => {
    expect(alphaOf({ value: 0.25 }, ffn)).toBe(0.25);
    const curve = [
      [2, 0.1],
      [6, 0.5],
    ] as const;
    expect([0, 2, 3, 6, 9].map((layer) => alphaOf({ value: curve }, { ...ffn, layer }))).toEqual([
      0.1,
      0.1,
      expect.closeTo(0.2, 12),
      0.5,
      0.5,
    ]);
  });

  it('is that of the module, and of the last rule that fits the name', () => {
    const schedule = {
      value: 0.25,
      modules: { attention: 0.5 },
      rules: [
        { pattern: '*k_proj*', alpha: 0.7 },
        { pattern: 'encoder.layers.?.attention.*', alpha: 0.9 },
      ],
    };
    expect(alphaOf({ ...schedule, rules: [] }, attention)).toBe(0.5);
    expect(alphaOf(schedule, attention)).toBe(0.9);
    expect(alphaOf(schedule, ffn)).toBe(0.25);
  });

  it('takes dots and brackets of a pattern as they are', () => {
    expect(fitsPattern('a.b', 'a.b')).toBe(true);
    expect(fitsPattern('axb', 'a.b')).toBe(false);
    expect(fitsPattern('a(b', 'a(?')).toBe(true);
  });

  it('warns outside 0 to 1 and of rules that fit nothing; refuses what is no curve', () => {
    expect(
      checkSchedule(
        {
          value: [
            [0, 0],
            [6, 1],
          ],
        },
        [ffn],
      ),
    ).toEqual([]);
    expect(checkSchedule({ value: 1.5 }, [ffn])).toEqual([expect.stringContaining('alpha 1.5 lies outside 0 to 1')]);
    expect(checkSchedule({ value: 0, rules: [{ pattern: 'nothing', alpha: 1 }] }, [ffn])).toEqual([
      'The rule "nothing" fits no tensor.',
    ]);
    expect(() => checkSchedule({ value: NaN }, [ffn])).toThrow('alpha must be a number');
    expect(() => checkSchedule({ value: [] }, [ffn])).toThrow('at least one point');
    expect(() =>
      checkSchedule(
        {
          value: [
            [3, 0],
            [3, 1],
          ],
        },
        [ffn],
      ),
    ).toThrow('must rise');
  });
});
