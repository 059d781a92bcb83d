import { describe, expect, it } from 'vitest';

import { type Dataset } from '#main/tasks/dataset.ts';
import { labelColumn, regressionTargets, shuffledLabels } from '#main/tasks/labels.ts';
import { frameTargets } from '#main/tasks/targets.ts';

/** A dataset of which only the columns and their values matter. */
function dataset(columns: Record<string, string[]>): Dataset {
  const names = Object.keys(columns);
  const utterances = columns[names[0]].map((_, i) => ({
    id: `${i}`,
    path: `/${i}.wav`,
    values: Object.fromEntries(names.map((name) => [name, columns[name][i]])),
    row: i + 2,
  }));
  return {
    path: '/x.csv',
    name: 'x.csv',
    format: 'csv',
    audioColumn: 'path',
    columns: names.map((name) => ({ name, kind: 'text', distinct: 0, filled: 0 })),
    utterances,
    problems: [],
    fingerprint: '',
  };
}

describe('labelColumn', () => {
  it('numbers the classes that occur and counts them', () => {
    const column = labelColumn(dataset({ word: ['yes', ' no', 'yes', '', 'up'] }), 'word');
    expect(column).toEqual({
      name: 'word',
      kind: 'classification',
      classes: ['no', 'up', 'yes'],
      values: [2, 0, 2, null, 1],
      counts: [1, 1, 2],
      unlabelled: 1,
    });
  });

  it('sorts ids that are whole numbers by value and leaves no gaps', () => {
    expect(labelColumn(dataset({ id: ['10', '2', '400', '2'] }), 'id')).toMatchObject({
      classes: ['2', '10', '400'],
      values: [1, 0, 2, 0],
    });
  });

  it('takes more than 20 different fractions as regression, and anything less as classes', () => {
    const fractions = (n: number) => Array.from({ length: 60 }, (_, i) => String((i % n) + 0.5));
    expect(labelColumn(dataset({ mos: fractions(21) }), 'mos').kind).toBe('regression');
    expect(labelColumn(dataset({ mos: fractions(20) }), 'mos').kind).toBe('classification');
    expect(labelColumn(dataset({ age: Array.from({ length: 60 }, (_, i) => String(i)) }), 'age').kind).toBe('classification');
    expect(labelColumn(dataset({ mos: [...fractions(30), 'bad'] }), 'mos').kind).toBe('classification');
    expect(labelColumn(dataset({ mos: [...fractions(30), 'nan', ''] }), 'mos')).toMatchObject({
      kind: 'regression',
      unlabelled: 2,
    });
  });

  it('reads numbers when told so', () => {
    expect(labelColumn(dataset({ age: ['30', 'NA', '41.5'] }), 'age', { kind: 'regression' })).toEqual({
      name: 'age',
      kind: 'regression',
      classes: [],
      values: [30, null, 41.5],
      counts: [],
      unlabelled: 1,
    });
  });

  const refusals: [string, string[], 'auto' | 'regression', string][] = [
    ['one class', ['yes', 'yes', ''], 'auto', 'column "c" of x.csv has one class ("yes", 2 rows): a score needs at least two'],
    ['a constant target', ['3', '3'], 'regression', 'column "c" of x.csv is 3 in all 2 rows'],
    ['a target that is no number', ['3', 'many'], 'regression', 'column "c" of x.csv, row 3: "many" is no number'],
    ['no label', ['', ' '], 'auto', 'column "c" of x.csv is empty in all 2 rows'],
    ['no number', ['nan', 'nan'], 'regression', 'column "c" of x.csv holds no number'],
  ];
  it.each(refusals)('refuses %s', (_, values, kind, sentence) => {
    expect(() => labelColumn(dataset({ c: values }), 'c', { kind })).toThrow(
      expect.objectContaining({ code: 'invalid-data', message: expect.stringContaining(sentence) as string }),
    );
  });

  it('lists the columns there are', () => {
    expect(() => labelColumn(dataset({ path: ['a'], word: ['b'] }), 'wrod')).toThrow(
      'x.csv has no column "wrod"; it has path, word.',
    );
  });
});

describe('regressionTargets', () => {
  it('joins columns and drops rows that lack one', () => {
    const targets = regressionTargets(dataset({ a: ['1', '2', ''], b: ['3', '5', '4'] }), ['a', 'b']);
    expect(targets).toEqual({ names: ['a', 'b'], values: [Float64Array.of(1, 3), Float64Array.of(2, 5), null], unlabelled: 1 });
  });
});

describe('shuffledLabels', () => {
  const column = labelColumn(dataset({ word: Array.from({ length: 100 }, (_, i) => (i % 10 === 9 ? '' : `w${i % 4}`)) }), 'word');

  it('keeps the counts and the unlabelled utterances, and follows its seed', () => {
    const shuffled = shuffledLabels(column, 1);
    const count = (values: (number | null)[]) => [0, 1, 2, 3].map((k) => values.filter((value) => value === k).length);
    expect(count(shuffled.values)).toEqual(column.counts);
    expect(shuffled.values.map((value) => value === null)).toEqual(column.values.map((value) => value === null));
    expect(shuffled.values).not.toEqual(column.values);
    expect(shuffledLabels(column, 1)).toEqual(shuffled);
    expect(shuffledLabels(column, 2).values).not.toEqual(shuffled.values);
  });

  it('never gives everybody their own label', () => {
    const few = labelColumn(dataset({ word: ['a', 'b', 'b', 'b'] }), 'word');
    for (let seed = 0; seed < 200; seed++) expect(shuffledLabels(few, seed).values).not.toEqual(few.values);
  });
});

describe('frameTargets', () => {
  const column = labelColumn(dataset({ word: ['a', '', 'b'] }), 'word');

  it('lets every frame inherit the label of its utterance', () => {
    expect(frameTargets(column, 2, 49)).toEqual({ kind: 'constant', value: 1, frames: 49 });
    expect(frameTargets(column, 1, 49)).toBeNull();
  });

  it('refuses an utterance that is not there', () => {
    expect(() => frameTargets(column, 3, 1)).toThrow('utterance 3 is none of the 3');
  });
});
