import { type ClipFigure, shownTiers } from './clip.ts';
import { type HeatmapFigure } from './heatmap.ts';
import { type LineChartFigure } from './lineChart.ts';
import { type Figure } from './svg.ts';
import { type TableCell, type TableFigure } from './table.ts';
import { decimalsFor, formatNumber } from './ticks.ts';

/** The numbers behind a figure, in full: one observation a row, for programs. */
export interface FigureNumbers {
  columns: readonly string[];
  rows: readonly (readonly (string | number | null)[])[];
}

/** What is labelled in a clip, the whole before its parts: a row a stretch of time, whose name is its tier or column. */
function clipStretches(figure: ClipFigure): { track: string; start: number; end: number; label: string }[] {
  const { from, to, labels } = figure;
  return [
    ...labels.map(({ name, value }) => ({ track: name, start: from, end: to, label: value })),
    ...shownTiers(figure).flatMap(({ name, intervals }) =>
      intervals.map(({ start, end, label }) => ({ track: name || 'labels', start, end, label })),
    ),
  ];
}

/** Every row is a stretch of time: one with a label, or a piece of the waveform with its lowest and highest sample. */
function clipNumbers(figure: ClipFigure): FigureNumbers {
  const { from, to, wave } = figure;
  const edge = (piece: number): number => Number((from + (piece / wave.low.length) * (to - from)).toFixed(6));
  return {
    columns: ['track', 'start', 'end', 'label', 'lowest', 'highest'],
    rows: [
      ...clipStretches(figure).map(({ track, start, end, label }) => [track, start, end, label, null, null]),
      ...Array.from(wave.low, (low, i) => ['waveform', edge(i), edge(i + 1), '', low, wave.high[i]]),
    ],
  };
}

/** Numbers of any figure in long form. */
export function figureNumbers(figure: Figure): FigureNumbers {
  switch (figure.kind) {
    case 'heatmap':
      return {
        columns: [
          figure.rowName ?? 'model',
          ...figure.detailNames,
          figure.columnName.toLowerCase(),
          figure.score.name,
          'control',
        ],
        rows: figure.rows.flatMap(({ label, details, control }, r) =>
          figure.columns.map((column, c) => [label, ...details, column, figure.values[r][c], control ? 'yes' : '']),
        ),
      };
    case 'line-chart':
      return {
        columns: ['line', figure.xName.toLowerCase(), figure.score.name, 'ci_low', 'ci_high', 'control'],
        rows: figure.series.flatMap(({ label, points, control }) =>
          points.map(({ x, y, low, high }) => [label, x, y, low, high, control ? 'yes' : '']),
        ),
      };
    case 'scatter':
      return {
        columns: ['name', 'group', figure.x.name, 'ci_low', 'ci_high', figure.y.name],
        rows: figure.points.map(({ label, group, x, low, high, y }) => [label, group, x, low, high, y]),
      };
    case 'dot-plot':
      return {
        columns: [figure.rowName, figure.score.name, ...(figure.otherName === '' ? [] : [figure.otherName])],
        rows: figure.rows.map(({ label, value, other }) => [label, value, ...(figure.otherName === '' ? [] : [other])]),
      };
    case 'clip':
      return clipNumbers(figure);
  }
}

/** Cells of numbers that compete: the best and the second best are marked, where one end is better and there are two to compare. */
function competing(values: readonly (number | null)[], higherIsBetter: boolean | null, decimals: number): TableCell[] {
  const order = [...new Set(values.filter((value) => value !== null))].sort((a, b) => (higherIsBetter ? b - a : a - b));
  const place = (value: number) => (higherIsBetter === null || order.length < 2 ? -1 : order.indexOf(value));
  return values.map((value) => {
    if (value === null) return { text: '' };
    const text = formatNumber(value, decimals);
    const mark = (['best', 'second'] as const)[place(value)];
    return mark ? { text, mark } : { text };
  });
}

