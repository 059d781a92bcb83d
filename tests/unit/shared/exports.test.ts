import { describe, expect, it } from 'vitest';

import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { figureNumbers, figureTable } from '#shared/figures/numbers.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { figureSchema, tableFigureSchema } from '#shared/figures/schema.ts';
import { type Figure } from '#shared/figures/svg.ts';
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
const figures: Figure[] = [
  heatmap,
  line,
  scatter,
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
