import { type Drift } from '#shared/drift.ts';
import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { nameDash } from '#shared/figures/textWidth.ts';
import { decimalsFor, formatNumber } from '#shared/figures/ticks.ts';
import { moduleNames, type TensorModule, tensorModules } from '#shared/merge.ts';

import { type Comparison } from '../../api/engine.ts';

type Change = Comparison['rows'][number];
type Pair = Comparison['pairRows'][number];

interface Said {
  id: string;
  name: string;
  unit: string;
  /** What it is, for whoever meets it first. */
  what: string;
}
export interface ChangeMeasure extends Said {
  of: 'model';
  value: (change: Omit<Change, 'b' | 'module' | 'layer'>) => number | null;
}
export interface PairMeasure extends Said {
  of: 'pair';
  value: (pair: Omit<Pair, 'b1' | 'b2' | 'module' | 'layer'>) => number | null;
}
export type Measure = ChangeMeasure | PairMeasure;

const percent = (share: number | null): number | null => (share === null ? null : 100 * share);

export const changeMeasures: readonly ChangeMeasure[] = [
  {
    of: 'model',
    id: 'relative',
    name: 'Relative change',
    unit: '',
    what: '‖b − a‖ / ‖a‖',
    value: (change) => change.relative_l2,
  },
  {
    of: 'model',
    id: 'changed',
    name: 'Changed',
    unit: '%',
    what: 'parameters that differ at all',
    value: (change) => percent(change.changed),
  },
  {
    of: 'model',
    id: 'largest',
    name: 'Largest change',
    unit: '',
    what: 'of a single parameter',
    value: (change) => change.max_abs,
  },
  {
    of: 'model',
    id: 'weights',
    name: 'Cosine of weights',
    unit: '',
    what: 'of the angle between a and b',
    value: (change) => change.cosine,
  },
  {
    of: 'model',
    id: 'trimmed',
    name: 'Trimmed by TIES',
    unit: '%',
    what: 'of the parameters, over the whole model as its authors do',
    value: ({ kept }) => (kept === null ? null : 100 * (1 - kept)),
  },
];
export const pairMeasures: readonly PairMeasure[] = [
  {
    of: 'pair',
    id: 'cosine',
    name: 'Cosine of task vectors',
    unit: '',
    what: 'of the angle between b1 − a and b2 − a',
    value: (pair) => pair.cosine,
  },
  {
    of: 'pair',
    id: 'agreement',
    name: 'Same sign',
    unit: '%',
    what: 'of the parameters that both changed',
    value: (pair) => percent(pair.agreement),
  },
  {
    of: 'pair',
    id: 'conflict',
    name: 'Opposite sign',
    unit: '%',
    what: 'of the parameters that both changed',
    value: (pair) => percent(pair.conflict),
  },
];

/** What can be shown of a comparison. */
export function measuresOf({ pairs, density }: Comparison): Measure[] {
  return [...changeMeasures.filter(({ id }) => id !== 'trimmed' || density !== null), ...(pairs.length > 0 ? pairMeasures : [])];
}

export const pairName = ({ b1, b2 }: { b1: string; b2: string }): string => `${b1} and ${b2}`;

/** What a measure can be shown of: the fine-tuned models, or pairs of them. */
export function subjectsOf({ b, rows, pairs }: Comparison, measure: Measure): string[] {
  return measure.of === 'model' ? [...new Set(b.length > 0 ? rows.map((row) => row.b) : [])] : pairs.map(pairName);
}

/** Rows of one model or pair. */
export function cellsOf(comparison: Comparison, measure: Measure, subject: string) {
  return measure.of === 'model'
    ? comparison.rows
        .filter(({ b }) => b === subject)
        .map((row) => ({ module: row.module, layer: row.layer, value: measure.value(row) }))
    : comparison.pairRows
        .filter((row) => pairName(row) === subject)
        .map((row) => ({ module: row.module, layer: row.layer, value: measure.value(row) }));
}

const layerAxis = 'layer (0: all before the first block)';

/** Modules by layers, coloured by a measure. */
export function movedHeatmap(comparison: Comparison, measure: Measure, subject: string): HeatmapFigure {
  const cells = cellsOf(comparison, measure, subject);
  const has = (module: TensorModule): boolean => cells.some((cell) => cell.module === module);
  const modules = tensorModules.filter(has);
  const columns = Array.from({ length: comparison.layers + 1 }, (_, layer) => layer);
  const at = new Map(cells.map(({ module, layer, value }) => [`${module} ${layer}`, value]));
  const density = measure.id === 'trimmed' ? `, density ${comparison.density}` : '';
  const against = measure.of === 'model' ? ` against ${comparison.a.name}` : `, both against ${comparison.a.name}`;
  return {
    kind: 'heatmap',
    title: `${measure.name}: ${subject}`,
    subtitle: `${measure.what}${density}; ${subject}${against}`,
    score: { name: measure.name, unit: measure.unit, higherIsBetter: null },
    rowName: 'part',
    columnName: layerAxis,
    columns,
    detailNames: [],
    rows: modules.map((module) => ({ id: module, label: moduleNames[module], details: [], control: false })),
    values: modules.map((module) => columns.map((layer) => at.get(`${module} ${layer}`) ?? null)),
    domain: 'absolute',
    range: null,
  };
}

/** Decimals that tell the values of a figure apart. */
export function decimalsOf({ values }: HeatmapFigure): number {
  const present = values.flat().filter((value) => value !== null);
  if (present.length === 0) return 2;
  const spread = Math.max(...present) - Math.min(...present);
  return Math.min(4, decimalsFor(spread || Math.abs(present[0]) || 1));
}

