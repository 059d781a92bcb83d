import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'csv-parse/sync';
import { describe, expect, it, vi } from 'vitest';

import { openProject, type Project } from '#main/project/project.ts';
import { compareScores } from '#main/reports/comparison.ts';
import { scoresCsv, writeScoresCsv } from '#main/reports/csv.ts';
import { layerRanges } from '#main/reports/findings.ts';
import { reportLatex } from '#main/reports/latex.ts';
import { reportPdf } from '#main/reports/pdf.ts';
import { digestRecipes, flattenRecipe } from '#main/reports/recipes.ts';
import { buildScoreReport, type ReportDocument } from '#main/reports/scoreReport.ts';
import { svgFiles } from '#main/reports/svgFiles.ts';
import { writeReport } from '#main/reports/writeReport.ts';
import { escapeLatex } from '#shared/figures/tableLatex.ts';
import { type StoredScore } from '#shared/project.ts';
import { scoreColumns } from '#shared/score.ts';

import { sampleProject, type SampleShape } from './samples.ts';

function reportOf(project: Project): ReportDocument {
  return buildScoreReport({
    projectName: project.name,
    experiments: project.experiments(),
    models: project.models(),
    scores: project.scores(),
    recipes: project.recipes(),
    now: new Date('2026-01-02T03:04:05Z'),
    appVersion: '9.9.9',
  });
}

function report(change: Partial<SampleShape> = {}): ReportDocument {
  return reportOf(sampleProject(change));
}

function score(value: number, change: Partial<StoredScore> = {}): StoredScore {
  return {
    experimentId: 1,
    modelId: 1,
    recipeId: 1,
    model: 'm',
    layer: 0,
    label: 'word',
    unit: 'utterance',
    metric: 'logme',
    value,
    ci_low: null,
    ci_high: null,
    n: 10,
    d: 4,
    classes: 2,
    control: '',
    replicates: null,
    resampling: 'jackknife',
    notes: [],
    ...change,
  };
}

/** A project with one label whose scores are given: per model, per layer. */
function scoredProject(models: Record<string, StoredScore[]>): Project {
  const project = openProject(':memory:', { mode: 'write' });
  const experiment = project.createExperiment({ name: 'e', spec: {}, specHash: 'h' });
  for (const [name, rows] of Object.entries(models)) {
    const modelId = project.upsertModel({
      name,
      path: `/m/${name}`,
      fingerprint: name,
      family: 'hubert',
      layers: 3,
      width: 4,
      parameters: 95e6,
      dtype: 'F32',
      bytes: 1,
    });
    project.saveScores(
      experiment,
      { name },
      rows.map((row) => ({ ...row, modelId, model: name })),
    );
  }
  return project;
}

const folder = () => mkdtempSync(join(tmpdir(), 'foretune-report-'));

describe('comparing two scores', () => {
  it('goes by the interval of their difference over the same groups', () => {
    // Both move together when a group is left out: the intervals overlap, the difference is clear.
    const moves = [-0.05, 0.03, 0.04, -0.02];
    const wide = { ci_low: 0, ci_high: 1 };
    const a = score(0.5, { ...wide, replicates: moves.map((move) => 0.5 + move) });
    const b = score(0.4, { ...wide, replicates: moves.map((move) => 0.4 + move) });
    expect(compareScores(a, b)).toBe('apart');
    const apart = score(0.4, { ...wide, replicates: moves.map((move) => 0.4 - move) });
    expect(compareScores(a, apart)).toBe('not-apart');
  });

  it('falls back on the intervals, and says when there are none', () => {
    const low = score(0.1, { ci_low: 0, ci_high: 0.2 });
    expect(compareScores(low, score(0.3, { ci_low: 0.25, ci_high: 0.35 }))).toBe('apart');
    expect(compareScores(low, score(0.3, { ci_low: 0.15, ci_high: 0.45 }))).toBe('not-apart');
    expect(compareScores(low, score(0.3))).toBe('unknown');
  });
});

