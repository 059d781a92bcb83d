import { stringify } from 'csv-stringify/sync';

import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type TableCell, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type ExperimentRecord } from '#shared/project.ts';
import { type LayerSumRow, type StoredLayerSum } from '#shared/probe.ts';
import { type Unit } from '#shared/score.ts';

import { intervalText } from './findings.ts';
import { scoreAxis } from './scoreAxis.ts';
import { layerAxis } from './sectionFigures.ts';
import { groupBy } from './sections.ts';
import { writeWhole } from './writeWhole.ts';

const columns = ['model', 'label', 'unit', 'metric', 'value', 'ci_low', 'ci_high', 'n', 'd', 'classes', 'control'] as const;

/** Probes on weighted sums, a row for each layer in them: how much of it is in the sum. */
export function layerSumsCsv(rows: readonly LayerSumRow[]): string {
  const lines = rows.flatMap((row) =>
    row.layers.map((layer, i) => [...columns.map((column) => row[column]), layer, row.weights[i]]),
  );
  return stringify(lines, { header: true, escape_formulas: true, columns: [...columns, 'layer', 'weight'] });
}

/** Writes the table to a file. Throws `no-space`, `not-found` or `unreadable`. */
export async function writeLayerSumsCsv(path: string, rows: readonly LayerSumRow[]): Promise<void> {
  await writeWhole(path, layerSumsCsv(rows));
}

/** Probes on weighted sums of one experiment, label, unit and measure, as every report draws them. */
export interface LayerSumFigures {
  label: string;
  unit: Unit;
  metric: string;
  /** How much of each layer is in the sum: a row per model or control. */
  heatmap: HeatmapFigure;
  /** The same in numbers, with what the probes reach. */
  table: TableFigure;
  /** The best model and what its sum is made of, in words. */
  reading: string;
}

/** Models first, in the order of the project; then their controls. */
function inOrder(rows: readonly StoredLayerSum[]): StoredLayerSum[] {
  return rows.toSorted((a, b) => Number(a.control !== '') - Number(b.control !== '') || a.modelId - b.modelId);
}

const controlName = (control: StoredLayerSum['control']): string => control.replace('-', ' ');

/** Whether no layer stands out: then there is no heaviest one to speak of. */
function isEven({ weights }: StoredLayerSum): boolean {
  return Math.max(...weights) < 1.5 / weights.length;
}

function weightsHeatmap(title: string, rows: readonly StoredLayerSum[], layers: readonly number[]): HeatmapFigure {
  const [{ metric }] = rows;
  return {
    kind: 'heatmap',
    title: `${title}: layer weights`,
    subtitle: 'softmax of the learned weights, over standardised layers; a row sums to one',
    score: { name: 'weight in the sum', unit: '', higherIsBetter: null },
    columnName: layerAxis,
    columns: [...layers],
    detailNames: ['', scoreAxis(metric).name.toLowerCase()],
    rows: rows.map(({ modelId, model, control, value }) => ({
      id: control === '' ? String(modelId) : `${modelId}-${control}`,
      label: model,
      details: [controlName(control), formatNumber(value, 3)],
      control: control !== '',
    })),
    values: rows.map((row) =>
      layers.map((layer) => {
        const at = row.layers.indexOf(layer);
        return at < 0 ? null : row.weights[at];
      }),
    ),
    domain: 'absolute',
    range: [0, Math.max(...rows.flatMap(({ weights }) => weights))],
  };
}

function weightsTable(title: string, rows: readonly StoredLayerSum[], layers: readonly number[]): TableFigure {
  const axis = scoreAxis(rows[0].metric);
  return {
    title,
    columns: [
      { name: 'model', align: 'left' },
      { name: axis.name, align: 'right' },
      { name: '95 % interval', align: 'right' },
      ...layers.map((layer) => ({ name: String(layer), align: 'right' as const })),
    ],
    rows: rows.map((row): TableCell[] => {
      const heaviest = isEven(row) ? [] : [...new Set(row.weights)].sort((a, b) => b - a);
      return [
        { text: row.control === '' ? row.model : `${row.model} (${controlName(row.control)})` },
        { text: formatNumber(row.value, 3) },
        { text: intervalText(row, 3) },
        ...layers.map((layer): TableCell => {
          const at = row.layers.indexOf(layer);
          if (at < 0) return { text: '' };
          const place = heaviest.indexOf(row.weights[at]);
          const mark = place === 0 ? 'best' : place === 1 ? 'second' : undefined;
          return { text: formatNumber(row.weights[at], 2), ...(mark && { mark }) };
        }),
      ];
    }),
    notes: [
      `Columns are layers: how much of each is in the sum (softmax of the learned weights, over standardised layers), the heaviest bold and the next underlined where one stands out. ${axis.higherIsBetter ? 'Higher' : 'Lower'} ${axis.name.toLowerCase()} is better.`,
    ],
  };
}

/** "tiny-hubert does best, probe accuracy 0.89 (95 % interval 0.84 to 0.94); its sum is 60 % layer 6, 30 % layer 5." */
function sumReading(rows: readonly StoredLayerSum[]): string {
  const axis = scoreAxis(rows[0].metric);
  const own = rows.filter(({ control }) => control === '');
  if (own.length === 0) return '';
  const best = own.reduce((a, b) => ((axis.higherIsBetter ? b.value > a.value : b.value < a.value) ? b : a));
  const interval = intervalText(best, 3);
  const reached = `${axis.name.toLowerCase()} ${formatNumber(best.value, 3)}${interval === '' ? '' : ` (95 % interval ${interval})`}`;
  const parts = best.layers
    .map((layer, i) => ({ layer, weight: best.weights[i] }))
    .sort((a, b) => b.weight - a.weight)
    .filter(({ weight }, i) => i === 0 || (i < 3 && weight >= 0.1));
  const made = isEven(best)
    ? 'its layers weigh about the same, so none stands out'
    : `its sum is ${parts.map(({ layer, weight }) => `${Math.round(100 * weight)} % layer ${layer}`).join(', ')}`;
  return `${best.model} ${own.length > 1 ? 'does best' : 'reaches'}${own.length > 1 ? ',' : ''} ${reached}; ${made}.`;
}

/** The weighted sums of each experiment, label, unit and measure, as figure and table: one row per model or control, one column per layer. */
export function layerSumFigures(sums: readonly StoredLayerSum[], experiments: readonly ExperimentRecord[]): LayerSumFigures[] {
  const names = new Map(experiments.map(({ id, name }) => [id, name]));
  const several = new Set(sums.map(({ experimentId }) => experimentId)).size > 1;
  const groups = groupBy(sums, ({ experimentId, label, unit, metric }) => JSON.stringify([experimentId, label, unit, metric]));
  return groups.map((group): LayerSumFigures => {
    const [{ experimentId, label, unit, metric }] = group;
    const layers = [...new Set(group.flatMap((row) => row.layers))].sort((a, b) => a - b);
    const title = `${several ? `${names.get(experimentId) ?? ''}: ` : ''}${label} by ${unit}, weighted sum of layers`;
    const rows = inOrder(group);
    return {
      label,
      unit,
      metric,
      heatmap: weightsHeatmap(title, rows, layers),
      table: weightsTable(title, rows, layers),
      reading: sumReading(rows),
    };
  });
}
