import { describe, expect, it } from 'vitest';

import { layerSumFigures, layerSumsCsv } from '#main/reports/layerSums.ts';
import { probeSource, probeTruth } from '#main/reports/probeTruth.ts';
import { buildScoreReport } from '#main/reports/scoreReport.ts';
import { scoreSections } from '#main/reports/sections.ts';
import { sectionAgreements } from '#main/reports/truthAgreement.ts';
import { type ExperimentRecord, type StoredScore } from '#shared/project.ts';
import { type StoredLayerSum } from '#shared/probe.ts';

const experiment = (id: number): ExperimentRecord => ({ id, name: 'Heads', created: '', spec: {}, specHash: `${id}`, notes: '' });
const base = { experimentId: 1, recipeId: 1, label: 'word', unit: 'utterance' as const, n: 80, d: 96, classes: 10, notes: [] };

function sum(model: string, value: number, weights: number[], control: StoredLayerSum['control'] = ''): StoredLayerSum {
  const layers = weights.map((_, layer) => layer);
  const interval = { ci_low: value - 0.1, ci_high: value + 0.1, replicates: null };
  return { ...base, ...interval, modelId: model.charCodeAt(0), model, metric: 'probe-accuracy', value, control, layers, weights };
}

function score(model: string, layer: number, value: number, metric = 'probe-accuracy'): StoredScore {
  const interval = { ci_low: null, ci_high: null, replicates: null, resampling: 'bootstrap' as const };
  return { ...base, ...interval, modelId: model.charCodeAt(0), model, layer, metric, value, control: '' };
}

const sums = [
  sum('a', 0.8, [0.1, 0.2, 0.7]),
  sum('b', 0.9, [0.34, 0.33, 0.33]),
  sum('a', 0.1, [0.3, 0.4, 0.3], 'shuffled-labels'),
];

describe('weighted sums of layers', () => {
  it('are drawn with controls last, each layer where it stands, and the heaviest marked where one stands out', () => {
    const [{ heatmap, table, reading }] = layerSumFigures(sums, [experiment(1)]);
    expect(heatmap.rows.map(({ label, details, control }) => [label, ...details, control])).toEqual([
      ['a', '', '0.800', false],
      ['b', '', '0.900', false],
      ['a', 'shuffled labels', '0.100', true],
    ]);
    expect(heatmap.values[0]).toEqual([0.1, 0.2, 0.7]);
    expect(heatmap.range).toEqual([0, 0.7]);
    expect(table.rows[0].slice(3)).toEqual([{ text: '0.10' }, { text: '0.20', mark: 'second' }, { text: '0.70', mark: 'best' }]);
    for (const row of table.rows.slice(1)) for (const { mark } of row) expect(mark).toBeUndefined();
    expect(reading).toBe(
      'b does best, probe accuracy 0.900 (95 % interval 0.800 to 1.000); its layers weigh about the same, so none stands out.',
    );
    const [alone] = layerSumFigures(sums.slice(0, 1), [experiment(1)]);
    expect(alone.reading).toBe(
      'a reaches probe accuracy 0.800 (95 % interval 0.700 to 0.900); its sum is 70 % layer 2, 20 % layer 1, 10 % layer 0.',
    );
  });

  it('leave layers empty that a model does not have', () => {
    const [{ heatmap, table }] = layerSumFigures([sum('a', 0.8, [0.5, 0.5]), sums[1]], [experiment(1)]);
    expect(heatmap.values[0]).toEqual([0.5, 0.5, null]);
    expect(table.rows[0].at(-1)).toEqual({ text: '' });
  });

  it('are tidy as CSV: a row for each layer', () => {
    const lines = layerSumsCsv(sums.slice(0, 1)).trim().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[3]).toBe('a,word,utterance,probe-accuracy,0.8,0.7000000000000001,0.9,80,96,10,,2,0.7');
  });

  it('make a report where no single layer was probed', () => {
    const input = { projectName: 'P', experiments: [experiment(1)], models: [], recipes: [], now: new Date(0), appVersion: '1' };
    const report = buildScoreReport({ ...input, scores: [], layerSums: sums });
    expect(report.sections).toEqual([]);
    expect(report.summary).toHaveLength(1);
    expect(report.subtitle).toContain('of 2 models');
    expect(() => buildScoreReport({ ...input, scores: [] })).toThrow(/has no scores yet/);
  });
});

describe('probes as truth', () => {
  const probes = [score('a', 0, 0.2), score('a', 1, 0.4), score('a', 2, 0.9), score('b', 0, 0.1)];

  it('speak of layers by single heads, and of models by the weighted sum; controls and scores do not count', () => {
    const rows = probeTruth([...probes, score('a', 0, -1, 'logme')], sums);
    expect(rows).toHaveLength(6);
    expect(rows[0]).toEqual({
      model: 'a',
      layer: 0,
      label: 'word',
      measure: 'Probe accuracy by utterance',
      value: 0.2,
      higherIsBetter: true,
    });
    expect(rows[4]).toMatchObject({
      model: 'a',
      layer: null,
      measure: 'Probe accuracy of the weighted sum by utterance',
      value: 0.8,
    });
    expect(probeTruth([score('a', 0, 0.3, 'probe-ter')], [])[0]).toMatchObject({ higherIsBetter: false });
  });

  it('are held against scores and other probes, not against themselves', () => {
    const truth = probeTruth(probes, []).map((row) => ({ ...row, source: probeSource(experiment(1)) }));
    const scores = [
      ...probes,
      ...probes.map((row) => ({ ...row, experimentId: 2 })),
      ...probes.map((row) => ({ ...row, metric: 'logme', experimentId: 3 })),
    ];
    const agreements = scoreSections(scores, [experiment(1), experiment(2), experiment(3)], []).map((section) => [
      section.experiment.id,
      sectionAgreements(section, truth).map(({ agreement }) => agreement?.spearman.value),
    ]);
    expect(agreements).toEqual([
      [1, []],
      [2, [1]],
      [3, [1]],
    ]);
  });
});
