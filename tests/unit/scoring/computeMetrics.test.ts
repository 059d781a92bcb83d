import { describe, expect, it } from 'vitest';

import { compactLabels, computeMetrics, measureMetrics } from '#main/scoring/computeMetrics.ts';
import { metric, metricIds, metrics } from '#main/scoring/registry.ts';
import { ForetuneError } from '#shared/errors.ts';

import logmeCases from '../../golden/scoring/logme.json' with { type: 'json' };
import reference from '../../golden/scoring/reference.json' with { type: 'json' };
import { type LabelledCase, Lcg, makeCase } from './data.ts';

const features = Float64Array.from(reference.F.flat());
const base = { features, n: 24, d: 4, seed: 0 };
const everything = {
  ...base,
  labels: reference.y,
  sourceProbabilities: { values: Float64Array.from(reference.P.flat()), z: 3 },
  other: { features: features.map((value) => value + 1), n: 24, d: 4 },
};

describe('the registry', () => {
  it('describes every score once', () => {
    expect(new Set(metricIds()).size).toBe(metrics.length);
    for (const { id, name, cost, source } of metrics) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      for (const text of [name, cost, source]) expect(text.length).toBeGreaterThan(2);
    }
    expect(metric('swd').direction).toBe('lower');
    expect(metric('logme').needs).toBe('moments');
  });

  it('names the known scores when asked for another', () => {
    expect(() => metric('logem')).toThrow(/There is no score "logem"; there are logme, hscore, .*swd, tsne\./);
  });
});

describe('scores by name', () => {
  it('computes all of them from one input', () => {
    const scores = computeMetrics({ ...everything, metrics: metricIds() });
    expect(Object.keys(scores)).toEqual(metricIds());
    for (const value of Object.values(scores)) expect(Number.isFinite(value)).toBe(true);
    expect(scores.logme).toBeCloseTo(reference.logme_fixed_point_ref, 6);
    expect(scores.hscore).toBeCloseTo(reference.h_score, 9);
    expect(scores.nce).toBeCloseTo(reference.nce, 9);
    expect(scores.cka).toBeCloseTo(1, 12);
  });

  it('does not depend on how classes are called or on gaps in their numbers', () => {
    const names = ['zh', 'aa', 'b'];
    const byName = computeMetrics({
      ...base,
      labels: reference.y.map((c) => names[c]),
      metrics: ['logme', 'hscore', 'gbc', 'transrate'],
    });
    const byNumber = computeMetrics({
      ...base,
      labels: reference.y.map((c) => 1000 * c - 7),
      metrics: ['logme', 'hscore', 'gbc', 'transrate'],
    });
    for (const [id, value] of Object.entries(byNumber)) expect(byName[id]).toBeCloseTo(value, 10);
    expect(byNumber.logme).toBeCloseTo(reference.logme_fixed_point_ref, 6);
    expect(compactLabels([10, 9, 'b', 'a', 9]).names).toEqual([9, 10, 'a', 'b']);
  });

  it('scores regression targets, and classes of the same samples beside them', () => {
    const golden = logmeCases.find(({ kind }) => kind === 'regression') as LabelledCase & { value: number };
    const { features: rows, targets, n, d } = makeCase(golden);
    const values = Float64Array.from({ length: 2 * n }, (_, e) => targets[(e % 2) * n + Math.floor(e / 2)]);
    const labels = Array.from({ length: n }, (_, i) => (i % 2 ? 'odd' : 'even'));
    const scores = computeMetrics({
      features: rows,
      n,
      d,
      targets: { values, k: 2 },
      labels,
      metrics: ['logme', 'hscore'],
      seed: 0,
    });
    expect(scores.logme).toBeCloseTo(golden.value, 6);
    expect(scores.hscore).toBeGreaterThan(0);
  });

  it('is exact for fewer samples than dimensions', () => {
    const golden = logmeCases.find(({ name }) => name === 'fewer samples than dimensions') as LabelledCase & { value: number };
    const { features: rows, classes, n, d } = makeCase(golden);
    expect(computeMetrics({ features: rows, n, d, labels: Array.from(classes), metrics: ['logme'], seed: 0 }).logme).toBeCloseTo(
      golden.value,
      6,
    );
  });

  it('takes float32 features', () => {
    const { logme } = computeMetrics({ ...base, features: Float32Array.from(features), labels: reference.y, metrics: ['logme'] });
    expect(logme).toBeCloseTo(reference.logme_fixed_point_ref, 6);
  });
});

