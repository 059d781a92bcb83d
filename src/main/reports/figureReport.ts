import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { stringify } from 'csv-stringify/sync';

import { writeError } from '#main/formats/atomicFile.ts';
import { type Figure, figureSvg } from '#shared/figures/svg.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { ForetuneError } from '#shared/errors.ts';

import { csvOptions } from './csv.ts';
import { tableLatex } from '#shared/figures/tableLatex.ts';
import { figureReportPdf } from './pdf.ts';
import { cleanName } from './svgFiles.ts';
import { type ReportTargets } from './writeReport.ts';
import { writeWhole } from './writeWhole.ts';

export interface FigureSection {
  /** Unique, good for a file name after cleaning. */
  id: string;
  heading: string;
  statements: readonly string[];
  figures: readonly Figure[];
  tables: readonly TableFigure[];
}

/** A report of figures and tables, with the numbers behind them: as every output draws it. */
export interface FigureReport {
  title: string;
  subtitle: string;
  /** What it is about, in two words. */
  subject: string;
  summary: string[];
  sections: readonly FigureSection[];
  /** Tidy tables: a file each. */
  csv: readonly { name: string; columns: readonly string[]; rows: readonly (readonly (string | number | boolean | null)[])[] }[];
}

/**
 * Writes a report to the places asked for and returns the files. Everything is made before anything is written.
 * @throws ForetuneError `usage` (no target), `no-space`, `not-found`, `unreadable`
 */
export async function writeFigureReport(report: FigureReport, { pdf, csv, latex, svg }: ReportTargets): Promise<string[]> {
  if (!pdf && !csv && !latex && !svg)
    throw new ForetuneError('usage', 'No report was asked for; name a PDF, CSV, LaTeX or SVG target.');
  const files: { path: string; content: string | Uint8Array }[] = [];
  if (pdf) files.push({ path: pdf, content: await figureReportPdf(report) });
  if (csv) {
    for (const { name, columns, rows } of report.csv)
      files.push({
        path: join(csv, `${name}.csv`),
        content: stringify(
          rows.map((row) => [...row]),
          { ...csvOptions, columns: [...columns] },
        ),
      });
  }
  if (latex) {
    const tables = report.sections.flatMap((section) => section.tables);
    const head = [
      `% ${report.title}. ${report.subtitle}`.replace(/[\s\p{Cc}]+/gu, ' '),
      '% \\usepackage{booktabs}, and \\usepackage[T1]{fontenc} for quotation marks',
    ];
    files.push({
      path: latex,
      content: `${[...head, ...tables.map((table, index) => tableLatex(table, `tab:foretune-${index + 1}`))].join('\n\n')}\n`,
    });
  }
  if (svg) {
    for (const { id, figures } of report.sections) {
      for (const [index, figure] of figures.entries())
        files.push({
          path: join(svg, `${cleanName(id)}${figures.length > 1 ? `-${index + 1}` : ''}.svg`),
          content: figureSvg(figure).svg,
        });
    }
  }
  for (const folder of [csv, svg]) {
    if (!folder) continue;
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw writeError(folder, error);
    });
  }
  for (const { path, content } of files) await writeWhole(path, content);
  return files.map(({ path }) => path);
}
