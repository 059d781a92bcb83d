import { describe, expect, it } from 'vitest';

import { minimise } from '#main/probing/lbfgs.ts';
import { fitLinearProbe, LinearHead, type ProbeRows } from '#main/probing/linearProbe.ts';
import { type RowTargets } from '#main/probing/losses.ts';

import golden from '../../golden/probing/losses.json' with { type: 'json' };
import { Lcg } from '../scoring/data.ts';

function bells(random: Lcg, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.bell());
}

interface Case {
  seed: number;
  n: number;
  d: number;
  k: number;
  kind: string;
}

/** The rows of a golden case, all for training; `layers` beyond the first are noise. */
function makeRows({ seed, n, d, k, kind }: Case, layers = 1): ProbeRows {
  const random = new Lcg(seed);
  const [x, truth, noise] = [bells(random, n * d), bells(random, k * d), bells(random, n * k)];
  const z = noise.map((value, e) => {
    const [i, c] = [Math.floor(e / k), e % k];
    let sum = value;
    for (let j = 0; j < d; j++) sum += x[i * d + j] * truth[c * d + j];
    return sum;
  });
  const row = (i: number): Float64Array => z.subarray(i * k, (i + 1) * k);
  const targets: RowTargets =
    kind === 'classification'
      ? { kind, k, classes: Int32Array.from({ length: n }, (_, i) => row(i).indexOf(Math.max(...row(i)))) }
      : kind === 'regression'
        ? { kind, k, values: z }
        : { kind: 'multi-label', k, values: z.map((value) => (value > 0 ? 1 : 0)) };
  const others = Array.from({ length: layers - 1 }, () => Float32Array.from(bells(random, n * d)));
  return { layers: [Float32Array.from(x), ...others], n, d, train: n, dev: 0, targets };
}

describe('a linear head', () => {
  // The optimum of a strictly convex function: what differs is where each search ends.
  it.each(golden.heads)('finds the optimum SciPy finds: $kind, $n samples, penalty $penalty', (wanted) => {
    const rows = makeRows(wanted);
    const head = new LinearHead(rows);
    const x = new Float64Array(head.size);
    const { value } = minimise(
      (parameters, gradient) => head.loss(parameters, [0, wanted.n], wanted.n, wanted.penalty, gradient),
      x,
      { tolerance: 1e-14, gradientTolerance: 1e-8, maxIterations: 1000 },
    );
    expect(value).toBeCloseTo(wanted.value, 9);
    const { weight } = head.head(x);
    for (const [i, w] of wanted.weight.entries()) expect(weight[i]).toBeCloseTo(w, 4);
  });

  it.each(['classification', 'regression', 'multi-label'])('has the gradient that finite differences show, of %s', (kind) => {
    const rows = makeRows({ seed: 3, n: 301, d: 6, k: 3, kind }, 4);
    const head = new LinearHead(rows);
    const random = new Lcg(5);
    const at = bells(random, head.size);
    const gradient = new Float64Array(head.size);
    const loss = (x: Float64Array, out?: Float64Array): number => head.loss(x, [10, 290], 280, 0.3, out, 0.2);
    loss(at, gradient);
    for (let i = 0; i < at.length; i++) {
      const moved = (by: number): Float64Array => at.map((value, j) => (j === i ? value + by : value));
      expect(gradient[i]).toBeCloseTo((loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5, 7);
    }
  });

  it('leaves rows without a label out', () => {
    const whole = makeRows({ seed: 7, n: 40, d: 3, k: 2, kind: 'regression' });
    const values = (whole.targets as { values: Float64Array }).values;
    values.fill(NaN, 60);
    const head = new LinearHead(whole);
    const [x, a, b] = [bells(new Lcg(1), head.size), new Float64Array(head.size), new Float64Array(head.size)];
    expect(head.loss(x, [0, 40], 30, 0, a)).toBeCloseTo(head.loss(x, [0, 30], 30, 0, b), 12);
    for (const [i, value] of b.entries()) expect(a[i]).toBeCloseTo(value, 12);
  });
});

/** Classes that one layer tells apart and the others do not. */
function separable(good: number, layers = 3): ProbeRows {
  const random = new Lcg(21);
  const [n, d, k] = [240, 8, 4];
  const classes = Int32Array.from({ length: n }, () => Math.floor(random.uniform() * k));
  const features = Array.from({ length: layers }, (_, l) =>
    Float32Array.from({ length: n * d }, (__, e) => random.bell() + (l === good && e % d === classes[Math.floor(e / d)] ? 6 : 0)),
  );
  return { layers: features, n, d, train: 160, dev: 40, targets: { kind: 'classification', classes, k } };
}

function heldOutAccuracy(rows: ProbeRows): { accuracy: number; layerWeights: number[]; weight: Float64Array } {
  const { model, parameters, layerWeights, weight } = fitLinearProbe(rows);
  const { classes, k } = rows.targets as { classes: Int32Array; k: number };
  let hits = 0;
  model.predict(parameters, rows.train + rows.dev, rows.n, (start, count, z, stride) => {
    for (let i = 0; i < count; i++) {
      const own = z.subarray(i * stride, i * stride + k);
      if (own.indexOf(Math.max(...own)) === classes[start + i]) hits++;
    }
  });
  return { accuracy: hits / (rows.n - rows.train - rows.dev), layerWeights: [...(layerWeights ?? [])], weight };
}

describe('fitting a probe', () => {
  it('tells separable classes apart, and finds the layer that does', () => {
    const { accuracy, layerWeights } = heldOutAccuracy(separable(1));
    expect(accuracy).toBe(1);
    expect(layerWeights.indexOf(Math.max(...layerWeights))).toBe(1);
    expect(layerWeights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    const single = separable(0, 1);
    expect(heldOutAccuracy(single)).toMatchObject({ accuracy: 1, layerWeights: [] });
  });

  it('learns nothing where there is nothing', () => {
    const { accuracy } = heldOutAccuracy(separable(-1));
    expect(accuracy).toBeLessThan(0.5);
  });

  it('gives the same bits again', () => {
    const [a, b] = [fitLinearProbe(separable(2)), fitLinearProbe(separable(2))];
    expect(a.weight).toEqual(b.weight);
    expect(a.layerWeights).toEqual(b.layerWeights);
    expect(a.devLoss).toBe(b.devLoss);
  });

  it('refuses parts without labels', () => {
    const rows = separable(0);
    (rows.targets as { classes: Int32Array }).classes.fill(-1, 160, 200);
    expect(() => fitLinearProbe(rows)).toThrow(/there are 160 in the training and 0 in the development part/);
  });
});
