import { describe, expect, it } from 'vitest';

import { summariseTimes, timedUtterances } from '#main/jobs/speedTiming.ts';
import { countMacs, stretchOf } from '#main/speedup/macs.ts';
import { paretoFront } from '#main/speedup/pareto.ts';
import { bodyOf } from '#main/speedup/plan.ts';
import { recommend } from '#main/speedup/recommend.ts';
import { routeMacs } from '#main/speedup/routeMacs.ts';
import { parseConfig } from '#main/models/config.ts';
import { type SpeedPoint } from '#shared/speed.ts';

const point = (key: string, wer: number, seconds: number | null, macs = 1): SpeedPoint =>
  ({ key, strategy: key === 'full' ? 'full' : 'early-exit', setting: key, wer, seconds, macs }) as SpeedPoint;

describe('the Pareto front', () => {
  it('is what no other setting beats', () => {
    const points = [
      { cost: 10, error: 0.1 },
      { cost: 5, error: 0.2 },
      { cost: 6, error: 0.2 },
      { cost: 4, error: 0.5 },
      { cost: 12, error: 0.1 },
      { cost: Number.NaN, error: 0 },
    ];
    expect(paretoFront(points)).toEqual([3, 1, 0]);
    expect(paretoFront([])).toEqual([]);
  });
});

describe('the recommendation', () => {
  const points = [point('full', 0.1, 100), point('a', 0.11, 70), point('b', 0.15, 40), point('slow', 0.1, 130)];

  it('takes the cheapest within an error, or the best that saves enough', () => {
    expect(recommend(points, { kind: 'error', most: 0.02 }, 'seconds')).toMatchObject({ point: 'a' });
    expect(recommend(points, { kind: 'saving', least: 0.5 }, 'seconds')).toMatchObject({ point: 'b' });
    expect(recommend(points, { kind: 'saving', least: 0.5 }, 'seconds').sentence).toBe(
      'For at least 50.0 % of the seconds saved: early-exit (b), which saves 60.0 % of the seconds at 15.00 % WER (+5.00 points).',
    );
    expect(recommend(points, { kind: 'error', most: 0 }, 'seconds').sentence).toContain('the full model is the choice');
  });

  it('says when nothing fulfils the wish, or nothing was measured', () => {
    expect(recommend(points, { kind: 'saving', least: 0.9 }, 'seconds').sentence).toContain(
      'No setting of this sweep gives at least 90.0 % of the seconds saved; the cheapest, early-exit (b), saves 60.0 %',
    );
    expect(recommend([point('full', 0.1, null)], { kind: 'error', most: 1 }, 'seconds').point).toBeNull();
  });
});

describe('timing', () => {
  it('sums medians of utterances, which a burst does not move', () => {
    expect(
      summariseTimes([
        [1, 2],
        [1, 50],
        [40, 2],
      ]),
    ).toEqual({ seconds: 3, repetitions: [3, 51, 42] });
  });

  it('takes a sample where there is more audio than asked for', () => {
    expect(timedUtterances([1, 2, 3], 6, 0)).toEqual([0, 1, 2]);
    expect(timedUtterances(new Array<number>(100).fill(2), 20, 0)).toHaveLength(10);
  });
});

describe('operations of a route', () => {
  const config = parseConfig({ model_type: 'hubert' }, 'config.json');
  const none = { downsampling: null, drop: [], precision: 'float32' as const };
  const head = { kind: 'ctc' as const, vocabulary: 31, adapter: null };
  const exit = { name: 'exits.6', inner: 768, vocabulary: 31, upsampling: 1 };
  const frontEnd = { kernels: config.conv_kernel, strides: config.conv_stride };

  it('are those of the whole encoder where nothing is left out', () => {
    const stretch = stretchOf('exact', frontEnd, 16000);
    expect(Math.round(routeMacs(config, bodyOf(none, 12), 16000, { blocks: 12, asked: null }, [head]))).toBe(
      countMacs(config, { stretch, head }).total,
    );
    expect(stretch.frames).toBe(49);
  });

  it('count every head on the way by entropy, one and the comparisons by similarity', () => {
    const body = bodyOf(none, 12);
    const bare = routeMacs(config, body, 16000, { blocks: 7, asked: null }, [head]) - 49 * 768 * 31;
    const ofHead = 49 * (768 * 768 + 768 * 31);
    const heads = [exit, exit];
    const asked = (rule: 'entropy' | 'similarity') =>
      routeMacs(config, body, 16000, { blocks: 7, asked: { rule, exits: 2 } }, heads);
    expect(asked('entropy') - bare).toBe(2 * ofHead);
    expect(asked('similarity') - bare).toBe(ofHead + 2 * 49 * 768);
  });

  it('fall with the waveform, filter included', () => {
    const body = bodyOf({ ...none, downsampling: { kind: 'average', factor: 2 } }, 12);
    const full = routeMacs(config, bodyOf(none, 12), 160000, { blocks: 12, asked: null }, [head]);
    const half = routeMacs(config, body, 160000, { blocks: 12, asked: null }, [head]);
    // Published .4992 without attention (METHODS 3.5); scores fall with the square.
    expect(half / full).toBeGreaterThan(0.47);
    expect(half / full).toBeLessThan(0.5);
  });
});
