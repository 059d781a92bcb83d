import { describe, expect, it } from 'vitest';

import { Comparison } from '#main/merging/diagnostics.ts';

const base = Float64Array.of(3, 0, 4, 0);
const tuned = [Float64Array.of(3, 2, 4, 1), Float64Array.of(3, -1, 5, 0)];

function compare(parts: [number, number][], thresholds?: number[]): Comparison {
  const comparison = new Comparison(2);
  for (const [start, end] of parts) {
    const chunk = {
      base: base.slice(start, end),
      tuned: tuned.map((values) => values.slice(start, end)),
      count: end - start,
      start,
    };
    comparison.see(chunk, [new Float64Array(4), new Float64Array(4)], thresholds);
  }
  return comparison;
}

describe('what fine-tuning changed', () => {
  it('is measured against the base', () => {
    const [first, second] = compare([[0, 4]], [2, 5]).changesOf(true);
    expect(first).toEqual({
      parameters: 4,
      changed: 0.5,
      l2: Math.sqrt(5),
      relative_l2: expect.closeTo(Math.sqrt(5) / 5, 12),
      cosine: expect.closeTo(25 / 5 / Math.sqrt(30), 12),
      max_abs: 2,
      kept: 0.25,
    });
    expect(second).toMatchObject({ max_abs: 1, kept: 0 });
  });

  it('relates task vectors: cosine, and signs where both changed', () => {
    expect(compare([[0, 4]]).agreements()).toEqual([
      { models: [0, 1], cosine: expect.closeTo(-2 / Math.sqrt(5 * 2), 12), agreement: 0, conflict: 1, both: 1 },
    ]);
  });

  it('adds up over chunks and over tensors', () => {
    const whole = compare([[0, 4]]);
    expect(
      compare([
        [0, 1],
        [1, 4],
      ]).changesOf(false),
    ).toEqual(whole.changesOf(false));
    const sum = new Comparison(2);
    sum.add(compare([[0, 2]]));
    sum.add(compare([[2, 4]]));
    expect(sum.changesOf(false)).toEqual(whole.changesOf(false));
    expect(sum.agreements()).toEqual(whole.agreements());
  });

  it('has no cosine where nothing changed', () => {
    const comparison = new Comparison(2);
    comparison.see({ base, tuned: [base, base], count: 4, start: 0 }, [new Float64Array(4), new Float64Array(4)]);
    expect(comparison.changesOf(false)[0]).toMatchObject({ relative_l2: 0, cosine: 1, changed: 0, kept: null });
    expect(comparison.agreements()[0]).toMatchObject({ cosine: null, agreement: null, conflict: null, both: 0 });
  });
});