describe('the words of a report', () => {
  it('name the best model and layer, and claim a difference only where there is one', () => {
    const clear = reportOf(
      scoredProject({
        good: [score(0.5, { layer: 2, ci_low: 0.45, ci_high: 0.55 }), score(0.2, { layer: 1, ci_low: 0.15, ci_high: 0.25 })],
        poor: [score(0.1, { ci_low: 0.05, ci_high: 0.15 })],
      }),
    );
    expect(clear.summary).toEqual([
      'LogME of word, utterances: good at layer 2 scores highest, LogME 0.500 (95 % interval 0.450 to 0.550). It is distinguishable from poor (layer 0, 0.100).',
    ]);
    expect(clear.sections[0].statements).toContain('Within good, layer 2 is distinguishable from every other layer.');

    const open = reportOf(
      scoredProject({
        good: [score(0.5, { layer: 2, ci_low: 0.4, ci_high: 0.6 }), score(0.45, { layer: 1, ci_low: 0.4, ci_high: 0.5 })],
        close: [score(0.48, { ci_low: 0.38, ci_high: 0.58 })],
      }),
    );
    expect(open.summary[0]).toContain(
      'Not distinguishable from it: close (layer 0, 0.480); take them as equal on this evidence.',
    );
    expect(open.sections[0].statements).toContain('Within good, no layer is distinguishable from layer 2.');

    const bare = reportOf(scoredProject({ good: [score(0.5)], close: [score(0.48)] }));
    expect(bare.summary[0]).toContain('There are no intervals to compare by');
  });

  it('hold the best score against its controls', () => {
    const row = (value: number, control: StoredScore['control']) =>
      score(value, { control, ci_low: value - 0.01, ci_high: value + 0.01 });
    const good = reportOf(scoredProject({ m: [row(0.5, ''), row(0.1, 'random-weights'), row(0, 'shuffled-labels')] }));
    expect(good.sections[0].statements.slice(-2)).toEqual([
      'Random weights in the same architecture reach 0.100 (layer 0), distinguishably worse: what was learned in pre-training carries the score.',
      'Shuffled labels reach 0.000 (layer 0), distinguishably worse: the features do tell about this label.',
    ]);
    const bad = reportOf(scoredProject({ m: [row(0.5, ''), row(0.6, 'random-weights'), row(0.495, 'shuffled-labels')] }));
    expect(bad.sections[0].statements.slice(-2)).toEqual([
      'Random weights in the same architecture reach 0.600 (layer 0), no worse: this score is no evidence that pre-training helps here.',
      'Shuffled labels reach 0.495 (layer 0), not distinguishably worse: this score is no evidence that the features tell anything about this label.',
    ]);
    expect(report({ controls: [] }).sections[0].statements.at(-1)).toContain('No control was scored');
  });

  it('name the single cells whose own control is as good, of every model', () => {
    const row = (layer: number, value: number, control: StoredScore['control'] = '') =>
      score(value, { layer, control, ci_low: value - 0.01, ci_high: value + 0.01 });
    const rows = [row(0, 0.1), row(1, 0.5), row(2, 0.4), row(3, 0.2)];
    const shuffled = [row(0, 0.2, 'shuffled-labels'), row(1, 0.1, 'shuffled-labels'), row(2, 0.395, 'shuffled-labels')];
    const { reading } = reportOf(scoredProject({ m: [...rows, ...shuffled], other: rows })).sections[0];
    expect(reading.at(-1)).toBe(
      'Shuffled labels are as good as 2 of 3 cells of models and layers, or not distinguishably worse: m (layers 0, 2); these numbers are no more than chance gives.',
    );
    const clear = reportOf(scoredProject({ m: [row(1, 0.5), row(1, 0.1, 'shuffled-labels')] })).sections[0];
    expect(clear.reading.join(' ')).not.toContain('cells');
  });

  it('write layers as ranges', () => {
    expect(layerRanges([5, 2, 3, 4, 0])).toBe('0, 2–5');
    expect(layerRanges([7, 8])).toBe('7, 8');
  });

  it('answer what every reader asks first', () => {
    const questions = report().guide.map(({ question }) => question);
    expect(questions).toEqual(expect.arrayContaining(['Is 0.76 good?', 'Which split should be scored?', 'May widths differ?']));
  });
});