const figures = (value: number | null, digits = 3): string =>
  value === null
    ? '–'
    : value === 0
      ? '0'
      : Math.abs(value) < 1e-3
        ? value.toExponential(1).replace('-', '−')
        : formatNumber(value, digits);

/** The table for a paper: a row per part and layer, models side by side where there are several. */
export function movedTable(comparison: Comparison, kind: 'parts' | 'tensors' | 'pairs'): TableFigure {
  const { a, rows, tensors, pairRows, density } = comparison;
  const measures = measuresOf(comparison).filter(({ of }) => of === (kind === 'pairs' ? 'pair' : 'model'));
  const cellsIn = (row: Change | Pair): string[] =>
    measures.map((measure) => figures(measure.of === 'model' ? measure.value(row as Change) : measure.value(row as Pair)));
  const source = { parts: rows, tensors, pairs: pairRows }[kind];
  return {
    title: kind === 'pairs' ? `How task vectors on ${a.name} agree` : `What fine-tuning changed in ${a.name}`,
    columns: [
      { name: kind === 'pairs' ? 'models' : 'model', align: 'left' },
      { name: kind === 'tensors' ? 'tensor' : 'part', align: 'left' },
      { name: 'layer', align: 'right' },
      ...measures.map(({ name, unit }) => ({ name: unit === '' ? name : `${name}, ${unit}`, align: 'right' as const })),
    ],
    rows: source.map((row) =>
      [
        'b' in row ? row.b : pairName(row),
        'tensor' in row ? row.tensor : moduleNames[row.module],
        String(row.layer),
        ...cellsIn(row),
      ].map((text) => ({ text })),
    ),
    notes: [
      ...measures.map(({ name, what }) => `${name}: ${what}.`),
      ...(density === null ? [] : [`TIES trims to density ${density}.`]),
      `Layers are indices of hidden states: 0 is all before the first block. Fingerprint of ${a.name}: ${a.fingerprint.slice(0, 16)}.`,
    ],
  };
}

/** Everything that was measured, a row per tensor or pair, for programs. */
export function movedCsv(comparison: Comparison, kind: 'parts' | 'tensors' | 'pairs') {
  const { a, b } = comparison;
  const printOf = (name: string): string => b.find((model) => model.name === name || model.path === name)?.fingerprint ?? '';
  if (kind === 'pairs') {
    return {
      columns: [
        'a',
        'a_fingerprint',
        'b1',
        'b1_fingerprint',
        'b2',
        'b2_fingerprint',
        'module',
        'layer',
        'cosine',
        'agreement',
        'conflict',
        'both',
      ],
      rows: comparison.pairRows.map((row) => [
        a.name,
        a.fingerprint,
        row.b1,
        printOf(row.b1),
        row.b2,
        printOf(row.b2),
        row.module,
        row.layer,
        row.cosine,
        row.agreement,
        row.conflict,
        row.both,
      ]),
    };
  }
  const numbers = (row: Omit<Change, 'b' | 'module' | 'layer'>) => [
    row.parameters,
    row.changed,
    row.l2,
    row.relative_l2,
    row.cosine,
    row.max_abs,
    row.kept,
  ];
  const measured = ['parameters', 'changed', 'l2', 'relative_l2', 'cosine', 'max_abs', 'kept'];
  const head = ['a', 'a_fingerprint', 'b', 'b_fingerprint'];
  const models = (name: string) => [a.name, a.fingerprint, name, printOf(name)];
  return kind === 'parts'
    ? {
        columns: [...head, 'module', 'layer', ...measured],
        rows: comparison.rows.map((row) => [...models(row.b), row.module, row.layer, ...numbers(row)]),
      }
    : {
        columns: [...head, 'tensor', 'module', 'layer', ...measured],
        rows: comparison.tensors.map((row) => [...models(row.b), row.tensor, row.module, row.layer, ...numbers(row)]),
      };
}

/** Pairs of models by layers: how alike their features are. */
export function driftHeatmap({ rows, layers, data, frames }: Drift): HeatmapFigure {
  const pairs = [...new Map(rows.map(({ a, b }) => [`${a} ${b}`, { a, b }])).values()];
  const at = new Map(rows.map(({ a, b, layer, cka }) => [`${a} ${b} ${layer}`, cka]));
  return {
    kind: 'heatmap',
    title: 'Feature drift',
    subtitle: `linear CKA of ${frames} frames of ${data.name}`,
    score: { name: 'CKA', unit: '1 is the same up to rotation and scale', higherIsBetter: null },
    rowName: 'models',
    columnName: layerAxis,
    columns: layers,
    detailNames: [],
    rows: pairs.map(({ a, b }) => ({ id: `${a} ${b}`, label: `${a}${nameDash}${b}`, details: [], control: false })),
    values: pairs.map(({ a, b }) => layers.map((layer) => at.get(`${a} ${b} ${layer}`) ?? null)),
    domain: 'absolute',
    range: null,
  };
}

export function driftCsv({ rows, models, data }: Drift) {
  const printOf = (name: string): string => models.find((model) => model.name === name)?.fingerprint ?? '';
  return {
    columns: ['a', 'a_fingerprint', 'b', 'b_fingerprint', 'data', 'data_fingerprint', 'layer', 'cka', 'debiased', 'problem'],
    rows: rows.map(({ a, b, layer, cka, debiased, problem }) => [
      a,
      printOf(a),
      b,
      printOf(b),
      data.name,
      data.fingerprint,
      layer,
      cka,
      debiased,
      problem,
    ]),
  };
}
