import { type TableCell, type TableFigure } from '#shared/figures/table.ts';

import { type ReportDocument } from './scoreReport.ts';

const special: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '−': '$-$',
  '–': '--',
  '’': "'",
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '"': '\\textquotedbl{}',
};

/** Text for LaTeX in which nothing is a command. */
export function escapeLatex(text: string): string {
  const printable = text.replace(/\p{Cc}+/gu, ' ');
  return printable.replace(/[\\~^−–’<>"]|[{}$&#_%]/g, (character) => special[character] ?? `\\${character}`);
}

function latexCell({ text, mark }: TableCell): string {
  const escaped = escapeLatex(text);
  if (mark === 'best') return `\\textbf{${escaped}}`;
  return mark === 'second' ? `\\underline{${escaped}}` : escaped;
}

export function latexTable({ title, columns, rows, notes }: TableFigure, number: number): string {
  return [
    '\\begin{table}',
    '  \\centering',
    `  \\caption{${escapeLatex([`${title}.`, ...notes].join(' '))}}`,
    `  \\label{tab:foretune-${number}}`,
    `  \\begin{tabular}{${columns.map(({ align }) => align[0]).join('')}}`,
    '    \\toprule',
    `    ${columns.map(({ name }) => escapeLatex(name)).join(' & ')} \\\\`,
    '    \\midrule',
    ...rows.map((row) => `    ${row.map(latexCell).join(' & ')} \\\\`),
    '    \\bottomrule',
    '  \\end{tabular}',
    '\\end{table}',
  ].join('\n');
}

/** The report's tables for a paper; needs the package booktabs. */
export function reportLatex(report: ReportDocument): string {
  const head = [
    `% ${report.title}. ${report.subtitle}`.replace(/[\s\p{Cc}]+/gu, ' '),
    '% \\usepackage{booktabs}, and \\usepackage[T1]{fontenc} for quotation marks',
  ];
  const tables = [
    ...report.sections.map(({ table }) => table),
    ...report.sections.flatMap(({ ranking }) => ranking ?? []),
    ...report.tasks,
    ...report.agreements.map(({ table }) => table),
  ];
  return `${[...head, ...tables.map((table, index) => latexTable(table, index + 1))].join('\n\n')}\n`;
}
