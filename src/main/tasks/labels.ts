import { createRandom, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Dataset, holdsSeveralLabels, labelsIn, parseNumber, requireColumn } from './dataset.ts';

/**
 * `classification`: one of several classes; `regression`: one number or several; `multi-label`: any number of classes at once, each of
 * which is a target of its own (1 where it holds, 0 where it does not).
 */
export type LabelKind = 'classification' | 'regression' | 'multi-label';

/** Classes of stretches of one utterance: ascending, without overlaps, start <= t < end in seconds. */
export interface AlignedLabels {
  starts: Float64Array;
  ends: Float64Array;
  /** Index of each interval's class. */
  classes: Int32Array;
}

/** The class's index or the number; one number for each target where there are several; or what each stretch of the utterance is. */
export type LabelValue = number | Float64Array | AlignedLabels;

/** A column of a dataset as labels. */
export interface LabelColumn {
  name: string;
  kind: LabelKind;
  /** The classes that occur, sorted (as numbers if all are whole numbers); empty for regression. */
  classes: string[];
  /** Target columns: classes, or numbers that are predicted together. */
  k: number;
  /** Per utterance; null where there is no label. */
  values: (LabelValue | null)[];
  /** Utterances (of alignments: intervals) per class; empty for regression. */
  counts: number[];
  /** Utterances without a label. */
  unlabelled: number;
}

export interface LabelOptions {
  /** `auto` (the default) follows the rule of `labelColumn`. */
  kind?: 'auto' | LabelKind;
}

/** Labels of stretches of audio, as against those of whole utterances. */
export function isAligned(value: LabelValue | null): value is AlignedLabels {
  return typeof value === 'object' && value !== null && 'starts' in value;
}

/** More different fractions than this make a column of numbers a regression target. */
const mostFractionalClasses = 20;