describe('the figures of a report', () => {
  it('make a section for each label and unit, models best first, controls below', () => {
    const { sections } = report();
    expect(sections.map(({ heading }) => heading)).toEqual([
      'LogME of speaker, frames',
      'LogME of speaker, utterances',
      'LogME of word, frames',
      'LogME of word, utterances',
    ]);
    const [{ heatmap, curve, table }] = sections;
    expect(heatmap.columns).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const best = heatmap.values.map((row) => Math.max(...row.filter((value) => value !== null)));
    expect(best.slice(0, 5)).toEqual(best.slice(0, 5).toSorted((a, b) => b - a));
    expect(heatmap.rows.map(({ control }) => control)).toEqual([false, false, false, false, false, true, true]);
    expect(curve?.series.map(({ control }) => control)).toEqual([false, false, false, false, false, true, true]);
    expect(table.rows[0][3].mark).toBe('best');
    expect(table.rows[1][3].mark).toBe('second');
    expect(table.rows.every((row) => row.length === table.columns.length)).toBe(true);
  });

  it('leave layers empty that a model does not have, and leave out the curve of a single layer', () => {
    const { heatmap } = report({ names: ['base', 'large'], layers: [3, 5], controls: [], labels: ['word'], units: ['frame'] })
      .sections[0];
    const row = heatmap.rows.findIndex(({ label }) => label === 'base');
    expect(heatmap.values[row].slice(3)).toEqual([null, null]);
    expect(report({ names: ['solo'], layers: [1] }).sections[0].curve).toBeNull();
  });

  it('tell models of one name apart', () => {
    const project = scoredProject({ twin: [score(0.5)] });
    const other = project.upsertModel({ ...project.models()[0], fingerprint: 'other-fingerprint' });
    project.saveScores(1, {}, [score(0.4, { modelId: other, model: 'twin' })]);
    const labels = reportOf(project).sections[0].heatmap.rows.map(({ label }) => label);
    expect(labels).toEqual(['twin (twin)', 'twin (other-fi)']);
  });

  it('refuse an empty project, and numbers that are none', () => {
    expect(() => reportOf(openProject(':memory:', { mode: 'write' }))).toThrow(/has no scores yet/);
    const project = scoredProject({ m: [score(0.5)] });
    const input = {
      projectName: 'p',
      experiments: project.experiments(),
      models: project.models(),
      recipes: project.recipes(),
      now: new Date(),
      appVersion: '1',
    };
    const scores = project.scores().map((row) => ({ ...row, value: NaN }));
    expect(() => buildScoreReport({ ...input, scores })).toThrow(/score of m, layer 0, word, logme is not a number/);
  });
});

describe('recipes', () => {
  it('are flat lines, long lists cut', () => {
    expect(flattenRecipe({ a: { b: [1, 2] }, c: [{ d: null }], e: [], f: true })).toEqual([
      ['a.b', '1, 2'],
      ['c[1].d', 'null'],
      ['e', 'none'],
      ['f', 'true'],
    ]);
    expect(flattenRecipe({ a: [1, 2, 3] }, 2)).toEqual([['a', '1, 2, and 1 more, in the project file']]);
  });

  it('tell once what all share', () => {
    const digest = digestRecipes([
      { id: 4, hash: 'x', recipe: { seed: 1, model: 'a' } },
      { id: 9, hash: 'y', recipe: { seed: 1, model: 'b' } },
    ]);
    expect(digest.shared).toEqual([['seed', '1']]);
    expect(digest.own).toEqual([
      { id: 4, name: 'R1', entries: [['model', 'a']] },
      { id: 9, name: 'R2', entries: [['model', 'b']] },
    ]);
  });
});

