import { stringify } from 'csv-stringify/sync';

import { type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type ExperimentRecord } from '#shared/project.ts';
import { type LayerSumRow, type StoredLayerSum } from '#shared/probe.ts';

import { scoreAxis } from './scoreAxis.ts';
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

/** The weighted sums of each experiment, label, unit and measure as a table: one row per model or control, one column per layer. */
export function layerSumTables(sums: readonly StoredLayerSum[], experiments: readonly ExperimentRecord[]): TableFigure[] {
  const names = new Map(experiments.map(({ id, name }) => [id, name]));
  const several = new Set(sums.map(({ experimentId }) => experimentId)).size > 1;
  const groups = groupBy(sums, ({ experimentId, label, unit, metric }) => JSON.stringify([experimentId, label, unit, metric]));
  return groups.map((group): TableFigure => {
    const [{ experimentId, label, unit, metric }] = group;
    const axis = scoreAxis(metric);
    const layers = [...new Set(group.flatMap((row) => row.layers))].sort((a, b) => a - b);
    const ordered = group.toSorted((a, b) => Number(a.control !== '') - Number(b.control !== '') || a.modelId - b.modelId);
    return {
      title: `${several ? `${names.get(experimentId) ?? ''}: ` : ''}${label} by ${unit}, weighted sum of layers`,
      columns: [
        { name: 'model', align: 'left' },
        { name: axis.name, align: 'right' },
        { name: '95 % interval', align: 'right' },
        ...layers.map((layer) => ({ name: String(layer), align: 'right' as const })),
      ],
      rows: ordered.map((row) => {
        const weights = row.layers.map((layer, i) => ({ layer, weight: row.weights[i] })).sort((a, b) => b.weight - a.weight);
        return [
          { text: row.control === '' ? row.model : `${row.model} (${row.control.replace('-', ' ')})` },
          { text: formatNumber(row.value, 3) },
          {
            text:
              row.ci_low === null || row.ci_high === null
                ? ''
                : `${formatNumber(row.ci_low, 3)} to ${formatNumber(row.ci_high, 3)}`,
          },
          ...layers.map((layer) => {
            const at = weights.findIndex((entry) => entry.layer === layer);
            if (at < 0) return { text: '' };
            const mark = at === 0 ? ('best' as const) : at === 1 ? ('second' as const) : undefined;
            return { text: formatNumber(weights[at].weight, 2), ...(mark && { mark }) };
          }),
        ];
      }),
      notes: [
        `Columns are layers: how much of each is in the sum (softmax of the learned weights, over standardised layers), the heaviest marked. ${axis.higherIsBetter ? 'Higher' : 'Lower'} ${axis.name.toLowerCase()} is better.`,
      ],
    };
  });
}
