import * as z from 'zod';

import { type Figure } from './svg.ts';
import { type TableFigure } from './table.ts';

/** More than any screen shows; what comes from outside is bounded. */
const text = z.string().max(4000);
const many = 20_000;
const number = z.number();
const axis = z.object({ name: text, unit: text, higherIsBetter: z.boolean().nullable() });
const scoreAxis = axis.extend({ higherIsBetter: z.boolean() });
const titled = { title: text, subtitle: text };

const heatmap = z
  .object({
    kind: z.literal('heatmap'),
    ...titled,
    score: axis,
    rowName: text.optional(),
    columnName: text,
    columns: z.array(number).max(many),
    detailNames: z.array(text).max(20),
    rows: z.array(z.object({ id: text, label: text, details: z.array(text).max(20), control: z.boolean() })).max(many),
    values: z.array(z.array(number.nullable()).max(many)).max(many),
    domain: z.enum(['absolute', 'per-row', 'rank']),
    range: z.tuple([number, number]).nullable(),
  })
  .refine(({ rows, columns, values }) => values.length === rows.length && values.every((row) => row.length === columns.length), {
    message: 'A heatmap has a value, or null, for every row and column.',
  });

const lineChart = z.object({
  kind: z.literal('line-chart'),
  ...titled,
  xName: text,
  continuous: z.boolean().optional(),
  score: axis,
  series: z
    .array(
      z.object({
        id: text,
        label: text,
        points: z.array(z.object({ x: number, y: number, low: number.nullable(), high: number.nullable() })).max(many),
        control: z.boolean(),
        emphasis: z.boolean(),
      }),
    )
    .max(many),
});

const scatter = z.object({
  kind: z.literal('scatter'),
  ...titled,
  x: scoreAxis,
  y: scoreAxis,
  points: z
    .array(
      z.object({
        id: text,
        label: text,
        group: text,
        x: number,
        y: number,
        low: number.nullable(),
        high: number.nullable(),
        reference: z.boolean().optional(),
      }),
    )
    .max(many),
  front: z.array(text).max(many).optional(),
  hues: z.record(text, z.number().int().nonnegative()).optional(),
});

const dotPlot = z.object({
  kind: z.literal('dot-plot'),
  ...titled,
  rowName: text,
  score: axis,
  otherName: text,
  rows: z.array(z.object({ id: text, label: text, value: number, other: number.nullable(), emphasis: z.boolean() })).max(many),
});

const clip = z
  .object({
    kind: z.literal('clip'),
    ...titled,
    labels: z.array(z.object({ name: text, value: text })).max(1000),
    from: number,
    to: number,
    wave: z.object({ low: z.instanceof(Float32Array), high: z.instanceof(Float32Array) }),
    spectrum: z.object({
      frames: z.number().int().min(1).max(2000),
      bins: z.number().int().min(2).max(2000),
      from: number,
      to: number,
      hertz: z.number().positive(),
      range: z.number().positive(),
      levels: z.instanceof(Uint8Array),
    }),
    tiers: z
      .array(
        z.object({
          name: text,
          kind: z.enum(['intervals', 'points']),
          intervals: z.array(z.object({ start: number, end: number, label: text })).max(many),
        }),
      )
      .max(200),
  })
  .refine(({ from, to }) => from < to, { message: 'A clip shows a stretch of time.' })
  .refine(({ wave: { low, high } }) => low.length > 0 && low.length <= many && low.length === high.length, {
    message: 'A waveform has a lowest and a highest sample for every piece of time.',
  })
  .refine(({ spectrum: { frames, bins, levels } }) => levels.length === frames * bins, {
    message: 'A spectrogram has a level for every frame and bin.',
  });

/** A figure as it crosses a border of processes. */
export const figureSchema: z.ZodType<Figure, Figure> = z.union([heatmap, lineChart, scatter, dotPlot, clip]);

export const tableFigureSchema: z.ZodType<TableFigure, TableFigure> = z
  .object({
    title: text,
    columns: z.array(z.object({ name: text, align: z.enum(['left', 'right']) })).max(1000),
    rows: z.array(z.array(z.object({ text, mark: z.enum(['best', 'second']).optional() })).max(1000)).max(many),
    notes: z.array(text).max(200),
  })
  .refine(({ columns, rows }) => rows.every((row) => row.length === columns.length), {
    message: 'Every row of a table has a cell for each column.',
  });