function compareClasses(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where the last labelled stretch of a value ends, in seconds; 0 for labels of whole utterances. */
export function alignmentEnd(value: LabelValue | null): number {
  return isAligned(value) ? (value.ends.at(-1) ?? 0) : 0;
}

/** Alignments are rounded, and some tools count the last frame whole: what ends this little after the audio is still its own, in seconds. */
const tolerance = 0.05;

/** The sentence for an alignment that ends after its audio does; undefined where it fits. */
export function beyondAudio(end: number, seconds: number): string | undefined {
  if (!(end - seconds > tolerance)) return undefined;
  return `its alignment goes on for ${(end - seconds).toFixed(3)} s after the audio ends (${seconds.toFixed(3)} s), so it is that of another recording; the file is left out.`;
}

/** Classes in an order that is the same everywhere: whole numbers by value, everything else by code unit. */
export function sortClasses(classes: Iterable<string>): string[] {
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
  return {
    name,
    kind: 'classification',
    classes,
    k: classes.length,
    values,
    counts,
    unlabelled: values.filter((value) => value === null).length,
  };
}

function regression(dataset: Dataset, name: string, texts: readonly string[]): LabelColumn & { values: (number | null)[] } {
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
  return { name, kind: 'regression', classes: [], k: 1, values, counts: [], unlabelled: values.length - numbers.length };
}

function multiLabel(dataset: Dataset, name: string, texts: readonly string[]): LabelColumn {
  const parts = texts.map(labelsIn);
  const classes = sortClasses(new Set(parts.flat()));
  if (classes.length < 2) {
    throw new ForetuneError(
      'invalid-data',
      `column "${name}" of ${dataset.name} has ${classes.length === 0 ? 'no label' : `one label ("${classes[0]}")`}: a score needs at least two; choose another column.`,
    );
  }
  const index = new Map(classes.map((text, i) => [text, i]));
  const counts = classes.map(() => 0);
  const values = texts.map((text, i) => {
    if (text === '') return null;
    const row = new Float64Array(classes.length);
    for (const label of parts[i]) row[index.get(label)!] = 1;
    row.forEach((value, c) => (counts[c] += value));
    return row;
  });
  const unlabelled = values.filter((value) => value === null).length;
  return { name, kind: 'multi-label', classes, k: classes.length, values, counts, unlabelled };
}

/** The columns that a label such as `f0+energy` predicts together; undefined if it is no such label. */
function columnsOf(dataset: Pick<Dataset, 'columns'>, label: string): string[] | undefined {
  const has = (name: string) => dataset.columns.some((column) => column.name === name);
  const names = label.split('+').map((name) => name.trim());
  return names.length > 1 && !has(label) && names.some(has) ? names : undefined;
}

/** Whether a label is made from columns of the manifest. */
export function isColumnLabel(dataset: Pick<Dataset, 'columns'>, label: string): boolean {
  return dataset.columns.some(({ name }) => name === label) || columnsOf(dataset, label) !== undefined;
}

function severalTargets(dataset: Dataset, label: string, names: readonly string[]): LabelColumn {
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  if (repeated !== undefined) throw new ForetuneError('usage', `the label "${label}" names column "${repeated}" twice.`);
  const parts = names.map((name) => {
    requireColumn(dataset, name);
    return regression(
      dataset,
      name,
      dataset.utterances.map(({ values }) => values[name].trim()),
    );
  });
  const values = dataset.utterances.map((_, i) => {
    const row = parts.map((part) => part.values[i]).filter((value) => value !== null);
    return row.length === parts.length ? Float64Array.from(row) : null;
  });
  const unlabelled = values.filter((row) => row === null).length;
  if (unlabelled === values.length) {
    throw new ForetuneError(
      'invalid-data',
      `no row of ${dataset.name} has a number in all of ${names.join(', ')}: there is nothing to score against.`,
    );
  }
  return { name: label, kind: 'regression', classes: [], k: names.length, values, counts: [], unlabelled };
}

/**
 * A column of a dataset as labels; surrounding spaces do not count, empty values are no label. `f0+energy` takes the columns f0 and
 * energy as one target of two numbers (where no column has that very name).
 * Kind `auto`: regression where all values are numbers and more than 20 different ones are no whole numbers; multi-label where values
 * hold `;` or `|` and are made of fewer labels than there are different values; classification otherwise, so that class ids and a
 * few grades stay classes. Missing numbers (`nan`, `NA`) are no label of a regression.
 * Throws `not-found` (no such column; lists them) or `invalid-data`: no labels, a single class, a constant target, a target that is no number.
 */
export function labelColumn(dataset: Dataset, column: string, options: LabelOptions = {}): LabelColumn {
  const several = columnsOf(dataset, column);
  if (several) return severalTargets(dataset, column, several);
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
  if (kind === 'regression' || (kind === 'auto' && isRegression(filled.filter((text) => !isMissingNumber(text)))))
    return regression(dataset, column, texts);
  if (kind === 'multi-label' || (kind === 'auto' && holdsSeveralLabels(new Set(filled))))
    return multiLabel(dataset, column, texts);
  return classification(dataset, column, texts);
}

/** Whether dealing has changed anything. */
function differs<T>(dealt: readonly T[], own: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return dealt.some((value, i) => !same(value, own[i]));
}

/** Values in another order, by a seed: at least one stands in another's place, unless all are equal. */
function dealtAnew<T>(own: readonly T[], seed: number | string, same: (a: T, b: T) => boolean = Object.is): T[] {
  const dealt = [...own];
  const random = createRandom(`${seed}/shuffled-labels`);
  for (let attempt = 0; attempt < 20 && !differs(dealt, own, same); attempt++) shuffle(dealt, random);
  if (!differs(dealt, own, same)) {
    // A lone exception among equal labels falls back into its place one time in n: move it on by one.
    const other = dealt.findIndex((value) => !same(value, dealt[0]));
    if (other > 0) [dealt[0], dealt[other]] = [dealt[other], dealt[0]];
  }
  return dealt;
}

function sameValue(a: LabelValue | null, b: LabelValue | null): boolean {
  return a instanceof Float64Array && b instanceof Float64Array ? a.every((value, i) => value === b[i]) : a === b;
}

/**
 * The control: the labels of the labelled utterances dealt out anew, so that counts stay and meaning goes; of alignments, those of
 * all intervals, whose bounds stay. Equal seeds give equal labels. At least one utterance gets another label than its own.
 */
export function shuffledLabels(column: LabelColumn, seed: number | string): LabelColumn {
  const values = [...column.values];
  const labelled = values.flatMap((value, i) => (value === null ? [] : [i]));
  if (labelled.every((i) => isAligned(values[i]))) {
    const rows = labelled.map((i) => values[i] as AlignedLabels);
    const dealt = dealtAnew(
      rows.flatMap(({ classes }) => [...classes]),
      seed,
    );
    let taken = 0;
    for (const [at, i] of labelled.entries()) {
      const { length } = rows[at].classes;
      values[i] = { ...rows[at], classes: Int32Array.from(dealt.slice(taken, taken + length)) };
      taken += length;
    }
    return { ...column, values };
  }
  const dealt = dealtAnew(
    labelled.map((i) => values[i]),
    seed,
    sameValue,
  );
  for (const [at, i] of labelled.entries()) values[i] = dealt[at];
  return { ...column, values };
}
