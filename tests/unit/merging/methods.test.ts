import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { dare, dareTies } from '#main/merging/dare.ts';
import { linear } from '#main/merging/linear.ts';
import { mergeMethod, mergeMethods } from '#main/merging/registry.ts';
import { sequential } from '#main/merging/sequential.ts';
import { slerp, slerpWeights } from '#main/merging/slerp.ts';
import { soup } from '#main/merging/soup.ts';
import { taskArithmetic } from '#main/merging/taskArithmetic.ts';
import { ties } from '#main/merging/ties.ts';

import reference from '../../golden/merging/reference.json' with { type: 'json' };
import torchTies from '../../golden/merging/ties.json' with { type: 'json' };
import { mergeVectors, runMethod } from './runMethod.ts';

/** Both sides are float64 and differ by the order of additions only. */
function expectClose(values: readonly number[], expected: readonly number[], tolerance = 1e-12): void {
  expect(values).toHaveLength(expected.length);
  values.forEach((value, i) =>
    expect(Math.abs(value - expected[i]), `element ${i}: ${value}, expected ${expected[i]}`).toBeLessThanOrEqual(tolerance),
  );
}

const { T } = reference;

describe('the golden task vectors', () => {
  it('are merged as by the published code', () => {
    expectClose(mergeVectors(ties, T, { settings: { density: 0.5 } }), reference['ties_original_K0.5']);
    expectClose(mergeVectors(ties, T, { settings: { density: 0.5, scope: 'tensor' } }), reference['ties_mergekit_density0.5_w1']);
    expectClose(
      mergeVectors(ties, T, { settings: { density: 0.5, scope: 'tensor', weights: [0.5, 0.3, 0.2] } }),
      reference['ties_mergekit_density0.5_w_.5_.3_.2'],
    );
    expectClose(mergeVectors(linear, T, { alpha: 0.25 }), reference['linear_speechft_alpha.25']);
    expectClose(mergeVectors(taskArithmetic, T, { alpha: 0.4 }), reference['task_arith_lambda.4']);
    const arc = runMethod({ method: slerp, alpha: 0.25, base: [Float64Array.from(T[0])], tuned: [[Float64Array.from(T[1])]] });
    expectClose([...arc[0]], reference['slerp_t.25_T0_T1']);
  });

  it.each(['0.1', '0.2', '0.5', '0.9'] as const)(
    'with equal magnitudes and exact cancellations agree with torch at density %s, in any chunks',
    (keep) => {
      const { vectors, weights } = torchTies;
      for (const chunk of [1, 7, Infinity]) {
        expectClose(mergeVectors(ties, vectors, { chunk, settings: { density: Number(keep) } }), torchTies.global[keep]);
        expectClose(
          mergeVectors(ties, vectors, { chunk, settings: { density: Number(keep), scope: 'tensor', weights } }),
          torchTies.tensor[keep],
        );
      }
    },
  );
});

/** Weights on a grid, so that sums are exact in any order, and with many equal magnitudes. */
const weight = fc.integer({ min: -64, max: 64 }).map((n) => n / 16);
const models = fc
  .record({ size: fc.integer({ min: 2, max: 40 }), count: fc.integer({ min: 1, max: 4 }) })
  .chain(({ size, count }) =>
    fc.record({
      base: fc.array(weight, { minLength: size, maxLength: size }),
      tuned: fc.array(fc.array(weight, { minLength: size, maxLength: size }), { minLength: count, maxLength: count }),
      density: fc.constantFrom(0.1, 0.25, 0.5, 1),
      chunk: fc.integer({ min: 1, max: 41 }),
    }),
  );
const scopes = ['global', 'tensor'] as const;
const floats = (values: number[]): Float64Array[] => [Float64Array.from(values)];