describe('the outputs', () => {
  it('CSV has exactly the columns of a score row and every digit', async () => {
    const project = sampleProject();
    const text = scoresCsv(project.scores());
    const rows: string[][] = parse(text);
    expect(rows[0]).toEqual(scoreColumns);
    expect(rows).toHaveLength(project.scores().length + 1);
    expect(rows.slice(1).map((row) => Number(row[5]))).toEqual(project.scores().map(({ value }) => value));
    const path = join(folder(), 's.csv');
    await writeScoresCsv(path, [score(-0.25, { model: '=cmd()', ci_low: -1 })]);
    expect(readFileSync(path, 'utf8').split('\n')[1]).toBe("'=cmd(),0,word,utterance,logme,-0.25,-1,,10,4,2,");
  });

  it('LaTeX marks the best and the second, and nothing in a name is a command', () => {
    const text = reportLatex(report({ names: ['a_b%c', 'x\\y{z}', 'plain'] }));
    // Two labels by two units: four tables of scores, four of ranks, and two columns in each of two tables of tasks.
    expect(text.match(/\\textbf\{/g)).toHaveLength(12);
    expect(text.match(/\\underline\{/g)).toHaveLength(12);
    expect(text).toContain('a\\_b\\%c');
    expect(text).toContain('\\toprule');
    expect(escapeLatex('x\\y{z} −1 50%')).toBe('x\\textbackslash{}y\\{z\\} $-$1 50\\%');
  });

  it('SVG files have clean, different names', () => {
    const names = svgFiles(report({ labels: ['Wort/ä', 'Wort ä', '../x'], units: ['frame'] })).map(({ name }) => name);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(6);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9.-]*\.svg$/);
  });

  it.each<[string, Partial<SampleShape>]>([
    ['the usual project', {}],
    ['one layer of one model', { names: ['solo'], layers: [1], controls: [], labels: ['word'], units: ['frame'] }],
    ['long and odd names', { names: ['x'.repeat(200), '<b>&"\u0001 模型'], labels: ['a & <b>'], units: ['frame'] }],
    ['no intervals, large negative scores', { intervals: false, shift: -1234.5 }],
    ['an unknown score', { metric: 'future-score' }],
  ])('PDF is vector, with its fonts inside, and silent: %s', async (_, shape) => {
    const warn = vi.spyOn(console, 'warn');
    const bytes = Buffer.from(await reportPdf(report(shape))).toString('latin1');
    expect(bytes.startsWith('%PDF-1.')).toBe(true);
    expect(bytes.trimEnd().endsWith('%%EOF')).toBe(true);
    expect(bytes).toContain('DejaVuSans-Bold');
    expect(bytes).toContain('/FontFile2');
    expect(bytes).not.toContain('/Subtype /Image');
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('PDF fits a section of five models and seven layers on one page', async () => {
    const bytes = Buffer.from(await reportPdf(report())).toString('latin1');
    // Summary and guide, four sections, two of recommendations, tasks, recipes.
    expect(bytes.match(/\/Type \/Page\b(?!s)/g)).toHaveLength(9);
  });

  it('are all written, whole and by name', async () => {
    const out = folder();
    const project = sampleProject({ labels: ['word'], units: ['frame'] }, join(out, 'p.foretune'));
    project.close();
    const before = readFileSync(join(out, 'p.foretune'));
    const reader = openProject(join(out, 'p.foretune'), { mode: 'read' });
    const targets = { pdf: join(out, 'r.pdf'), csv: join(out, 'csv'), latex: join(out, 'r.tex'), svg: join(out, 'deep', 'svg') };
    const files = await writeReport(reader, targets);
    reader.close();
    expect(files).toEqual([
      targets.pdf,
      join(targets.csv, 'scores.csv'),
      join(targets.csv, 'ranks.csv'),
      join(targets.csv, 'recipes.csv'),
      targets.latex,
      join(targets.svg, 'LogME-of-word-frames-heatmap.svg'),
      join(targets.svg, 'LogME-of-word-frames-layers.svg'),
    ]);
    expect(readdirSync(out).sort()).toEqual(['csv', 'deep', 'p.foretune', 'r.pdf', 'r.tex']);
    expect(readFileSync(join(out, 'p.foretune')).equals(before)).toBe(true);
    const recipes: Record<string, string>[] = parse(readFileSync(join(targets.csv, 'recipes.csv'), 'utf8'), { columns: true });
    expect(
      recipes.find(({ key, control, model }) => key === 'weights' && control === 'random-weights' && model === 'tiny-hubert')
        ?.value,
    ).toBe('random, seed 0');
  });

  it('never replace the project, by its name or by another way to it', async () => {
    const out = folder();
    const path = join(out, 'p.foretune');
    const project = sampleProject({ labels: ['word'], units: ['frame'] }, path);
    linkSync(path, join(out, 'hard.pdf'));
    mkdirSync(join(out, 'sub'));
    for (const pdf of [path, join(out, 'sub', '..', 'p.foretune'), join(out, 'hard.pdf'), `${path}-wal`, `${path}-lock`]) {
      await expect(writeReport(project, { pdf })).rejects.toMatchObject({ code: 'usage' });
    }
    await expect(writeReport(project, {})).rejects.toMatchObject({ code: 'usage' });
    expect(project.scores().length).toBeGreaterThan(0);
    project.close();
  });

  it('say in one sentence where they cannot be written', async () => {
    const out = folder();
    const project = sampleProject({ labels: ['word'], units: ['frame'] });
    await expect(writeReport(project, { latex: join(out, 'gone', 'r.tex') })).rejects.toMatchObject({ code: 'not-found' });
    writeFileSync(join(out, 'file'), '');
    await expect(writeReport(project, { csv: join(out, 'file', 'csv') })).rejects.toMatchObject({ name: 'ForetuneError' });
    expect(readdirSync(out)).toEqual(['file']);
  });
});
