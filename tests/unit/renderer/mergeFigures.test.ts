import { describe, expect, it } from 'vitest';

import { dotPlotRange } from '#shared/figures/dotPlot.ts';
import { bestColumn, shadeHeatmap } from '#shared/figures/heatmap.ts';
import { figureSvg } from '#shared/figures/svg.ts';
import { tableLatex } from '#shared/figures/tableLatex.ts';

import { type Comparison, type Judgement } from '../../../src/renderer/api/engine.ts';
import { alphaChart, judgedTable, paretoChart } from '../../../src/renderer/components/merge/judged.ts';
import {
  decimalsOf,
  driftCsv,
  driftHeatmap,
  measuresOf,
  movedCsv,
  movedHeatmap,
  movedTable,
  subjectsOf,
} from '../../../src/renderer/components/merge/moved.ts';
import { superbCsv, superbFigure, superbTable } from '../../../src/renderer/components/merge/superbExports.ts';
import { csvText } from '../../../src/renderer/composables/exports.ts';

const change = (relative: number, kept: number | null = 0.2) => ({
  parameters: 10,
  changed: 0.5,
  l2: 1,
  relative_l2: relative,
  cosine: 0.9,
  max_abs: 0.1,
  kept,
});
const agreement = { cosine: 0.1, agreement: 0.25, conflict: 0.75, both: 8 };
const model = (name: string) => ({ name, path: `/models/${name}`, fingerprint: `print-of-${name}` });

/** One part before the blocks, one in block 1; two fine-tuned models. */
const comparison: Comparison = {
  a: model('base'),
  b: [model('x'), model('y')],
  layers: 1,
  parameters: 20,
  total: [
    { b: 'x', ...change(0.2) },
    { b: 'y', ...change(0.4) },
  ],
  rows: [
    { b: 'x', module: 'conv', layer: 0, ...change(0) },
    { b: 'x', module: 'attention', layer: 1, ...change(0.5) },
    { b: 'y', module: 'conv', layer: 0, ...change(0) },
    { b: 'y', module: 'attention', layer: 1, ...change(0.25, null) },
  ],
  tensors: [{ b: 'x', tensor: '=evil', module: 'conv', layer: 0, ...change(0) }],
  pairs: [{ b1: 'x', b2: 'y', ...agreement }],
  pairRows: [{ b1: 'x', b2: 'y', module: 'attention', layer: 1, ...agreement }],
  convEncoder: [],
  density: 0.2,
  notes: [],
};

describe('what moved', () => {
  const measure = (id: string) => measuresOf(comparison).find((one) => one.id === id)!;

  it('is offered by what was measured: trimming with a density, agreement with two models', () => {
    expect(measuresOf(comparison).map(({ id }) => id)).toContain('trimmed');
    expect(measuresOf({ ...comparison, density: null }).map(({ id }) => id)).not.toContain('trimmed');
    expect(measuresOf({ ...comparison, pairs: [] }).every(({ of }) => of === 'model')).toBe(true);
    expect(subjectsOf(comparison, measure('relative'))).toEqual(['x', 'y']);
    expect(subjectsOf(comparison, measure('conflict'))).toEqual(['x and y']);
  });

  it('lies in its parts and layers, with nothing where there is no such part', () => {
    const figure = movedHeatmap(comparison, measure('relative'), 'x');
    expect(figure.rows.map(({ label }) => label)).toEqual(['conv encoder', 'attention']);
    expect(figure.values).toEqual([
      [0, null],
      [null, 0.5],
    ]);
    expect(movedHeatmap(comparison, measure('conflict'), 'x and y').values).toEqual([[null, 75]]);
    expect(movedHeatmap(comparison, measure('trimmed'), 'y').values[1]).toEqual([null, null]);
    expect(decimalsOf(figure)).toBe(3);
  });

  it('has no better end: nothing is ringed, and the bar says nothing of it', () => {
    const figure = movedHeatmap(comparison, measure('relative'), 'x');
    expect(bestColumn(figure.values[0], figure.score.higherIsBetter)).toBeNull();
    const { caption, reversed, shades } = shadeHeatmap(figure);
    expect([caption, reversed]).toEqual(['Relative change', false]);
    expect(shades).toEqual([
      [0, null],
      [null, 1],
    ]);
    const { svg } = figureSvg(figure);
    expect(svg).toContain('>part<');
    expect(svg).not.toContain('best layer');
    expect(svg).not.toContain('is better');
  });

  it('goes into files whole, and into a spreadsheet without running there', () => {
    const { columns, rows } = movedCsv(comparison, 'tensors');
    expect(csvText(columns, rows).split('\n')[1]).toBe("base,print-of-base,x,print-of-x,'=evil,conv,0,10,0.5,1,0,0.9,0.1,0.2");
    expect(movedCsv(comparison, 'parts').rows).toHaveLength(4);
    expect(movedCsv(comparison, 'pairs').rows[0].slice(-4)).toEqual([0.1, 0.25, 0.75, 8]);
    const latex = tableLatex(movedTable(comparison, 'parts'), 'tab:moved');
    expect(latex).toContain('y & attention & 1 & 0.250 &');
    expect(latex).toContain('TIES trims to density 0.2.');
    expect(movedTable(comparison, 'pairs').rows[0].map(({ text }) => text)).toEqual([
      'x and y',
      'attention',
      '1',
      '0.100',
      '25.000',
      '75.000',
    ]);
  });
});

