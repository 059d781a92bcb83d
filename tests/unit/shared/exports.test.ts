import { describe, expect, it } from 'vitest';

import { type ClipFigure } from '#shared/figures/clip.ts';
import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { figureNumbers, figureTable } from '#shared/figures/numbers.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { figureSchema, tableFigureSchema } from '#shared/figures/schema.ts';
import { type Figure, figureSvg } from '#shared/figures/svg.ts';
import { tableLatex } from '#shared/figures/tableLatex.ts';
import { tableSvg } from '#shared/figures/tableSvg.ts';
import { drawingPdf } from '#main/reports/pdf.ts';

const heatmap: HeatmapFigure = {
  kind: 'heatmap',
  title: 'LogME',
  subtitle: '',
  score: { name: 'LogME', unit: '', higherIsBetter: true },
  columnName: 'Layer',
  columns: [0, 1, 2],
  detailNames: ['size'],
  rows: [
    { id: 'a', label: 'A & B', details: ['1 M'], control: false },
    { id: 'c', label: 'random weights', details: [''], control: true },
  ],
  values: [
    [-0.25, 0.5, 0.375],
    [0.125, null, 0.25],
  ],
  domain: 'absolute',
  range: null,
};
const line: LineChartFigure = {
  kind: 'line-chart',
  title: 'Over layers',
  subtitle: '',
  xName: 'Layer',
  score: { name: 'WER', unit: '%', higherIsBetter: false },
  series: [
    {
      id: 'a',
      label: 'A',
      points: [
        { x: 0, y: 30, low: null, high: null },
        { x: 2, y: 10.5, low: 9, high: 12 },
      ],
      control: false,
      emphasis: true,
    },
  ],
};
const scatter: ScatterFigure = {
  kind: 'scatter',
  title: 'Against',
  subtitle: 'n = 2',
  x: { name: 'SWD', unit: '', higherIsBetter: false },
  y: { name: 'accuracy', unit: '', higherIsBetter: true },
  points: [
    { id: 'a', label: 'A', group: 'g', x: 1, y: 0.9, low: 0.5, high: 1.5 },
    { id: 'b', label: 'B', group: 'g', x: 2, y: 0.8, low: null, high: null },
  ],
};
const clip: ClipFigure = {
  kind: 'clip',
  title: 'a/b.wav',
  subtitle: '',
  labels: [{ name: 'speaker', value: 'A & B' }],
  from: 1,
  to: 3,
  wave: { low: Float32Array.of(-0.5, 0), high: Float32Array.of(0.25, 0) },
  spectrum: { frames: 2, bins: 3, from: 1.1, to: 2.9, hertz: 8000, range: 80, levels: Uint8Array.of(0, 1, 2, 253, 254, 255) },
  tiers: [
    {
      name: 'words',
      kind: 'intervals',
      intervals: [
        { start: 0, end: 1, label: 'before' },
        { start: 0.5, end: 1.5, label: 'yes' },
        { start: 2, end: 2.01, label: 'narrow' },
        { start: 3, end: 4, label: 'after' },
      ],
    },
    { name: '', kind: 'points', intervals: [{ start: 1.25, end: 1.25, label: 'H*' }] },
  ],
};
const figures: Figure[] = [
  heatmap,
  line,
  scatter,
  clip,
  {
    kind: 'dot-plot',
    title: 'SUPERB',
    subtitle: '',
    rowName: 'run',
    score: { name: 'SUPERB score', unit: '', higherIsBetter: true },
    otherName: 'printed',
    rows: [
      { id: 'a', label: 'A', value: 800, other: 801, emphasis: true },
      { id: 'b', label: 'B', value: 900, other: null, emphasis: false },
    ],
  },
];

describe('numbers of a figure', () => {
  it('are there in full, an observation a row, holes included', () => {
    const { columns, rows } = figureNumbers(heatmap);
    expect(columns).toEqual(['model', 'size', 'layer', 'LogME', 'control']);
    expect(rows).toHaveLength(6);
    expect(rows[0]).toEqual(['A & B', '1 M', 0, -0.25, '']);
    expect(rows[4]).toEqual(['random weights', '', 1, null, 'yes']);
    expect(figureNumbers(line).rows[1]).toEqual(['A', 2, 10.5, 9, 12, '']);
    expect(figureNumbers(scatter).rows[0]).toEqual(['A', 'g', 1, 0.5, 1.5, 0.9]);
  });

  it('are a table with the best bold and the second underlined, by the better end; controls do not compete', () => {
    const latex = tableLatex(figureTable(heatmap), 'tab:x');
    expect(latex).toContain('A \\& B & $-$0.250 & \\textbf{0.500} & \\underline{0.375} \\\\');
    expect(latex).toContain('random weights & 0.125 &  & 0.250 \\\\');
    expect(tableLatex(figureTable(line), 'tab:x')).toContain('A & \\underline{30.0} & \\textbf{10.5} \\\\');
    expect(tableLatex(figureTable(scatter), 'tab:x')).toContain('A & \\textbf{1.00} & \\textbf{0.900} \\\\');
  });

  it('mark nothing where neither end is better', () => {
    const { rows } = figureTable({ ...heatmap, score: { ...heatmap.score, higherIsBetter: null } });
    expect(rows.flat().some(({ mark }) => mark !== undefined)).toBe(false);
  });
});

