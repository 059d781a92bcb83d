import { ForetuneError } from '#shared/errors.ts';
import { type AlignmentChoice } from '#shared/experiment.ts';

import { type AlignmentReport, collectAlignments, openAlignments } from './alignments/alignments.ts';
import { type Dataset } from './dataset.ts';
import { isColumnLabel, type LabelColumn, labelColumn, type LabelOptions } from './labels.ts';

/**
 * The labels of these names: columns of the manifest, and what is no column from the alignments, if there are any.
 *
 * @returns columns in the order of the names
 * @throws ForetuneError `usage` if alignments are given that no label comes from, and what `labelColumn`, `openAlignments` and
 *   `collectAlignments` throw
 */
export async function openLabels(
  dataset: Dataset,
  names: readonly string[],
  options: LabelOptions & { alignments?: AlignmentChoice; root?: string },
): Promise<{ columns: LabelColumn[]; alignments: AlignmentReport | null }> {
  const { alignments, root } = options;
  if (!alignments) return { columns: names.map((name) => labelColumn(dataset, name, options)), alignments: null };
  const aligned = names.filter((name) => !isColumnLabel(dataset, name));
  if (aligned.length === 0) {
    throw new ForetuneError(
      'usage',
      `Alignments were given, but ${names.map((name) => `"${name}"`).join(', ')} ${names.length === 1 ? 'is a column' : 'are columns'} of ${dataset.name}: ask for a label that is none, such as the tier's name.`,
    );
  }
  if (alignments.tier !== undefined && aligned.length > 1) {
    throw new ForetuneError(
      'usage',
      `The labels ${aligned.map((name) => `"${name}"`).join(' and ')} would all come from the tier "${alignments.tier}"; leave the tier out to take those of their names.`,
    );
  }
  const source = await openAlignments(dataset, alignments, { root });
  const { columns, report } = await collectAlignments(dataset, source, alignments, aligned);
  const made = new Map(columns.map((column) => [column.name, column]));
  return { columns: names.map((name) => made.get(name) ?? labelColumn(dataset, name, options)), alignments: report };
}