describe('what should be read beside a score', () => {
  it('says where there are fewer samples than dimensions, and of single samples, for every supervised score', () => {
    const random = new Lcg(5);
    const few = { features: Float64Array.from({ length: 20 * 64 }, () => random.bell()), n: 20, d: 64, seed: 0 };
    const labels = Array.from({ length: 20 }, (_, i) => i % 4);
    for (const { id, needs } of metrics) {
      if (needs === 'two-sets' || needs === 'source-posteriors') continue;
      const { notes } = measureMetrics({ ...few, labels, metrics: [id] })[id];
      expect(notes.join(' '), id).toMatch(/20.*64|20 samples of 64/);
    }
    const lone = reference.y.map((c, i) => (i === 4 ? 'once' : String(c)));
    for (const { id, needs } of metrics) {
      // GBC asks for two samples of every class, and refuses.
      if (needs === 'two-sets' || id.startsWith('gbc')) continue;
      const { notes } = measureMetrics({ ...everything, labels: lone, metrics: [id] })[id];
      expect(notes.join(' '), id).toContain('1 of 4 classes has a single sample: once');
    }
  });
});

describe('what cannot be scored', () => {
  const refuse = (change: Partial<Parameters<typeof computeMetrics>[0]>) => () =>
    computeMetrics({ ...base, labels: reference.y, metrics: ['logme'], ...change });

  it('is refused in a sentence, for every score alike', () => {
    const broken = Float64Array.from(features);
    broken[9] = NaN;
    for (const id of metricIds()) {
      const input = { ...everything, metrics: [id] };
      expect(() => computeMetrics({ ...input, features: broken })).toThrow('Dimension 1 of sample 2 of the features is NaN');
      expect(() => computeMetrics({ ...input, features: new Float64Array(96).fill(3) })).toThrow(
        'All 4 dimensions of the features are constant',
      );
      if (metric(id).needs !== 'two-sets') {
        expect(() => computeMetrics({ ...input, labels: Array.from({ length: 24 }, () => 'one') })).toThrow(
          'All 24 samples have the label "one"',
        );
      }
    }
  });

  it('names the missing input', () => {
    expect(refuse({ labels: undefined })).toThrow('LogME needs class labels; give them with --labels.');
    expect(refuse({ metrics: ['leep'] })).toThrow('give them with --probabilities');
    expect(refuse({ metrics: ['swd'] })).toThrow('give the second with --other');
    expect(refuse({ metrics: ['logme', 'nope'] })).toThrow('There is no score "nope"');
    expect(refuse({ labels: [1, 2] })).toThrow('24 samples but 2 labels');
    expect(refuse({ labels: reference.y.map((c, i) => (i === 4 ? NaN : c)) })).toThrow('The label of sample 4 is NaN');
    expect(refuse({ targets: { values: new Float64Array(24).fill(1), k: 1 } })).toThrow(
      'The target is the same on all 24 samples',
    );
    expect(refuse({ targets: { values: new Float64Array(24).map((_, i) => (i === 7 ? Infinity : i)), k: 1 } })).toThrow(
      'Target 0 of sample 7 is Infinity',
    );
  });

  it('always comes as a ForetuneError', () => {
    for (const change of [
      { labels: undefined },
      { n: 23 },
      { features: new Float64Array(0), n: 0 },
      { d: 0, features: new Float64Array(0) },
    ]) {
      expect(refuse(change)).toThrow(ForetuneError);
    }
  });
});