describe('every method', () => {
  it('gives the same whatever the chunks', () => {
    fc.assert(
      fc.property(
        models,
        fc.constantFrom(...mergeMethods),
        fc.constantFrom(...scopes),
        fc.constantFrom('bernoulli' as const, 'l1' as const),
        ({ base, tuned, density, chunk }, method, scope, rescale) => {
          const some = tuned.slice(0, method.models.max);
          const run = { method, alpha: 0.3, settings: { density, scope, rescale }, base: floats(base), tuned: some.map(floats) };
          // Sums of squares and of magnitudes (SLERP, DARE by L1) are added in another order.
          expectClose([...runMethod({ ...run, chunk })[0]], [...runMethod(run)[0]], 1e-12);
        },
      ),
    );
  });

  it('does not depend on the order of the models, but for DARE, which draws for each, and of a sequence', () => {
    fc.assert(
      fc.property(
        models,
        fc.constantFrom(linear, taskArithmetic, soup, ties),
        fc.constantFrom(...scopes),
        ({ base, tuned, density }, method, scope) => {
          const run = (order: number[][]) => [
            ...runMethod({ method, alpha: 0.5, settings: { density, scope }, base: floats(base), tuned: order.map(floats) })[0],
          ];
          expectClose(run(tuned.toReversed()), run(tuned));
        },
      ),
    );
  });

  it('makes of identical models, with nothing trimmed, the interpolation of one', () => {
    fc.assert(
      fc.property(
        models,
        fc.constantFrom(linear, ties, dare, dareTies),
        fc.constantFrom(...scopes),
        ({ base, tuned }, method, scope) => {
          const copies = tuned.map(() => floats(tuned[0]));
          const merged = runMethod({ method, alpha: 0.25, settings: { density: 1, scope }, base: floats(base), tuned: copies });
          expectClose(
            [...merged[0]],
            base.map((value, i) => value + 0.25 * (tuned[0][i] - value)),
          );
        },
      ),
    );
  });

  it('at density 1 lets TIES average what agrees with the sign of the sum', () => {
    expectClose(
      mergeVectors(
        ties,
        [
          [1, 1, -3],
          [3, -2, -1],
          [-1, -2, 0],
        ],
        { settings: { density: 1 } },
      ),
      [2, -2, -2],
    );
  });

  it('says when the result is one of the inputs', () => {
    for (const method of mergeMethods) {
      const run = method.begin({ density: 1, scope: 'global', rescale: 'bernoulli', seed: 0 }, 1, 10);
      expect([method.id, run.isInput(1)]).toEqual([method.id, 0]);
      expect([method.id, run.isInput(0)]).toEqual([method.id, method === soup ? 0 : 'base']);
      expect(method === soup || run.isInput(0.5) === undefined).toBe(true);
    }
  });
});

