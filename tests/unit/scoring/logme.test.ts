import { describe, expect, it } from 'vitest';

import { factorise, logmeFromFactorisation, logmeFromMoments, logmeFromSamples } from '#main/scoring/logme.ts';
import { addRows, addTargets, createFeatureMoments, createTargetMoments, subtractMoments } from '#main/scoring/moments.ts';

import cases from '../../golden/scoring/logme.json' with { type: 'json' };
import reference from '../../golden/scoring/reference.json' with { type: 'json' };
import { type LabelledCase, makeCase, oneHot } from './data.ts';

function momentsOf(features: Float64Array, n: number, d: number, targets: Float64Array, k: number, shift?: Float64Array) {
  const featureMoments = createFeatureMoments(d, shift);
  const targetMoments = createTargetMoments(k, d);
  const values = Float64Array.from({ length: n * k }, (_, i) => targets[(i % k) * n + Math.floor(i / k)]);
  addRows(featureMoments, features, n);
  addTargets(targetMoments, { values }, features, n, featureMoments.shift);
  return { featureMoments, targetMoments };
}

const problem = makeCase({ seed: 11, n: 90, d: 7, k: 4, noise: 0.7, signal: 1 });

describe('LogME against numerically maximised exact evidence', () => {
  // Goldens of golden/make/logme.py, maximised over (ln alpha, ln beta) without gradients. They reach their maximum to about
  // 1e-9; 1e-6 is what the product promises.
  for (const golden of cases as (LabelledCase & { name: string; value: number; perTarget?: number[]; centre?: boolean })[]) {
    it(golden.name, () => {
      const { features, n, d, k, targets } = makeCase(golden);
      const { centre } = golden;
      const fromSamples = logmeFromSamples(features, n, d, targets, k, { centre });
      expect(Math.abs(fromSamples.value - golden.value)).toBeLessThan(1e-6);
      const { featureMoments, targetMoments } = momentsOf(features, n, d, targets, k);
      const fromMoments = logmeFromMoments(featureMoments, targetMoments, { centre });
      expect(Math.abs(fromMoments.value - golden.value)).toBeLessThan(1e-6);
      golden.perTarget?.forEach((value, i) => {
        expect(Math.abs(fromSamples.perTarget[i].value - value)).toBeLessThan(1e-6);
        expect(Math.abs(fromMoments.perTarget[i].value - value)).toBeLessThan(1e-6);
      });
      expect(fromMoments.rank).toBe(fromSamples.rank);
    });
  }

  // The published fixed point stops at a relative change of 1e-3 and adds 1e-5 to its denominators: 1e-8 off the maximum here.
  it('agrees with the published fixed point where that is right', () => {
    const { value } = logmeFromSamples(Float64Array.from(reference.F.flat()), 24, 4, oneHot(reference.y, 3), 3);
    expect(Math.abs(value - reference.logme_fixed_point_ref)).toBeLessThan(1e-6);
  });
});