describe('feature drift', () => {
  const row = (b: string, layer: number, cka: number | null) => ({ a: 'base', b, layer, cka, debiased: cka, problem: null });
  const drift = {
    models: [model('base'), model('x')],
    data: model('manifest.csv'),
    utterances: 2,
    frames: 100,
    seconds: 2,
    layers: [0, 4],
    rows: [row('x', 0, 1), row('x', 4, null)],
    notes: [],
  };

  it('has a row for each pair and a column for each layer that was measured', () => {
    const figure = driftHeatmap(drift);
    expect(figure.rows.map(({ label }) => label)).toEqual(['base – x']);
    expect(figure.columns).toEqual([0, 4]);
    expect(figure.values).toEqual([[1, null]]);
    expect(driftCsv(drift).rows[1]).toEqual([
      'base',
      'print-of-base',
      'x',
      'print-of-x',
      'manifest.csv',
      'print-of-manifest.csv',
      4,
      null,
      null,
      null,
    ]);
  });
});

const standing = (task: string, share: number) => ({
  task,
  layer: 3,
  value: share - 1,
  low: share - 1.1,
  high: share - 0.9,
  share,
});
const member = (role: 'base' | 'merge' | 'finetuned', alpha: number, target: number, others: number) => ({
  id: role === 'finetuned' ? 'x' : `${role} ${alpha}`,
  role,
  method: role === 'base' ? '' : 'linear',
  alpha,
  tasks: [standing('word', target), standing('speaker', others)],
  target,
  targetLow: target - 0.1,
  targetHigh: target + 0.1,
  others,
  othersLow: null,
  othersHigh: null,
  onFront: alpha === 0.5,
  loses: role === 'finetuned',
});
const judgement: Judgement = {
  target: 'word',
  others: ['speaker'],
  over: 'best',
  tolerance: 0.05,
  scales: { word: 'chance', speaker: 'spread' },
  members: [member('base', 0, 1, 1), member('finetuned', 1, 1.4, 0.5), member('merge', 0.5, 1.2, 0.98)],
  recommended: 2,
  reason: '',
  unit: 'utterance',
  metric: 'logme',
  metricName: 'LogME',
  tasks: ['word', 'speaker'],
  units: ['utterance'],
  metrics: ['logme'],
  modelIds: [1, 2, 3],
  measure: 'score',
  bestMerge: 2,
  axes: {
    word: { name: 'LogME', unit: 'nats per sample', higherIsBetter: true },
    speaker: { name: 'LogME', unit: 'nats per sample', higherIsBetter: true },
  },
  overs: ['best', 'mean', 'last'],
  lines: [{ method: 'linear', members: [0, 2, 1] }],
  merges: [null, null, null],
};