describe('a clip', () => {
  it('has a row for each stretch of time that is shown, cut at its ends, and for each piece of its waveform', () => {
    const { columns, rows } = figureNumbers(clip);
    expect(columns).toEqual(['track', 'start', 'end', 'label', 'lowest', 'highest']);
    expect(rows).toEqual([
      ['speaker', 1, 3, 'A & B', null, null],
      ['words', 1, 1.5, 'yes', null, null],
      ['words', 2, 2.01, 'narrow', null, null],
      ['labels', 1.25, 1.25, 'H*', null, null],
      ['waveform', 1, 2, '', -0.5, 0.25],
      ['waveform', 2, 3, '', 0, 0],
    ]);
    expect(tableLatex(figureTable(clip), 'tab:x')).toContain('words & yes & 1.000 & 1.500 \\\\');
  });

  it('is drawn with its labels, a word on those that have no room, and the spectrogram as a picture inside', () => {
    const { svg } = figureSvg(clip);
    expect(svg).toContain('speaker: A &amp; B');
    for (const text of ['yes', 'H*', 'frequency, kHz', '0 dB', '−80 dB']) expect(svg).toContain(`>${text}</text>`);
    expect(svg).toContain('one label is too narrow');
    expect(svg).not.toMatch(/before|after|>narrow</);
    const [, base64] = /href="data:image\/png;base64,([^"]+)"/.exec(svg)!;
    expect(Buffer.from(base64, 'base64').subarray(0, 4).toString('latin1')).toBe('\x89PNG');
  });

  it('is refused where its arrays do not fit', () => {
    const { spectrum, wave } = clip;
    for (const part of [{ spectrum: { ...spectrum, frames: 3 } }, { wave: { ...wave, low: Float32Array.of(0) } }, { from: 3 }])
      expect(figureSchema.safeParse({ ...clip, ...part }).success).toBe(false);
  });

  it('becomes a PDF that holds the picture', async () => {
    const pdf = Buffer.from(await drawingPdf(figureSvg(clip), 'a')).toString('latin1');
    expect(pdf).toMatch(/\/Subtype \/Image/);
    expect(pdf).toMatch(/\/Width 2\b/);
  });
});

describe('a table as a drawing', () => {
  it('has three rules, bold and underlined cells, and escapes what it is given', () => {
    const table = figureTable({ ...heatmap, title: '<script>' });
    const { svg, width, height } = tableSvg({ ...table, notes: ['A remark.'] });
    expect(svg).not.toContain('<script>');
    expect(svg.match(/<line/g)).toHaveLength(4);
    expect(svg).toContain('A remark.');
    expect(svg).toMatch(/font-weight="bold">0\.500/);
    expect(width).toBeGreaterThan(300);
    expect(height).toBeGreaterThan(60);
  });
});

describe('what crosses to the engine', () => {
  it('is every kind of figure and table, unchanged', () => {
    for (const figure of figures) {
      expect(figureSchema.parse(figure)).toEqual(figure);
      const table = figureTable(figure);
      expect(tableFigureSchema.parse(table)).toEqual(table);
    }
  });

  it('is refused where rows and columns do not fit, or a number is none', () => {
    expect(figureSchema.safeParse({ ...heatmap, columns: [0, 1] }).success).toBe(false);
    expect(figureSchema.safeParse({ ...heatmap, values: [[1, 2, Number.NaN], heatmap.values[1]] }).success).toBe(false);
    expect(tableFigureSchema.safeParse({ ...figureTable(heatmap), columns: [] }).success).toBe(false);
  });

  it('becomes a PDF of one page', async () => {
    const pdf = Buffer.from(await drawingPdf(tableSvg(figureTable(heatmap)), 'LogME')).toString('latin1');
    expect(pdf.startsWith('%PDF-')).toBe(true);
    expect(pdf.match(/\/Type \/Page\b/g)).toHaveLength(1);
  });
});