describe('LogME', () => {
  const { features, n, d, targets, k } = problem;
  const { value } = logmeFromSamples(features, n, d, targets, k);

  it('does not change under rotation, permutation and scaling of the features', () => {
    const angle = 0.7;
    const changed = Float64Array.from(features);
    for (let i = 0; i < n; i++) {
      const [a, b] = [features[i * d + 1], features[i * d + 4]];
      changed[i * d + 1] = Math.cos(angle) * a - Math.sin(angle) * b;
      changed[i * d + 4] = Math.sin(angle) * a + Math.cos(angle) * b;
    }
    const permuted = features.map((_, e) => features[e - (e % d) + ((3 * (e % d) + 2) % d)]);
    expect(logmeFromSamples(changed, n, d, targets, k).value).toBeCloseTo(value, 11);
    expect(logmeFromSamples(permuted, n, d, targets, k).value).toBeCloseTo(value, 11);
    expect(
      logmeFromSamples(
        features.map((x) => x * 1e6),
        n,
        d,
        targets,
        k,
      ).value,
    ).toBeCloseTo(value, 11);
    expect(
      logmeFromSamples(
        features.map((x) => x * 1e-9),
        n,
        d,
        targets,
        k,
      ).value,
    ).toBeCloseTo(value, 11);
  });

  it('does not change with the order of samples', () => {
    const order = Array.from({ length: n }, (_, i) => (i * 37) % n);
    const shuffled = Float64Array.from({ length: n * d }, (_, e) => features[order[Math.floor(e / d)] * d + (e % d)]);
    const follow = Float64Array.from({ length: n * k }, (_, e) => targets[Math.floor(e / n) * n + order[e % n]]);
    expect(logmeFromSamples(shuffled, n, d, follow, k).value).toBeCloseTo(value, 11);
  });

  it('changes under a shift of the features, but not when centred', () => {
    const shifted = features.map((x, e) => x + 3 + (e % d));
    expect(Math.abs(logmeFromSamples(shifted, n, d, targets, k).value - value)).toBeGreaterThan(1e-3);
    const centred = logmeFromSamples(features, n, d, targets, k, { centre: true }).value;
    expect(logmeFromSamples(shifted, n, d, targets, k, { centre: true }).value).toBeCloseTo(centred, 10);
  });

  // Features with a mean of 50 and moments about anything between: the shift is bookkeeping only.
  it('does not depend on the provisional mean', () => {
    const far = features.map((x) => x + 50);
    const about = (shift: number) => {
      const { featureMoments, targetMoments } = momentsOf(far, n, d, targets, k, new Float64Array(d).fill(shift));
      return logmeFromMoments(featureMoments, targetMoments).value;
    };
    expect(Math.abs(about(0) - about(50))).toBeLessThan(1e-8);
    expect(Math.abs(about(-20) - about(50))).toBeLessThan(1e-8);
  });

  it('leaves a group out by subtraction as by counting again', () => {
    const shift = new Float64Array(d).fill(0.2);
    const all = momentsOf(features, n, d, targets, k, shift);
    const rest = 60;
    const firstTargets = Float64Array.from({ length: rest * k }, (_, e) => targets[Math.floor(e / rest) * n + (e % rest)]);
    const lastTargets = Float64Array.from(
      { length: (n - rest) * k },
      (_, e) => targets[Math.floor(e / (n - rest)) * n + rest + (e % (n - rest))],
    );
    const group = momentsOf(features.slice(rest * d), n - rest, d, lastTargets, k, shift);
    const left = logmeFromMoments(
      subtractMoments(all.featureMoments, group.featureMoments),
      subtractMoments(all.targetMoments, group.targetMoments),
    );
    expect(left.n).toBe(rest);
    expect(left.value).toBeCloseTo(logmeFromSamples(features.slice(0, rest * d), rest, d, firstTargets, k).value, 10);
  });

  it('shares one factorisation among label columns', () => {
    const { featureMoments, targetMoments } = momentsOf(features, n, d, targets, k);
    const f = factorise(featureMoments);
    const other = momentsOf(
      features,
      n,
      d,
      Float64Array.from({ length: n }, (_, i) => features[i * d] ** 2),
      1,
    );
    expect(logmeFromFactorisation(f, targetMoments).value).toBeCloseTo(value, 11);
    expect(logmeFromFactorisation(f, other.targetMoments)).toEqual(logmeFromMoments(other.featureMoments, other.targetMoments));
  });

  it('leaves out classes that no sample has, and says so', () => {
    const wider = new Float64Array(n * (k + 2));
    wider.set(targets.subarray(0, 2 * n), 0);
    wider.set(targets.subarray(2 * n), 3 * n);
    const result = logmeFromSamples(features, n, d, wider, k + 2);
    expect(result.value).toBeCloseTo(value, 12);
    expect(result.droppedTargets).toEqual([2, k + 1]);
    expect(result.notes.join(' ')).toContain('2 constant target columns were left out: 2, 5.');
  });

  it('names perfect fits and targets that nothing explains', () => {
    const exact = Float64Array.from({ length: n }, (_, i) => features[i * d] - 2 * features[i * d + 1]);
    const perfect = logmeFromSamples(features, n, d, exact, 1);
    expect(perfect.notes.join(' ')).toContain('perfectly');
    expect(Number.isFinite(perfect.value)).toBe(true);
    // A target at right angles to every feature: the best weights are zero.
    const orthogonal = Float64Array.from([1, -1, 1, -1]);
    const none = logmeFromSamples(Float64Array.from([1, 1, 2, 2]), 4, 1, orthogonal, 1);
    expect(none.perTarget[0]).toMatchObject({ alpha: Infinity, beta: 1, gamma: 0 });
    expect(none.value).toBeCloseTo(-0.5 * Math.log(2 * Math.PI) - 0.5, 12);
  });

  // Orthogonal features whose evidence has two humps, at ln(alpha/beta) = -16.7 (the higher one) and 0.7, found by search.
  it('finds the higher of two maxima', () => {
    const sigma = [263.2864475294198, 21.672197151489634, 0.0025137115531852295, 0.00013105944724273874];
    const projected = [0.0316154106137339, 0.047559394085667, 0.0009230999159147144, 0.009617502509103693];
    const rest = 0.00000313928309977955;
    const rows = new Float64Array(7 * 4);
    sigma.forEach((value, i) => (rows[i * 4 + i] = Math.sqrt(value)));
    const y = Float64Array.from([...projected, rest, 0, 0], Math.sqrt);
    const profile = (u: number) => {
      const t = Math.exp(u);
      const q = sigma.reduce((sum, value, i) => sum + (projected[i] * t) / (value + t), rest);
      const logDeterminant = sigma.reduce((sum, value) => sum + Math.log1p(value / t), 0);
      return -0.5 * (Math.log((2 * Math.PI * q) / 7) + 1 + logDeterminant / 7);
    };
    const best = Math.max(...Array.from({ length: 40001 }, (_, i) => profile(-30 + i / 1000)));
    const found = logmeFromSamples(rows, 7, 4, y, 1);
    expect(Math.log(found.perTarget[0].alpha / found.perTarget[0].beta)).toBeCloseTo(-16.7, 0);
    expect(Math.abs(found.value - best)).toBeLessThan(1e-6);
  });
});

