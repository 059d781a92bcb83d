import { basename } from 'node:path';

import { readManifest } from '#main/formats/manifest.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type TruthRow } from '#shared/project.ts';

export interface TruthRequest {
  /** CSV, TSV or JSONL: columns model, value and perhaps layer, label and measure; or model and one column per measure. */
  path: string;
  /** Columns by other names. */
  columns?: { model?: string; layer?: string; label?: string; measure?: string; value?: string };
  /** For tables without such columns. */
  label?: string;
  measure?: string;
  /** Where the name of the measure does not tell. */
  higherIsBetter?: boolean;
}

export interface TruthTable {
  source: string;
  rows: TruthRow[];
  /** Rows without a value, which are left out. */
  missing: { row: number; what: string }[];
}

const higher = /acc|f1|f-?score|recall|precision|auc|map|mtwv|uar|bleu|corr|pearson|spearman|r2|pesq|stoi|superb/i;
const lower = /wer|per\b|cer|eer|der|error|loss|mse|mae|rmse|perplexity|minc|^(wer|per|cer|eer|der)/i;

/**
 * Whether a larger value of a measure is better, by its name.
 *
 * @throws ForetuneError `usage` where the name does not tell
 */
export function higherIsBetterOf(measure: string): boolean {
  const [up, down] = [higher.test(measure), lower.test(measure)];
  if (up === down)
    throw new ForetuneError(
      'usage',
      `Whether a larger "${measure}" is better cannot be told from its name; say so with --higher or --lower.`,
    );
  return up;
}

function parseValue(path: string, row: number, column: string, text: string): number | null {
  const trimmed = text.trim();
  if (/^(|nan|na|n\/a|null|none|-)$/i.test(trimmed)) return null;
  const value = Number(trimmed.replace(/%$/, ''));
  if (!Number.isFinite(value))
    throw new ForetuneError('invalid-data', `${path}, row ${row}: "${trimmed}" in column "${column}" is no number.`);
  return value;
}

function parseLayer(path: string, row: number, text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  const layer = Number(trimmed);
  if (!Number.isInteger(layer) || layer < 0)
    throw new ForetuneError('invalid-data', `${path}, row ${row}: "${trimmed}" is no layer; layers are whole numbers from 0.`);
  return layer;
}

/**
 * Reads a table of what fine-tuning or probing gave: tidy (a column `value`), or wide (each further column of numbers is a measure).
 *
 * @throws ForetuneError `not-found` for a missing column, `invalid-data` for a value that is no number or a row that occurs twice, `usage`
 *   where it cannot be told which way is better
 */
export async function readTruth({
  path,
  columns: named = {},
  label,
  measure,
  higherIsBetter,
}: TruthRequest): Promise<TruthTable> {
  const { columns, rows, problems } = await readManifest(path);
  if (problems.length > 0) throw new ForetuneError('invalid-data', `${path}, row ${problems[0].row}: ${problems[0].message}`);
  const find = (wanted: string | undefined, usual: string): string | undefined => {
    if (wanted !== undefined && !columns.includes(wanted))
      throw new ForetuneError('not-found', `${path} has no column "${wanted}"; it has ${columns.join(', ')}.`);
    return wanted ?? columns.find((column) => column.trim().toLowerCase() === usual);
  };
  const modelColumn = find(named.model, 'model');
  if (modelColumn === undefined)
    throw new ForetuneError(
      'not-found',
      `${path} has no column "model"; it has ${columns.join(', ')}. Name it with --model-column.`,
    );
  const layerColumn = find(named.layer, 'layer');
  const labelColumn = find(named.label, 'label');
  const measureColumn = find(named.measure, 'measure');
  const valueColumn = find(named.value, 'value');
  const known = [modelColumn, layerColumn, labelColumn, measureColumn];
  const valueColumns = valueColumn !== undefined ? [valueColumn] : columns.filter((column) => !known.includes(column));
  if (valueColumns.length === 0)
    throw new ForetuneError('not-found', `${path} has no column with values; name it with --value-column.`);
  const table: TruthTable = { source: basename(path), rows: [], missing: [] };
  const seen = new Map<string, number>();
  for (const { row, values } of rows) {
    for (const column of valueColumns) {
      const model = values[modelColumn].trim();
      if (model === '') throw new ForetuneError('invalid-data', `${path}, row ${row}: the model's name is missing.`);
      const layer = layerColumn === undefined ? null : parseLayer(path, row, values[layerColumn]);
      const ownMeasure =
        measureColumn !== undefined ? values[measureColumn].trim() : (measure ?? (column === valueColumn ? 'value' : column));
      const value = parseValue(path, row, column, values[column]);
      const ownLabel = labelColumn === undefined ? (label ?? '') : values[labelColumn].trim();
      const what = [model, layer === null ? '' : `layer ${layer}`, ownLabel, ownMeasure].filter((part) => part !== '').join(', ');
      if (value === null) {
        table.missing.push({ row, what });
        continue;
      }
      const before = seen.get(what);
      if (before !== undefined)
        throw new ForetuneError('invalid-data', `${path}, row ${row}: ${what} is given a second time (first in row ${before}).`);
      seen.set(what, row);
      table.rows.push({
        model,
        layer,
        label: ownLabel,
        measure: ownMeasure,
        value,
        higherIsBetter: higherIsBetter ?? higherIsBetterOf(ownMeasure),
      });
    }
  }
  if (table.rows.length === 0)
    throw new ForetuneError('invalid-data', `${path} holds no value in any of its ${rows.length} rows.`);
  return table;
}
