import { describe, expect, it } from 'vitest';

import { type RowTargets } from '#main/probing/losses.ts';
import { addOutcomes, heldOut, measureOf } from '#main/probing/measures.ts';
import { layerNormRows, RowMoments, standardiseRows } from '#main/probing/standardise.ts';

const draws = { draws: 100, seed: 0 };

function measured(targets: RowTargets, logits: number[][], utterances: number[]) {
  const measure = measureOf(targets.kind);
  const sums = new Float64Array((Math.max(...utterances) + 1) * measure.sums(targets.k));
  addOutcomes(targets, 0, logits.length, Float64Array.from(logits.flat()), targets.k, sums, (row) => utterances[row]);
  return heldOut(measure, targets.k, sums, draws);
}

describe('what is measured on held-out utterances', () => {
  it('is the share of right classes, with an interval over utterances', () => {
    const classes = Int32Array.from([0, 1, 1, -1, 0]);
    const logits = [
      [2, 1],
      [0, 3],
      [5, 1],
      [0, 9],
      [1, 0],
    ];
    const { value, low, high, replicates } = measured({ kind: 'classification', classes, k: 2 }, logits, [0, 0, 1, 1, 2]);
    expect(value).toBe(0.75);
    expect(replicates?.length).toBe(100);
    expect(low).toBeLessThan(0.75);
    expect(high).toBeGreaterThan(0.75);
    expect(measured({ kind: 'classification', classes, k: 2 }, logits, [0, 0, 0, 0, 0]).replicates).toBeNull();
  });

  it('is the mean R squared of the targets', () => {
    const values = Float64Array.from([1, 10, 2, 10, 4, 10, 5, 10]);
    const exact = [1, 2, 4, 5].map((y) => [y, 7]);
    // The second target does not vary, so only the first counts.
    expect(measured({ kind: 'regression', values, k: 2 }, exact, [0, 1, 2, 3]).value).toBeCloseTo(1, 12);
    const mean = [3, 3, 3, 3].map((y) => [y, 7]);
    expect(measured({ kind: 'regression', values, k: 2 }, mean, [0, 1, 2, 3]).value).toBeCloseTo(0, 12);
    const off = [1, 2, 4, 7].map((y) => [y, 10]);
    expect(measured({ kind: 'regression', values, k: 2 }, off, [0, 1, 2, 3]).value).toBeCloseTo(1 - 4 / 10, 12);
  });

  it('is the F1 of labels said and meant', () => {
    const values = Float64Array.from([1, 0, 1, 1, NaN, NaN, 0, 1]);
    const logits = [
      [1, 1],
      [1, -1],
      [9, 9],
      [-1, 2],
    ];
    expect(measured({ kind: 'multi-label', values, k: 2 }, logits, [0, 1, 2, 3]).value).toBeCloseTo(6 / 8, 12);
  });

  it('is refused where nothing held out has a label', () => {
    const classes = Int32Array.from([-1, -1]);
    expect(() =>
      measured(
        { kind: 'classification', classes, k: 2 },
        [
          [0, 1],
          [1, 0],
        ],
        [0, 1],
      ),
    ).toThrow(/The 2 held-out utterances do not decide the probe accuracy/);
  });
});

describe('standardised features', () => {
  it('have mean 0 and deviation 1, far from zero too, and constant ones become 0', () => {
    const values = Float32Array.from({ length: 300 }, (_, e) => (e % 3 === 2 ? 1e4 : 1e4 * (e % 3) + Math.sin(e)));
    const moments = new RowMoments(3);
    moments.add(values.subarray(0, 150), 50);
    moments.add(values.subarray(150), 50);
    standardiseRows(values, 100, moments.standardisation());
    for (const j of [0, 1]) {
      const column = values.filter((_, e) => e % 3 === j);
      const mean = column.reduce((a, b) => a + b) / 100;
      expect(mean).toBeCloseTo(0, 6);
      expect(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 100).toBeCloseTo(1, 5);
    }
    expect(values.filter((_, e) => e % 3 === 2).every((x) => x === 0)).toBe(true);
  });

  it('are refused where the model overflows', () => {
    const moments = new RowMoments(2);
    moments.add(Float32Array.from([1, 2, 3, Infinity]), 2);
    expect(() => moments.standardisation()).toThrow(/Dimension 1 of the features is not finite/);
  });

  it('are normed over the channels as torch does it', () => {
    const values = Float32Array.from([1, 2, 3, 6, -4, -4, -4, -4]);
    layerNormRows(values, 2, 4);
    // (x - 3) / sqrt(3.5 + 1e-5)
    for (const [j, wanted] of [-1.069043, -0.534521, 0, 1.603564].entries()) expect(values[j]).toBeCloseTo(wanted, 5);
    expect([...values.subarray(4)]).toEqual([0, 0, 0, 0]);
  });
});