describe('LogME refuses', () => {
  const { features, n, d, targets, k } = problem;

  it('features with NaN, saying where', () => {
    const broken = Float64Array.from(features);
    broken[5 * d + 3] = NaN;
    expect(() => logmeFromSamples(broken, n, d, targets, k)).toThrow('Feature 3 of sample 5 is NaN');
    const { featureMoments, targetMoments } = momentsOf(broken, n, d, targets, k);
    expect(() => logmeFromMoments(featureMoments, targetMoments)).toThrow('hold NaN');
  });

  it('features that never vary', () => {
    expect(() => logmeFromSamples(new Float64Array(n * d).fill(0.1), n, d, targets, k)).toThrow(
      'All 7 features are constant over the 90 samples',
    );
    expect(() => logmeFromSamples(new Float64Array(3 * d).fill(0.1), 3, d, new Float64Array([1, 0, 1]), 1)).toThrow('constant');
    expect(() => logmeFromSamples(new Float64Array(n * d), n, d, targets, k)).toThrow('constant');
  });

  it('labels of one class', () => {
    expect(() => logmeFromSamples(features, n, d, oneHot(new Int32Array(n), 2), 2)).toThrow(
      'The label is the same on all 90 samples',
    );
  });

  it('a single sample', () => {
    expect(() => logmeFromSamples(features.slice(0, d), 1, d, new Float64Array([1]), 1)).toThrow('at least 2 samples');
  });

  it('features and targets of different samples', () => {
    const all = momentsOf(features, n, d, targets, k);
    const fewer = momentsOf(features.slice(0, 80 * d), 80, d, new Float64Array(80), 1);
    expect(() => logmeFromMoments(all.featureMoments, fewer.targetMoments)).toThrow('90 samples of features but 80 of targets');
  });
});
