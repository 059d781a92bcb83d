import { ForetuneError } from '#shared/errors.ts';

import { type MetricValues, type SuperbAnchors, superbScore, taskOf } from './score.ts';

/** A table of text as it was read. `name` begins the sentences. */
export interface TextTable {
  name: string;
  columns: readonly string[];
  rows: readonly { row: number; values: Readonly<Record<string, string>> }[];
}

/** Names of the first column of results, and of one with a score somebody printed. */
const runColumns = ['run', 'model', 'name'];
const printedColumns = ['superb_printed', 'superb', 'score'];

/** How far a printed score of two decimals may lie from the exact one: half a unit, and what float64 loses on the way. */
const printedTolerance = 0.005 + 1e-9;

export interface SuperbRun {
  run: string;
  values: MetricValues;
  /** A score that stands in the table already. */
  printed: number | null;
}

export interface SuperbRow {
  run: string;
  score: number;
}

/** A printed score that does not follow from the row's own metrics. */
export interface Misprint {
  run: string;
  printed: number;
  score: number;
}

function numberIn({ name }: TextTable, row: number, column: string, text: string): number {
  const number = Number(text.trim());
  if (text.trim() === '' || !Number.isFinite(number))
    throw new ForetuneError('invalid-data', `${name}, line ${row}: ${column} is "${text}", which is no number.`);
  return number;
}

/**
 * Anchors: a first column `row` with the rows FBANK and SOTA, and a column for each metric.
 *
 * @throws ForetuneError `invalid-data`
 */
export function readAnchors(table: TextTable): SuperbAnchors {
  const [label, ...metrics] = table.columns;
  if (metrics.length === 0)
    throw new ForetuneError(
      'invalid-data',
      `${table.name} has no column of a metric, such as pr_per; anchors have the columns row, pr_per, ...`,
    );
  const find = (wanted: string): MetricValues => {
    const rows = table.rows.filter(({ values }) => values[label].trim().toUpperCase() === wanted);
    if (rows.length !== 1)
      throw new ForetuneError(
        'invalid-data',
        `${table.name} has ${rows.length} rows called ${wanted} in its column "${label}"; anchors need one FBANK and one SOTA.`,
      );
    const [{ row, values }] = rows;
    return Object.fromEntries(metrics.map((metric) => [metric, numberIn(table, row, metric, values[metric])]));
  };
  return { fbank: find('FBANK'), sota: find('SOTA') };
}

/**
 * Results: a column `run`, columns of metrics as in the anchors, and perhaps `superb_printed`. Cells may be empty.
 *
 * @throws ForetuneError `invalid-data` for a column that the anchors do not have
 */
export function readRuns(table: TextTable, anchors: SuperbAnchors): SuperbRun[] {
  const name = table.columns.find((column) => runColumns.includes(column.toLowerCase()));
  if (name === undefined)
    throw new ForetuneError(
      'invalid-data',
      `${table.name} has no column "run" that names its rows; it has ${table.columns.join(', ')}.`,
    );
  const printed = table.columns.find((column) => printedColumns.includes(column.toLowerCase()));
  const metrics = table.columns.filter((column) => column !== name && column !== printed);
  const known = Object.keys(anchors.fbank);
  const unknown = metrics.find((column) => !known.includes(column));
  if (unknown !== undefined) {
    throw new ForetuneError(
      'invalid-data',
      `${table.name} has a column "${unknown}", for which there are no anchors; metrics are ${known.join(', ')}. Give --anchors with that column to use it.`,
    );
  }
  if (metrics.length === 0)
    throw new ForetuneError('invalid-data', `${table.name} has no column of a metric; metrics are ${known.join(', ')}.`);
  if (table.rows.length === 0) throw new ForetuneError('invalid-data', `${table.name} has a header but no rows.`);
  const isFilled = (text: string) => text.trim() !== '';
  return table.rows.map(({ row, values }) => ({
    run: values[name],
    values: Object.fromEntries(
      metrics
        .filter((metric) => isFilled(values[metric]))
        .map((metric) => [metric, numberIn(table, row, metric, values[metric])]),
    ),
    printed: printed !== undefined && isFilled(values[printed]) ? numberIn(table, row, printed, values[printed]) : null,
  }));
}

/** The tasks that a table of runs speaks of, in the anchors' order. */
export function tasksOf(runs: readonly SuperbRun[], anchors: SuperbAnchors): string[] {
  const present = new Set(runs.flatMap(({ values }) => Object.keys(values).map(taskOf)));
  return [...new Set(Object.keys(anchors.fbank).map(taskOf))].filter((task) => present.has(task));
}

/** Scores of all runs over the same tasks, and the printed scores that do not fit. Errors as superbScore. */
export function scoreRuns(
  runs: readonly SuperbRun[],
  anchors: SuperbAnchors,
  tasks = tasksOf(runs, anchors),
): { tasks: string[]; rows: SuperbRow[]; misprints: Misprint[] } {
  const rows = runs.map(({ run, values }) => ({ run, score: superbScore(run, values, anchors, tasks) }));
  return {
    tasks,
    rows,
    misprints: misprints(
      runs,
      rows.map(({ score }) => score),
    ),
  };
}

/** The score of a run, or the sentence that says why it has none. */
export interface SuperbOutcome {
  run: string;
  score: number | null;
  problem: string | null;
}

/** As `scoreRuns`, but a run without a value, or tasks without a scale, spoil only what they touch: for tables being filled in. */
export function scoreEach(runs: readonly SuperbRun[], anchors: SuperbAnchors, tasks: readonly string[]): SuperbOutcome[] {
  return runs.map(({ run, values }) => {
    try {
      return { run, score: superbScore(run, values, anchors, tasks), problem: null };
    } catch (error) {
      if (error instanceof ForetuneError) return { run, score: null, problem: error.message };
      throw error;
    }
  });
}

/** Printed scores that do not follow from the row's own metrics, to the two decimals that are printed. */
export function misprints(runs: readonly SuperbRun[], scores: readonly (number | null)[]): Misprint[] {
  return runs.flatMap(({ run, printed }, i) => {
    const score = scores[i];
    return printed === null || score === null || Math.abs(printed - score) <= printedTolerance ? [] : [{ run, printed, score }];
  });
}