describe('a judged sweep', () => {
  it('is drawn against alpha from the pre-trained to the fine-tuned model', () => {
    const chart = alphaChart(judgement, 'share');
    expect(chart.series.map(({ label, emphasis }) => [label, emphasis])).toEqual([
      ['word', true],
      ['speaker', false],
    ]);
    expect(chart.series[0].points.map(({ x, y }) => [x, y])).toEqual([
      [0, 100],
      [0.5, 120],
      [1, 140],
    ]);
    expect(alphaChart(judgement, 'value').series[1].points[1].low).toBeCloseTo(-0.12, 9);
    // Steps of alpha, not whole numbers of layers.
    expect(figureSvg(chart).svg).toContain('>0.2<');
  });

  it('has a line per method where there are several, of one task, and names members by both', () => {
    const ties = { ...member('merge', 0.5, 1.1, 1), id: 'ties', method: 'ties' };
    const several: Judgement = {
      ...judgement,
      members: [...judgement.members, ties],
      lines: [...judgement.lines, { method: 'ties', members: [0, 3] }],
    };
    const { series, title } = alphaChart(several, 'value', 'speaker');
    expect(title).toBe('LogME on speaker by alpha');
    expect(series.map(({ label, points }) => [label, points.map(({ x, y }) => [x, y])])).toEqual([
      [
        'linear',
        [
          [0, 0],
          [0.5, expect.closeTo(-0.02, 9)],
          [1, -0.5],
        ],
      ],
      [
        'ties',
        [
          [0, 0],
          [0.5, 0],
        ],
      ],
    ]);
    expect(judgedTable(several).rows.map(([{ text }]) => text)).toEqual([
      'pre-trained',
      'x',
      'linear at alpha 0.5',
      'ties at alpha 0.5',
    ]);
  });

  it('draws tasks of one measure on its scale with its better end, and others on none', () => {
    const [accuracy, errors] = [
      { name: 'Probe accuracy', unit: '', higherIsBetter: true },
      { name: 'Probe token error rate', unit: '', higherIsBetter: false },
    ];
    const probed: Judgement = { ...judgement, measure: 'probe', metricName: 'Probe', over: 'sum' };
    const same = { ...probed, axes: { word: errors, speaker: errors } };
    expect(alphaChart(same, 'value').score).toEqual(errors);
    const mixed = { ...probed, axes: { word: errors, speaker: accuracy } };
    expect(alphaChart(mixed, 'value').score).toEqual({ name: 'Probe', unit: '', higherIsBetter: null });
    expect(judgedTable(mixed).columns.map(({ name }) => name)).toContain('Probe token error rate, word');
    expect(judgedTable(mixed).notes[0]).toBe('A model stands by its weighted sum of layers, measured on held-out utterances.');
  });

  it('is weighed: the target against the rest, unless there is no rest', () => {
    const pareto = paretoChart(judgement)!;
    expect(pareto.points.map(({ label, x, y }) => [label, x, y])).toEqual([
      ['alpha 0.5', 98, 120],
      ['pre-trained', 100, 100],
      ['x', 50, 140],
    ]);
    expect(new Set(pareto.points.map(({ group }) => group)).size).toBe(2);
    expect(paretoChart({ ...judgement, others: [] })).toBeNull();
  });

  it('has all its numbers in a table', () => {
    const { columns, rows, notes } = judgedTable(judgement);
    expect(rows.every((row) => row.length === columns.length)).toBe(true);
    expect(rows[2].map(({ text }) => text)).toEqual([
      'alpha 0.5',
      '120.0',
      '110.0 to 130.0',
      '98.0',
      '–',
      '0.200',
      '3',
      '−0.020',
      '3',
      'recommended, Pareto front',
    ]);
    expect(rows[1].at(-1)!.text).toBe('gives up more than 5 %');
    expect(notes.join()).toContain('speaker: chance was not scored');
    expect(judgedTable({ ...judgement, others: [] }).columns).toHaveLength(6);
  });
});

describe('SUPERB scores', () => {
  const run = (name: string, score: number | null, more = {}) => ({
    key: name,
    run: name,
    values: { pr_per: 5 },
    own: false,
    score,
    problem: score === null ? 'incomplete' : null,
    misprint: null,
    ...more,
  });
  const runs = [
    run('low', 800),
    run('mine', 905.79, { own: true }),
    run('typed', null),
    run('odd', 805.53, { misprint: 805.33 }),
  ];

  it('are drawn best first, with misprints beside what they should be', () => {
    const figure = superbFigure(runs, ['pr']);
    expect(figure.rows.map(({ label, other, emphasis }) => [label, other, emphasis])).toEqual([
      ['mine', null, true],
      ['odd', 805.33, false],
      ['low', null, false],
    ]);
    const [low, high] = dotPlotRange(figure.rows);
    expect(low).toBeLessThan(800);
    expect(high).toBeGreaterThan(905.79);
    const { svg } = figureSvg(figure);
    expect(svg.match(/<circle/g)).toHaveLength(4);
    expect(svg).toContain('Hollow: as printed');
    expect(dotPlotRange([])).toEqual([0, 1]);
  });

  it('go into a paper with their anchors and remarks, and into a file that can be imported again', () => {
    const table = superbTable(runs, ['pr_per'], { fbank: { pr_per: 82.01 }, sota: { pr_per: 2.55 } });
    const latex = tableLatex(table, 'tab:superb');
    expect(latex).toContain('mine & 5 & \\textbf{905.79} \\\\');
    expect(latex).toContain('FBANK & 82.01 & 0 \\\\');
    expect(latex).toContain('odd is printed as 805.33; its metrics give 805.53.');
    expect(superbCsv(runs, ['pr_per'])).toEqual({
      columns: ['run', 'pr_per', 'score'],
      rows: [
        ['low', 5, 800],
        ['mine', 5, 905.79],
        ['typed', 5, null],
        ['odd', 5, 805.53],
      ],
    });
  });
});