function decimalsOf(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null);
  const low = known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = known.reduce((most, value) => Math.max(most, value), -Infinity);
  return decimalsFor(high - low);
}

/** Short names such as "Layer" stand in every head; what is longer stands below the table once. */
const longestName = 8;

function heatmapTable({ rows, columns, values, columnName, score, rowName = 'model' }: HeatmapFigure): TableFigure['rows'] {
  const decimals = decimalsOf(values.flat());
  return [
    [
      { text: rowName },
      ...columns.map((column) => ({
        text: columnName.length > longestName ? String(column) : `${columnName.toLowerCase()} ${column}`,
      })),
    ],
    ...rows.map(({ label, control }, r) => [
      { text: label },
      ...competing(values[r], control ? null : score.higherIsBetter, decimals),
    ]),
  ];
}

function lineTable({ series, xName, score }: LineChartFigure): TableFigure['rows'] {
  const places = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const valuesOf = (points: LineChartFigure['series'][number]['points']) =>
    places.map((place) => points.find(({ x }) => x === place)?.y ?? null);
  const decimals = decimalsOf(series.flatMap(({ points }) => points.map(({ y }) => y)));
  return [
    [{ text: 'line' }, ...places.map((place) => ({ text: `${xName.toLowerCase()} ${place}` }))],
    ...series.map(({ label, points, control }) => [
      { text: label },
      ...competing(valuesOf(points), control ? null : score.higherIsBetter, decimals),
    ]),
  ];
}

/** The numbers of any figure as a table for people: the first row of cells names the columns. */
function cellsOf(figure: Figure): TableFigure['rows'] {
  switch (figure.kind) {
    case 'heatmap':
      return heatmapTable(figure);
    case 'line-chart':
      return lineTable(figure);
    case 'scatter': {
      const { x, y, points } = figure;
      const column = (axis: typeof x, values: number[]) => competing(values, axis.higherIsBetter, decimalsOf(values));
      const [across, up] = [
        column(
          x,
          points.map((point) => point.x),
        ),
        column(
          y,
          points.map((point) => point.y),
        ),
      ];
      return [
        [{ text: 'name' }, { text: x.name }, { text: y.name }],
        ...points.map(({ label }, i) => [{ text: label }, across[i], up[i]]),
      ];
    }
    case 'dot-plot': {
      const { rows, score, rowName, otherName } = figure;
      const decimals = decimalsOf(rows.map(({ value }) => value));
      const values = competing(
        rows.map(({ value }) => value),
        score.higherIsBetter,
        decimals,
      );
      const others =
        otherName === ''
          ? []
          : competing(
              rows.map(({ other }) => other),
              null,
              decimals,
            );
      return [
        [{ text: rowName }, { text: score.name }, ...(otherName === '' ? [] : [{ text: otherName }])],
        ...rows.map(({ label }, i) => [{ text: label }, values[i], ...(otherName === '' ? [] : [others[i]])]),
      ];
    }
    case 'clip':
      return [
        ['tier', 'label', 'start, s', 'end, s'].map((text) => ({ text })),
        ...clipStretches(figure).map(({ track, label, start, end }) =>
          [track, label, formatNumber(start, 3), formatNumber(end, 3)].map((text) => ({ text })),
        ),
      ];
  }
}

/** A figure's numbers as a table, as papers have it beside or instead of the figure: best bold, second underlined. */
export function figureTable(figure: Figure): TableFigure {
  const [head, ...rows] = cellsOf(figure);
  return {
    title: figure.title,
    columns: head.map(({ text }, i) => ({ name: text, align: i === 0 || text === 'label' ? 'left' : 'right' })),
    rows,
    notes: [
      ...(figure.kind === 'heatmap' && figure.columnName.length > longestName
        ? [`Across: ${figure.columnName.toLowerCase()}.`]
        : []),
      ...(figure.subtitle === '' ? [] : [`${figure.subtitle}.`]),
    ],
  };
}
