import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';

import { writeFigureReport } from '#main/reports/figureReport.ts';
import { exitChart, paretoChart, speedReport } from '#main/reports/speedReport.ts';
import { bodySchema, type SpeedPoint, type SpeedRun } from '#shared/speed.ts';
import { figureSchema } from '#shared/figures/schema.ts';
import { figureSvg } from '#shared/figures/svg.ts';

import { temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const run: SpeedRun = {
  id: 1,
  name: 'A sweep',
  created: '2026-01-01T00:00:00.000Z',
  modelId: 1,
  model: 'recogniser',
  data: 'test.csv',
  spec: {},
  specHash: 'x',
};

/** A setting with so many errors in 100 words. */
function point(
  setting: string,
  errors: number,
  macs: number,
  seconds: number | null,
  more: Partial<SpeedPoint> = {},
): SpeedPoint {
  const counts = { substitutions: errors, deletions: 0, insertions: 0, length: 100 };
  return {
    key: setting,
    track: 'full / final',
    strategy: setting === '' ? 'full' : 'early-exit',
    setting,
    wer: errors / 100,
    cer: errors / 400,
    macs,
    seconds,
    rtf: seconds === null ? null : seconds / 100,
    mean_exit_layer: 5,
    decoding: 'greedy',
    memory: 4e6,
    exit: setting === '' ? null : { rule: 'entropy', threshold: 0.1 },
    body: bodySchema.parse({}),
    heads: 'final',
    words: { ...counts, low: errors / 100 - 0.02, high: errors / 100 + 0.02 },
    characters: { ...counts, low: 0, high: 1 },
    werIncrease: setting === '' ? null : { difference: errors / 100 - 0.1, low: 0, high: 0.2 },
    histogram: [
      { layer: 4, utterances: setting === '' ? 0 : 3 },
      { layer: 6, utterances: 1 },
    ],
    repetitions: seconds === null ? [] : [seconds * 0.9, seconds, seconds * 1.2],
    provider: seconds === null ? null : 'cpu',
    warnings: [],
    ...more,
  };
}
const points = [
  point('', 10, 2e9, 20),
  point('entropy < 0.2', 12, 1e9, 12),
  point('entropy < 0.1, "b"', 15, 1.5e9, 15, { heads: 'trained', warnings: ['It never fires.'] }),
];
const options = { published: true, fingerprints: ['model.name: recogniser.'] };

describe('a sweep as a chart', () => {
  it('shows cost as a share of the full model, with the spread of repetitions and the front', () => {
    const chart = paretoChart(run, points, 'seconds', 'greedy', false)!;
    expect(chart.points.map(({ x, y, low, high }) => [x, y, low, high].map((value) => Number(value!.toFixed(6))))).toEqual([
      [100, 10, 90, 120],
      [60, 12, 54, 72],
      [75, 15, 67.5, 90],
    ]);
    // Cheapest first; the third setting is beaten by the second.
    expect(chart.front).toEqual(['entropy < 0.2', '']);
    expect(chart.points.map(({ label }) => label)).toEqual(['full model', 'entropy < 0.2', '']);
    expect(chart.points[2].group).toBe('early-exit, trained heads');
  });

  it('sets published settings beside it as shares of their own full model, in the hue of their strategy', () => {
    const chart = paretoChart(run, points, 'macs', 'greedy', true)!;
    const published = chart.points.filter(({ reference }) => reference);
    // The table of downsampling alone has MACs.
    expect(published).toHaveLength(10);
    const cl3 = published.find(({ id }) => id.includes('CL3'))!;
    // METHODS 3.3: 134.864 of 386.538 G, WER 5.47.
    expect([cl3.x.toFixed(2), cl3.y]).toEqual(['34.89', 5.47]);
    const hues = chart.hues!;
    expect(hues['published: early-exit']).toBe(hues['early-exit']);
    expect(hues['published: downsampling']).not.toBe(hues['published: early-exit']);
    // It can be sent to the engine and stays what it is.
    expect(figureSchema.parse(chart)).toEqual(chart);
    const { svg } = figureSvg(chart);
    expect(svg.match(/<circle/g)!.length).toBeGreaterThan(13);
    expect(svg).toContain('full model');
  });

  it('needs the cost to have been measured, and exits to have been taken', () => {
    const untimed = [point('', 10, 2, null)];
    expect(paretoChart(run, untimed, 'seconds', 'greedy', true)).toBeNull();
    expect(paretoChart(run, points, 'macs', 'beam', true)).toBeNull();
    expect(exitChart(run, untimed, 'greedy')).toBeNull();
  });

  it('tells the share of utterances that left at each layer', () => {
    const chart = exitChart(run, points, 'greedy')!;
    expect(chart.columns).toEqual([4, 6]);
    expect(chart.values).toEqual([
      [75, 25],
      [75, 25],
    ]);
    expect(chart.rows.map(({ label, details }) => [label, ...details])).toEqual([
      ['entropy < 0.2', '12.00'],
      ['entropy < 0.1, "b"', '15.00'],
    ]);
  });
});

describe('a sweep as a report', () => {
  it('has a section for each decoding, a recommendation, charts for both costs and all settings', () => {
    const byBeam = points.map((one) => ({
      ...one,
      key: `${one.key} beam`,
      decoding: 'beam' as const,
      seconds: null,
      repetitions: [],
    }));
    const report = speedReport(run, [...points, ...byBeam], options);
    expect(report.sections.map(({ id }) => id)).toEqual(['speed-greedy', 'speed-beam']);
    const [greedy, beam] = report.sections;
    expect(greedy.figures.map(({ kind }) => kind)).toEqual(['scatter', 'scatter', 'heatmap']);
    // Seconds were not measured under it.
    expect(beam.figures.map(({ kind }) => kind)).toEqual(['scatter', 'heatmap']);
    expect(greedy.statements[1]).toContain(
      'For a WER at most 2.00 points higher: early-exit (entropy < 0.2), which saves 40.0 %',
    );
    expect(greedy.tables[0].rows).toHaveLength(3);
    expect(greedy.tables[0].rows.map((row) => row[1].mark ?? '')).toEqual(['best', 'best', '']);
    expect(report.summary).toEqual(expect.arrayContaining(['model.name: recogniser.', 'It never fires.']));
  });

  it('is written in every format, its numbers in full', async () => {
    const at = (name: string) => join(folder.path, name);
    const files = await writeFigureReport(speedReport(run, points, options), {
      pdf: at('r.pdf'),
      csv: at('csv'),
      latex: at('r.tex'),
      svg: at('svg'),
    });
    for (const file of files) expect(existsSync(file)).toBe(true);
    expect(readFileSync(at('r.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
    const rows = parse<Record<string, string>>(readFileSync(join(at('csv'), 'speed.csv')), { columns: true });
    expect(rows.map(({ setting, wer, wer_increase: increase, provider }) => [setting, wer, increase, provider])).toEqual([
      ['', '0.1', '', 'cpu'],
      ['entropy < 0.2', '0.12', String(0.12 - 0.1), 'cpu'],
      ['entropy < 0.1, "b"', '0.15', String(0.15 - 0.1), 'cpu'],
    ]);
    expect(readFileSync(join(at('csv'), 'exits.csv'), 'utf8')).toContain('early-exit,entropy < 0.2,greedy,4,3');
    expect(readFileSync(at('r.tex'), 'utf8')).toContain('\\toprule');
  });
});
