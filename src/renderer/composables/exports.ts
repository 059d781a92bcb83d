import { stringify } from 'csv-stringify/browser/esm/sync';

import { figureSvg, type Figure } from '#shared/figures/svg.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { latexNeeds, tableLatex } from '#shared/figures/tableLatex.ts';

import { saveBlob } from './saveBlob.ts';

type Cell = string | number | null;

/** A tidy table for programs: numbers in full, nothing that a spreadsheet would run as a formula. */
export function csvText(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify(
    rows.map((row) => [...row]),
    { header: true, columns: [...columns], escape_formulas: true },
  );
}

const fileName = (name: string, extension: string): string => `${name.replace(/[^\w.-]+/g, '_')}.${extension}`;

export function saveSvg(figure: Figure, name: string): void {
  saveBlob(new Blob([figureSvg(figure).svg], { type: 'image/svg+xml' }), fileName(name, 'svg'));
}

export function saveCsv(columns: readonly string[], rows: readonly (readonly Cell[])[], name: string): void {
  saveBlob(new Blob([csvText(columns, rows)], { type: 'text/csv' }), fileName(name, 'csv'));
}

export function saveLatex(table: TableFigure, name: string): void {
  const text = `${latexNeeds}\n\n${tableLatex(table, `tab:${name.replace(/[^\w.-]+/g, '-')}`)}\n`;
  saveBlob(new Blob([text], { type: 'text/x-tex' }), fileName(name, 'tex'));
}
