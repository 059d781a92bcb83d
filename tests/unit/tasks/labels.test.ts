import { describe, expect, it } from 'vitest';

import { type Dataset } from '#main/tasks/dataset.ts';
import { type AlignedLabels, isColumnLabel, labelColumn, type LabelColumn, shuffledLabels } from '#main/tasks/labels.ts';
import { classesAt } from '#main/tasks/targets.ts';

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
      k: 3,
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
      k: 1,
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

describe('several numbers as one target', () => {
  const numbers = dataset({ f0: ['1', '2', '', '4'], energy: ['3', '5', '4', 'nan'], 'a+b': ['x', 'y', 'x', 'y'] });

  it('joins columns and drops rows that lack one', () => {
    expect(labelColumn(numbers, 'f0 + energy')).toEqual({
      name: 'f0 + energy',
      kind: 'regression',
      classes: [],
      k: 2,
      values: [Float64Array.of(1, 3), Float64Array.of(2, 5), null, null],
      counts: [],
      unlabelled: 2,
    });
  });

  it('lets a column of that very name be itself', () => {
    expect(labelColumn(numbers, 'a+b')).toMatchObject({ kind: 'classification', classes: ['x', 'y'] });
    expect(['a+b', 'f0+energy', 'f0', 'phones', 'a b+c'].map((label) => isColumnLabel(numbers, label))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('refuses a column that is missing, repeated or no number', () => {
    expect(() => labelColumn(numbers, 'f0+pitch')).toThrow('x.csv has no column "pitch"; it has f0, energy, a+b.');
    expect(() => labelColumn(numbers, 'f0+f0')).toThrow('names column "f0" twice');
    expect(() => labelColumn(dataset({ f0: ['1', '2'], word: ['a', 'b'] }), 'f0+word')).toThrow('"a" is no number');
    expect(() => labelColumn(dataset({ a: ['1', '2', '', ''], b: ['', '', '1', '2'] }), 'a+b')).toThrow(
      'no row of x.csv has a number in all of a, b',
    );
  });
});

describe('multi-label columns', () => {
  const tags = ['dog; bark', 'dog', 'bark|rain', '', 'rain', 'rain;dog;;dog'];

  it('make a target of each label', () => {
    expect(labelColumn(dataset({ tags }), 'tags')).toEqual({
      name: 'tags',
      kind: 'multi-label',
      classes: ['bark', 'dog', 'rain'],
      k: 3,
      values: [
        Float64Array.of(1, 1, 0),
        Float64Array.of(0, 1, 0),
        Float64Array.of(1, 0, 1),
        null,
        Float64Array.of(0, 0, 1),
        Float64Array.of(0, 1, 1),
      ],
      counts: [2, 3, 3],
      unlabelled: 1,
    });
  });

  it('are told from classes whose names hold a separator', () => {
    const names = ['yes;no', 'up', 'yes;no', 'up'];
    expect(labelColumn(dataset({ names }), 'names').kind).toBe('classification');
    expect(labelColumn(dataset({ names }), 'names', { kind: 'multi-label' })).toMatchObject({ classes: ['no', 'up', 'yes'] });
    expect(labelColumn(dataset({ tags }), 'tags', { kind: 'classification' }).classes).toHaveLength(5);
  });

  it('need two labels', () => {
    expect(() => labelColumn(dataset({ c: ['a', 'a;a'] }), 'c', { kind: 'multi-label' })).toThrow('has one label ("a")');
  });
});

describe('shuffledLabels', () => {
  const column = labelColumn(dataset({ word: Array.from({ length: 100 }, (_, i) => (i % 10 === 9 ? '' : `w${i % 4}`)) }), 'word');

  it('keeps the counts and the unlabelled utterances, and follows its seed', () => {
    const shuffled = shuffledLabels(column, 1);
    const count = (values: LabelColumn['values']) => [0, 1, 2, 3].map((k) => values.filter((value) => value === k).length);
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

describe('shuffled labels of stretches', () => {
  const stretches = (...classes: number[]): AlignedLabels => ({
    starts: Float64Array.from(classes, (_, i) => i),
    ends: Float64Array.from(classes, (_, i) => i + 0.5),
    classes: Int32Array.from(classes),
  });
  const column: LabelColumn = {
    name: 'phones',
    kind: 'classification',
    classes: ['a', 'b', 'c'],
    k: 3,
    values: [stretches(0, 0, 1), null, stretches(2, 0, 1, 1, 0)],
    counts: [4, 3, 1],
    unlabelled: 1,
  };

  it('keep bounds and counts, over utterances', () => {
    const shuffled = shuffledLabels(column, 3);
    const [first, none, second] = shuffled.values as (AlignedLabels | null)[];
    expect(none).toBeNull();
    expect(first!.starts).toEqual(Float64Array.of(0, 1, 2));
    expect(second!.ends).toHaveLength(5);
    expect([...first!.classes, ...second!.classes].sort()).toEqual([0, 0, 0, 0, 1, 1, 1, 2]);
    expect(shuffled.values).not.toEqual(column.values);
    expect(shuffledLabels(column, 3)).toEqual(shuffled);
  });

  it('of several numbers move as rows', () => {
    const rows = { ...column, values: [Float64Array.of(1, 2), Float64Array.of(1, 2), null, Float64Array.of(3, 4)] };
    for (let seed = 0; seed < 50; seed++) {
      const { values } = shuffledLabels(rows, seed);
      expect(values[2]).toBeNull();
      expect(values).not.toEqual(rows.values);
      expect(values.filter((value) => (value as Float64Array | null)?.[0] === 1)).toHaveLength(2);
    }
  });
});

describe('classesAt', () => {
  it('gives the interval that holds the instant: its start is in it, its end is not', () => {
    const labels: AlignedLabels = {
      starts: Float64Array.of(0.5, 1, 2),
      ends: Float64Array.of(1, 1.25, 3),
      classes: Int32Array.of(4, 7, 1),
    };
    const times = Float64Array.of(0, 0.499, 0.5, 0.999, 1, 1.2499, 1.25, 1.9, 2, 2.999, 3, 9);
    expect([...classesAt(labels, times)]).toEqual([-1, -1, 4, 4, 7, 7, -1, -1, 1, 1, -1, -1]);
    expect([...classesAt({ starts: new Float64Array(), ends: new Float64Array(), classes: new Int32Array() }, times)]).toEqual(
      new Array(12).fill(-1),
    );
  });
});
