import { createRandom, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Dataset, parseNumber, requireColumn } from './dataset.ts';

/** A column of a dataset as labels. */
export interface LabelColumn {
  name: string;
  kind: 'classification' | 'regression';
  /** The classes that occur, sorted (as numbers if all are whole numbers); empty for regression. */
  classes: string[];
  /** Per utterance: the class's index, or the number; null where there is no label. */
  values: (number | null)[];
  /** Utterances per class; empty for regression. */
  counts: number[];
  /** Utterances without a label. */
  unlabelled: number;
}

export interface LabelOptions {
  /** `auto` (the default) follows the rule of `labelColumn`. */
  kind?: 'auto' | 'classification' | 'regression';
}

/** Columns of numbers that are predicted together. */
export interface RegressionTargets {
  names: string[];
  /** Per utterance: one value per column; null where any of them is missing. */
  values: (Float64Array | null)[];
  unlabelled: number;
}

/** More different fractions than this make a column of numbers a regression target. */
const mostFractionalClasses = 20;

function compareClasses(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortClasses(classes: Iterable<string>): string[] {
  const list = [...classes];
  if (list.every((name) => /^-?\d{1,15}$/.test(name))) return list.sort((a, b) => Number(a) - Number(b) || compareClasses(a, b));
  return list.sort(compareClasses);
}

function isRegression(texts: readonly string[]): boolean {
  const fractions = new Set<number>();
  for (const text of new Set(texts)) {
    const value = parseNumber(text);
    if (value === undefined) return false;
    if (!Number.isInteger(value)) fractions.add(value);
  }
  return fractions.size > mostFractionalClasses;
}

/** Missing values of numeric columns as pandas, R and NumPy write them. */
function isMissingNumber(text: string): boolean {
  return /^(|nan|na|n\/a|null|none)$/i.test(text);
}

function classification(dataset: Dataset, name: string, texts: readonly string[]): LabelColumn {
  const classes = sortClasses(new Set(texts.filter((text) => text !== '')));
  const index = new Map(classes.map((text, i) => [text, i]));
  const values = texts.map((text) => index.get(text) ?? null);
  const counts = classes.map(() => 0);
  for (const value of values) if (value !== null) counts[value] += 1;
  if (classes.length === 1) {
    throw new ForetuneError(
      'invalid-data',
      `column "${name}" of ${dataset.name} has one class ("${classes[0]}", ${counts[0]} rows): a score needs at least two; choose another column.`,
    );
  }
  return { name, kind: 'classification', classes, values, counts, unlabelled: values.filter((value) => value === null).length };
}

function regression(dataset: Dataset, name: string, texts: readonly string[]): LabelColumn {
  const values = texts.map((text, i) => {
    if (isMissingNumber(text)) return null;
    const value = parseNumber(text);
    if (value === undefined) {
      throw new ForetuneError(
        'invalid-data',
        `column "${name}" of ${dataset.name}, row ${dataset.utterances[i].row}: "${text}" is no number; a regression target needs numbers.`,
      );
    }
    return value;
  });
  const numbers = values.filter((value) => value !== null);
  if (numbers.length === 0)
    throw new ForetuneError(
      'invalid-data',
      `column "${name}" of ${dataset.name} holds no number in any of ${values.length} rows.`,
    );
  if (numbers.every((value) => value === numbers[0])) {
    throw new ForetuneError(
      'invalid-data',
      `column "${name}" of ${dataset.name} is ${numbers[0]} in all ${numbers.length} rows: a score needs a target that varies; choose another column.`,
    );
  }
  return { name, kind: 'regression', classes: [], values, counts: [], unlabelled: values.length - numbers.length };
}

/**
 * A column of a dataset as labels; surrounding spaces do not count, empty values are no label.
 * Kind `auto`: regression where all values are numbers and more than 20 different ones are no whole numbers; classification otherwise, so
 * that class ids and a few grades stay classes. Missing numbers (`nan`, `NA`) are no label of a regression.
 * Throws `not-found` (no such column; lists them) or `invalid-data`: no labels, a single class, a constant target, a target that is no number.
 */
export function labelColumn(dataset: Dataset, column: string, options: LabelOptions = {}): LabelColumn {
  requireColumn(dataset, column);
  const texts = dataset.utterances.map(({ values }) => values[column].trim());
  const filled = texts.filter((text) => text !== '');
  if (filled.length === 0) {
    throw new ForetuneError(
      'invalid-data',
      `column "${column}" of ${dataset.name} is empty in all ${texts.length} rows: there is nothing to score against.`,
    );
  }
  const { kind = 'auto' } = options;
  const regressive = kind === 'regression' || (kind === 'auto' && isRegression(filled.filter((text) => !isMissingNumber(text))));
  return regressive ? regression(dataset, column, texts) : classification(dataset, column, texts);
}

/** Several columns as one regression target of as many dimensions. Errors as `labelColumn`. */
export function regressionTargets(dataset: Dataset, columns: readonly string[]): RegressionTargets {
  if (columns.length === 0)
    throw new ForetuneError('usage', `Name at least one column of ${dataset.name} as a regression target.`);
  const parts = columns.map((column) => labelColumn(dataset, column, { kind: 'regression' }));
  const values = dataset.utterances.map((_, i) => {
    const row = parts.map(({ values }) => values[i]).filter((value) => value !== null);
    return row.length === parts.length ? Float64Array.from(row) : null;
  });
  return { names: [...columns], values, unlabelled: values.filter((row) => row === null).length };
}

/**
 * The control: the labels of the labelled utterances dealt out anew, so that counts stay and meaning goes. Equal seeds give equal labels.
 * At least one utterance gets another label than its own.
 */
export function shuffledLabels(column: LabelColumn, seed: number | string): LabelColumn {
  const labelled = column.values.flatMap((value, i) => (value === null ? [] : [i]));
  const own = labelled.map((i) => column.values[i]);
  const dealt = [...own];
  const random = createRandom(`${seed}/shuffled-labels`);
  const differs = () => dealt.some((value, i) => value !== own[i]);
  for (let attempt = 0; attempt < 20 && !differs(); attempt++) shuffle(dealt, random);
  if (!differs()) {
    // A lone exception among equal labels falls back into its place one time in n: move it on by one.
    const other = dealt.findIndex((value) => value !== dealt[0]);
    if (other > 0) [dealt[0], dealt[other]] = [dealt[other], dealt[0]];
  }
  const values = [...column.values];
  for (const [at, i] of labelled.entries()) values[i] = dealt[at];
  return { ...column, values };
}