describe('TIES', () => {
  it('as its authors have it keeps int(P K) + 1 entries and those equal to the smallest', () => {
    const kept = (vector: number[], density: number) =>
      mergeVectors(ties, [vector], { settings: { density } }).filter((value) => value !== 0).length;
    expect(kept([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.2)).toBe(3);
    expect(kept([1, 2, 3, 4, 5, 6, 7, 8, 8, 8], 0.1)).toBe(3);
    expect(kept([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.01)).toBe(1);
  });

  it('by tensor keeps exactly int(density n), of equal ones the first, and at least one', () => {
    const merge = (vector: number[], density: number) => mergeVectors(ties, [vector], { settings: { density, scope: 'tensor' } });
    expect(merge([5, -5, 5, 1], 0.5)).toEqual([5, -5, 0, 0]);
    expect(merge([1, 3, 2], 0.1)).toEqual([0, 3, 0]);
  });

  it('trims over the whole model unless told otherwise: a tensor that moved little is emptied', () => {
    const base = [new Float64Array(4), new Float64Array(4)];
    const tuned = [[Float64Array.of(1, 2, 3, 4), Float64Array.of(10, 20, 30, 40)]];
    const nonZero = (scope: 'global' | 'tensor') =>
      runMethod({ method: ties, settings: { scope, density: 0.5 }, base, tuned }).map(
        (values) => values.filter((value) => value !== 0).length,
      );
    expect(nonZero('global')).toEqual([1, 4]);
    expect(nonZero('tensor')).toEqual([2, 2]);
  });

  it('gives an exactly cancelled parameter the sign of the majority of parameters', () => {
    const [first] = mergeVectors(
      ties,
      [
        [1, 1, 1, 0],
        [-1, 2, 2, 0],
      ],
      { settings: { density: 1 } },
    );
    expect(first).toBe(1);
    const [second] = mergeVectors(
      ties,
      [
        [1, -1, -1, 0],
        [-1, -2, -2, 0],
      ],
      { settings: { density: 1 } },
    );
    expect(second).toBe(-1);
  });
});

describe('DARE', () => {
  const size = 100_000;
  const vector = Array.from({ length: size }, (_, i) => 1 + (i % 7));

  it('keeps a share of the density, and the mean in expectation', () => {
    const merged = mergeVectors(dare, [vector], { settings: { density: 0.3 } });
    const kept = merged.filter((value) => value !== 0).length / size;
    // Three standard deviations of a Bernoulli mean: 3 sqrt(.3 * .7 / 100 000) = .0043.
    expect(Math.abs(kept - 0.3)).toBeLessThan(0.0044);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / size;
    expect(mean(merged) / mean(vector)).toBeCloseTo(1, 1);
    expect(merged.every((value, i) => value === 0 || Math.abs(value - vector[i] / 0.3) < 1e-12)).toBe(true);
  });

  it('keeps the sum of magnitudes of a tensor exactly when asked to', () => {
    const merged = mergeVectors(dare, [vector], { settings: { density: 0.3, rescale: 'l1' } });
    const norm = (values: number[]) => values.reduce((sum, value) => sum + Math.abs(value), 0);
    expect(norm(merged) / norm(vector)).toBeCloseTo(1, 10);
  });

  it('draws the same from the same seed, and differently for seeds, models and tensors', () => {
    const drawn = (seed: number) =>
      mergeVectors(dare, [vector], { settings: { density: 0.5, seed } }).map((value) => value !== 0);
    const agreement = (a: boolean[], b: boolean[]) => a.filter((kept, i) => kept === b[i]).length / size;
    expect(agreement(drawn(1), drawn(1))).toBe(1);
    expect(agreement(drawn(1), drawn(2))).toBeCloseTo(0.5, 1);
    const ones = new Float64Array(size).fill(1);
    const zeros = new Float64Array(size);
    // The mean of two models at density 1/2: 1 and 10 for entries kept of the first and of the second.
    const two = runMethod({
      method: dare,
      settings: { density: 0.5 },
      base: [zeros, zeros],
      tuned: [
        [ones, ones],
        [ones.map((x) => 10 * x), ones],
      ],
    });
    const first = [...two[0]].map((value) => Math.round(value));
    expect(
      agreement(
        first.map((value) => value % 10 !== 0),
        first.map((value) => value >= 10),
      ),
    ).toBeCloseTo(0.5, 1);
    const second = [...two[1]].map((value) => value !== 0);
    expect(
      agreement(
        second,
        first.map((value) => value !== 0),
      ),
    ).toBeLessThan(0.7);
  });

  it('does not favour neighbours: runs of kept entries are as long as chance has them', () => {
    const kept = mergeVectors(dare, [vector], { settings: { density: 0.5 } }).map((value) => Number(value !== 0));
    const repeats = kept.filter((value, i) => i > 0 && value === kept[i - 1]).length / size;
    expect(repeats).toBeCloseTo(0.5, 1);
  });
});

describe('a sequence', () => {
  it('is the chain of single merges, each from the result of the one before', () => {
    fc.assert(
      fc.property(models, fc.constantFrom(0, 0.25, 0.5, 1), ({ base, tuned }, alpha) => {
        const chain = tuned.reduce(
          (from, model) => [...runMethod({ method: linear, alpha, base: floats(from), tuned: [floats(model)] })[0]],
          base,
        );
        const merged = runMethod({ method: sequential, alpha, base: floats(base), tuned: tuned.map(floats) });
        expect([...merged[0]]).toEqual(chain);
      }),
    );
  });

  it('ends at the last model where alpha is 1', () => {
    const run = sequential.begin({ density: 1, scope: 'global', rescale: 'bernoulli', seed: 0 }, 3, 10);
    expect([run.isInput(0), run.isInput(1), run.isInput(0.5)]).toEqual(['base', 2, undefined]);
  });
});

describe('SLERP', () => {
  it('is a line between nearly parallel and zero vectors, and an arc between others', () => {
    expect(slerpWeights(0.25, 1, 1, 0.9999)).toEqual([0.75, 0.25]);
    const [p, q] = slerpWeights(0.5, 1, 1, 0);
    expectClose([p, q], [Math.SQRT1_2, Math.SQRT1_2]);
    expect(slerpWeights(0.25, 0, 1, 0)[1]).toBeCloseTo(Math.sin(Math.PI / 8), 12);
  });
});

describe('the registry', () => {
  it('knows every method once, and names them all when asked for another', () => {
    expect(new Set(mergeMethods.map(({ id }) => id)).size).toBe(mergeMethods.length);
    expect(() => mergeMethod('magic')).toThrow(
      'There is no merge method "magic"; there are linear, sequential, task-arithmetic, ties, dare, dare-ties, slerp, soup.',
    );
  });
});
