import { stringify } from 'csv-stringify/browser/esm/sync';

import { figureNumbers, figureTable } from '#shared/figures/numbers.ts';
import { figureSvg, type Figure } from '#shared/figures/svg.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { latexNeeds, tableLatex } from '#shared/figures/tableLatex.ts';
import { tableSvg } from '#shared/figures/tableSvg.ts';

import { engine } from '../api/engine.ts';
import { saveBlob } from './saveBlob.ts';

type Cell = string | number | null;

/** Numbers in full, for programs. */
export interface TidyTable {
  columns: readonly string[];
  rows: readonly (readonly Cell[])[];
}

/** A tidy table for programs: numbers in full, nothing that a spreadsheet would run as a formula. */
export function csvText(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify(
    rows.map((row) => [...row]),
    { header: true, columns: [...columns], escape_formulas: true },
  );
}

export const exportFormats = ['svg', 'pdf', 'csv', 'latex'] as const;
export type ExportFormat = (typeof exportFormats)[number];

const fileName = (name: string, extension: string): string => `${name.replace(/[^\w.-]+/g, '_')}.${extension}`;

function saveCsv({ columns, rows }: TidyTable, name: string): void {
  saveBlob(new Blob([csvText(columns, rows)], { type: 'text/csv' }), fileName(name, 'csv'));
}

function saveLatex(table: TableFigure, name: string): void {
  const text = `${latexNeeds}\n\n${tableLatex(table, `tab:${name.replace(/[^\w.-]+/g, '-')}`)}\n`;
  saveBlob(new Blob([text], { type: 'text/x-tex' }), fileName(name, 'tex'));
}

/** What a program reads: a hyphen for the minus sign that people are shown. */
const plain = (text: string): string => text.replace(/^−(?=[\d.])/, '-');

function numbersOf(figure: Figure | TableFigure): TidyTable {
  if ('kind' in figure) return figureNumbers(figure);
  return {
    columns: figure.columns.map((column) => column.name),
    rows: figure.rows.map((row) => row.map(({ text }) => plain(text))),
  };
}

/**
 * Saves any figure or table as a drawing (SVG, PDF) or as numbers (CSV, LaTeX with the best bold and the second underlined).
 * @param tidy what goes into the CSV, where more is known than is shown
 */
export async function saveFigure(
  figure: Figure | TableFigure,
  format: ExportFormat,
  name = figure.title,
  tidy?: TidyTable,
): Promise<void> {
  const isFigure = 'kind' in figure;
  switch (format) {
    case 'svg': {
      const { svg } = isFigure ? figureSvg(figure) : tableSvg(figure);
      saveBlob(new Blob([svg], { type: 'image/svg+xml' }), fileName(name, 'svg'));
      return;
    }
    case 'pdf':
      saveBlob(await engine().api.results.pdf({ figure }), fileName(name, 'pdf'));
      return;
    case 'csv':
      saveCsv(tidy ?? numbersOf(figure), name);
      return;
    case 'latex':
      saveLatex(isFigure ? figureTable(figure) : figure, name);
  }
}
