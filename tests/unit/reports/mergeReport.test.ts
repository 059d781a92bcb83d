import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { writeFigureReport } from '#main/reports/figureReport.ts';
import { judgeExperiment } from '#main/reports/judgement.ts';
import { comparisonReport, judgementCharts, judgementReport, mergeReport, paretoFigure } from '#main/reports/mergeReport.ts';
import { compareModels } from '#main/weights/compareModels.ts';
import { mergeModels } from '#main/weights/mergeModels.ts';
import { readRecipe } from '#main/weights/recipe.ts';
import { type Drift } from '#shared/drift.ts';
import { type StoredLayerSum } from '#shared/probe.ts';
import { type ModelRecord, type StoredScore } from '#shared/project.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';
import { request } from '../weights/models.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const [base, asr, speaker] = ['tiny-hubert', 'tiny-hubert-ft-asr', 'tiny-hubert-ft-speaker'].map((name) =>
  join(demo, 'models', name),
);

const drift: Drift = {
  models: ['tiny-hubert', 'tiny-hubert-ft-asr'].map((name) => ({ name, path: base, fingerprint: 'f' })),
  data: { name: 'manifest.csv', path: 'manifest.csv', fingerprint: 'd' },
  utterances: 3,
  frames: 90,
  seconds: 2,
  layers: [0, 6],
  rows: [
    { a: 'tiny-hubert', b: 'tiny-hubert-ft-asr', layer: 0, cka: 0.99, debiased: 0.98, problem: null },
    { a: 'tiny-hubert', b: 'tiny-hubert-ft-asr', layer: 6, cka: 0.4, debiased: null, problem: null },
  ],
  notes: [],
};

const settings = { density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 };
const told = (name: string) => ({ name, path: `/${name}`, fingerprint: name });
/** Alpha of a merge of base and ft; none for the base itself. */
function model(id: number, alpha?: number): ModelRecord {
  const merge = { base: told('base'), finetuned: [told('ft')], method: 'linear', alpha: { value: alpha ?? 0 }, settings };
  const name = alpha === undefined ? 'base' : alpha === 1 ? 'ft' : `ft at alpha ${alpha}`;
  const plain = { family: 'hubert', layers: 2, width: 4, parameters: 10, dtype: 'F32', bytes: 40 };
  return { id, name, path: '/base', fingerprint: String(id), ...plain, card: alpha === undefined ? {} : { merge } };
}
const models = [model(1), model(2, 0.5), model(3, 1)];

/** Two layers of two tasks, with the shuffled control of the base. */
const scores = models.flatMap(({ id, name }, index) =>
  (['word', 'speaker'] as const).flatMap((label) =>
    [0, 1].flatMap((layer) =>
      (['', 'shuffled-labels'] as const).map((control): StoredScore => {
        const step = [0, 0.5, 1][index];
        const value = control ? 0 : layer + (label === 'word' ? step : -0.02 * step);
        return {
          experimentId: 1,
          recipeId: 1,
          modelId: id,
          model: name,
          layer,
          label,
          unit: 'frame',
          metric: 'logme',
          value,
          ci_low: value - 0.1,
          ci_high: value + 0.1,
          n: 100,
          d: 4,
          classes: 3,
          control,
          replicates: Array.from({ length: 5 }, (_, g) => value + 0.001 * (g - 2)),
          resampling: 'jackknife',
          notes: [],
        };
      }),
    ),
  ),
);

