import { latexNeeds, tableLatex } from '#shared/figures/tableLatex.ts';

import { type ReportDocument } from './scoreReport.ts';

/** The report's tables for a paper; needs the package booktabs. */
export function reportLatex(report: ReportDocument): string {
  const head = [`% ${report.title}. ${report.subtitle}`.replace(/[\s\p{Cc}]+/gu, ' '), latexNeeds];
  const tables = [
    ...report.sections.map(({ table }) => table),
    ...report.sections.flatMap(({ ranking }) => ranking ?? []),
    ...report.tasks,
    ...report.layerSums.map(({ table }) => table),
    ...report.agreements.map(({ table }) => table),
  ];
  return `${[...head, ...tables.map((table, index) => tableLatex(table, `tab:foretune-${index + 1}`))].join('\n\n')}\n`;
}
