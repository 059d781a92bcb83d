import { type TableCell, type TableFigure } from './table.ts';

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

/** What a document needs to hold these tables, as comments. */
export const latexNeeds = '% \\usepackage{booktabs}, and \\usepackage[T1]{fontenc} for quotation marks';

/** One table; needs the package booktabs. `label`: what \ref finds it by. */
export function tableLatex({ title, columns, rows, notes }: TableFigure, label: string): string {
  return [
    '\\begin{table}',
    '  \\centering',
    `  \\caption{${escapeLatex([`${title}.`, ...notes].join(' '))}}`,
    `  \\label{${label}}`,
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