describe('the report of a comparison', () => {
  it('shows modules by layers, how changes agree, and feature drift, in every format', async () => {
    const report = comparisonReport(await compareModels(base, [asr, speaker], { density: 0.2 }), drift);
    expect(report.sections.map(({ heading }) => heading)).toEqual([
      'What moved from tiny-hubert to tiny-hubert-ft-asr',
      'What moved from tiny-hubert to tiny-hubert-ft-speaker',
      'How the changes of tiny-hubert-ft-asr and tiny-hubert-ft-speaker agree',
      'How far features moved',
    ]);
    const [heatmap] = report.sections[0].figures;
    expect(heatmap).toMatchObject({ kind: 'heatmap', columns: [0, 1, 2, 3, 4, 5, 6] });
    expect(report.sections[3].statements[0]).toContain('at layer 6, CKA 0.4000');
    const [pdf, csv, latex, svg] = ['a.pdf', 'csv', 'a.tex', 'svg'].map((name) => join(folder.path, name));
    const files = await writeFigureReport(report, { pdf, csv, latex, svg });
    expect(files.map((path) => path.slice(folder.path.length + 1))).toEqual([
      'a.pdf',
      'csv/change.csv',
      'csv/agreement.csv',
      'csv/drift.csv',
      'a.tex',
      'svg/change-0-tiny-hubert-ft-asr.svg',
      'svg/change-1-tiny-hubert-ft-speaker.svg',
      'svg/agreement-tiny-hubert-ft-asr-tiny-hubert-ft-speaker.svg',
      'svg/drift-1.svg',
      'svg/drift-2.svg',
    ]);
    expect(readFileSync(pdf).subarray(0, 5).toString()).toBe('%PDF-');
    expect(readFileSync(latex, 'utf8').match(/\\begin\{table\}/g)).toHaveLength(4);
    expect(readFileSync(join(csv, 'drift.csv'), 'utf8').split('\n').slice(0, 3)).toEqual([
      'model,other,layer,cka,debiased,frames',
      'tiny-hubert,tiny-hubert-ft-asr,0,0.99,0.98,90',
      'tiny-hubert,tiny-hubert-ft-asr,6,0.4,,90',
    ]);
    await expect(writeFigureReport(report, {})).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('the report of a merge', () => {
  it('has its recipe, and the merges it went through before', async () => {
    const [first, second] = ['first', 'second'].map((name) => join(folder.path, name));
    await mergeModels({ ...request({ base, finetuned: [asr] }), out: first });
    await mergeModels({ ...request({ base: first, finetuned: [speaker], alphas: [{ value: 0.5 }] }), out: second });
    expect(readFileSync(join(second, 'README.md'), 'utf8')).toContain(
      '1. linear with tiny-hubert-ft-asr at alpha 0.25\n2. linear with tiny-hubert-ft-speaker at alpha 0.5',
    );
    const recipe = await readRecipe(second);
    const report = mergeReport('second', recipe, await compareModels(first, [second]));
    const [{ tables }] = report.sections;
    const cells = tables[0].rows.map((row) => row.map(({ text }) => text));
    expect(cells).toContainEqual(['alpha', '0.5']);
    expect(cells).toContainEqual(['step 1 before', 'linear at alpha 0.25']);
    await expect(readRecipe(base)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('the report of a judgement', () => {
  it('draws every task over alpha with both ends, and the target against the others', async () => {
    const judgement = judgeExperiment({ scores }, models, {})!;
    expect(judgement).toMatchObject({ target: 'word', tasks: ['word', 'speaker'], modelIds: [1, 2, 3], recommended: 2 });
    const charts = judgementCharts(judgement);
    expect(charts.map(({ title }) => title)).toEqual(['LogME of word over alpha', 'LogME of speaker over alpha']);
    expect(charts[0].series.map(({ points }) => points.map(({ x, y }) => [x, y]))).toEqual([
      [
        [0, 1],
        [0.5, 1.5],
        [1, 2],
      ],
    ]);
    expect(paretoFigure(judgement)!.points.map(({ group }) => group)).toEqual([
      'pre-trained',
      'merge on the front',
      'recommended',
    ]);
    const csv = join(folder.path, 'judged');
    await writeFigureReport(judgementReport('Words', judgement, []), { csv });
    const [head, , half] = readFileSync(join(csv, 'members.csv'), 'utf8').split('\n');
    expect(head.startsWith('model,role,method,alpha,target,')).toBe(true);
    expect(half.startsWith('ft at alpha 0.5,merge,linear,0.5,1.5,')).toBe(true);
  });

  it('judges probes by the weighted sum of layers, each task by its own measure, and methods by lines of their own', () => {
    const ties = { ...model(4, 0.5), name: 'ties of ft' };
    const { merge } = ties.card as { merge: object };
    const methods = [...models, { ...ties, card: { merge: { ...merge, method: 'ties' } } }];
    const sums = methods.flatMap(({ id, name }, index) =>
      (['word', 'text'] as const).flatMap((label) =>
        (['', 'shuffled-labels'] as const).map((control): StoredLayerSum => {
          const step = [0, 0.5, 1, 0.25][index];
          const value = control ? 0.9 : label === 'word' ? 0.95 + 0.04 * step : 0.5 - 0.2 * step;
          return {
            experimentId: 1,
            recipeId: 1,
            modelId: id,
            model: name,
            label,
            unit: 'utterance',
            metric: label === 'word' ? 'probe-accuracy' : 'probe-ter',
            value,
            ci_low: null,
            ci_high: null,
            n: 100,
            d: 4,
            classes: 3,
            control,
            replicates: Array.from({ length: 20 }, (_, g) => value + 0.001 * (g % 3)),
            layers: [0, 1],
            weights: [0.5, 0.5],
            notes: [],
          };
        }),
      ),
    );
    const judgement = judgeExperiment({ scores: [], sums }, methods, { target: 'text' })!;
    expect(judgement).toMatchObject({
      measure: 'probe',
      metric: 'probe',
      metricName: 'Probe',
      over: 'sum',
      overs: ['sum'],
      recommended: 3,
      bestMerge: 1,
      axes: { text: { higherIsBetter: false }, word: { higherIsBetter: true } },
      lines: [
        { method: 'linear', members: [0, 1, 3] },
        { method: 'ties', members: [0, 2] },
      ],
    });
    // Errors of 0.5 with chance at 0.9; the fine-tuned model has 0.3.
    expect(judgement.members.map(({ target }) => target)).toEqual(
      [1, 1.25, 1.125, 1.5].map((share) => expect.closeTo(share, 9) as number),
    );
    const [text] = judgementCharts(judgement);
    expect(text).toMatchObject({ title: 'Probe token error rate of text over alpha', score: { higherIsBetter: false } });
    expect(text.series.map(({ label, points }) => [label, points.map(({ x }) => x)])).toEqual([
      ['linear', [0, 0.5, 1]],
      ['ties', [0, 0.5]],
    ]);
    const { sections } = judgementReport('Probed', judgement, []);
    expect(sections[0].tables[0].columns.map(({ name }) => name)).not.toContain('layer');
    expect(paretoFigure(judgement)!.points.map(({ label }) => label)).toEqual(['0', 'linear 0.5', 'ties 0.5', 'ft']);
    expect(() => judgeExperiment({ scores: [], sums }, methods, { over: 'best' })).toThrow(
      'probed the weighted sum of layers only',
    );
    expect(() => judgeExperiment({ scores }, models, { over: 'sum' })).toThrow('which only probes have');
  });

  it('knows one task, another target and unit, and refuses what is no sweep', () => {
    expect(judgeExperiment({ scores: [] }, models, {})).toBeNull();
    const speakerFirst = judgeExperiment({ scores }, models, { target: 'speaker', over: 'last' })!;
    expect(speakerFirst).toMatchObject({ target: 'speaker', others: ['word'], over: 'last' });
    const alone = judgeExperiment({ scores: scores.filter(({ label }) => label === 'word') }, models, {})!;
    expect(paretoFigure(alone)).toBeNull();
    expect(() => judgeExperiment({ scores }, models, { target: 'colour' })).toThrow('it has word, speaker');
    const plain = models.map((one) => ({ ...one, card: {} }));
    expect(() => judgeExperiment({ scores }, plain, {})).toThrow('scored models, not merges');
  });
});
