import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// Not an inline type import: that would leave `import 'pdfmake/interfaces'` behind, and there is no such module at run time.
import type { Content, CustomTableLayout, TableCell as PdfCell, TDocumentDefinitions } from 'pdfmake/interfaces';

import { type Drawing, palette } from '#shared/figures/drawing.ts';
import { splitRows } from '#shared/figures/heatmap.ts';
import { type Figure, figureSvg } from '#shared/figures/svg.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { textWidth, wrapText } from '#shared/figures/textWidth.ts';

import { rankNote } from './ranking.ts';
import { type FigureReport } from './figureReport.ts';
import { type ReportDocument, type ReportSection } from './scoreReport.ts';

/** Points. */
const a4 = { short: 595.28, long: 841.89 };
const margin = 42;
const headerHeight = 50;
const footerHeight = 44;
const bodySize = 9;
const tableSize = 8;
/** A drawing wider than this is set on pages on their side. */
const portraitLimit = 740;
const rowsPerPage = { portrait: 44, landscape: 28 };

/** Of a page, for the heatmap that shares it with a heading and its statements. */
const heatmapShare = 0.74;

const fontName = 'DejaVu Sans';

interface Page {
  orientation: 'portrait' | 'landscape';
  /** Room between the margins. */
  width: number;
  height: number;
}

function fontFiles(): Record<'normal' | 'bold' | 'italics' | 'bolditalics', string> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf');
  return {
    normal: join(folder, 'DejaVuSans.ttf'),
    bold: join(folder, 'DejaVuSans-Bold.ttf'),
    italics: join(folder, 'DejaVuSans-Oblique.ttf'),
    bolditalics: join(folder, 'DejaVuSans-BoldOblique.ttf'),
  };
}

function pageOf(orientation: Page['orientation']): Page {
  const [width, height] = orientation === 'portrait' ? [a4.short, a4.long] : [a4.long, a4.short];
  return { orientation, width: width - 2 * margin, height: height - headerHeight - footerHeight };
}

/** A figure no larger than drawn and no larger than the page. */
function figureContent(figure: Figure, page: Page, share = 1): Content {
  const drawing = figureSvg(figure);
  const scale = Math.min(1, page.width / drawing.width, (page.height * share) / drawing.height);
  return { svg: drawing.svg, width: drawing.width * scale, height: drawing.height * scale, margin: [0, 6, 0, 12] };
}

const ruled: CustomTableLayout = {
  hLineWidth: (row, { table }) => (row === 0 || row === 1 || row === table.body.length ? 0.75 : 0.25),
  hLineColor: (row, { table }) => (row === 0 || row === 1 || row === table.body.length ? palette.control : palette.rule),
  vLineWidth: () => 0,
  paddingLeft: (column) => (column === 0 ? 0 : 4),
  paddingRight: (column, { table }) => (column === (table.widths?.length ?? 0) - 1 ? 0 : 4),
  paddingTop: () => 2.5,
  paddingBottom: () => 2.5,
};

/** The table in full width; text columns share what the numbers leave, and long names wrap. */
function tableContent({ columns, rows, notes }: TableFigure, page: Page): Content[] {
  const padding = 8;
  const natural = columns.map(({ name }, column) =>
    Math.max(
      ...name.split(' ').map((word) => textWidth(word, tableSize, true)),
      ...rows.map((row) => textWidth(row[column].text, tableSize, row[column].mark === 'best')),
    ),
  );
  const flexible = columns.findIndex(({ name }) => name === 'model' || name === 'score');
  const taken = natural.reduce((sum, width, column) => sum + (column === flexible ? 0 : width + 1) + padding, 0);
  const widths = natural.map((width, column) =>
    column === flexible ? Math.max(60, Math.min(width + 2, page.width - taken)) : width + 1,
  );
  const head = columns.map(({ name, align }): PdfCell => ({ text: name, bold: true, alignment: align, color: palette.quiet }));
  const body = rows.map((row) =>
    row.map(({ text, mark }, column): PdfCell => ({
      text: column === flexible ? wrapText(text, widths[column], tableSize).join('\n') : text,
      alignment: columns[column].align,
      bold: mark === 'best',
      decoration: mark === 'second' ? 'underline' : undefined,
    })),
  );
  return [
    {
      table: { headerRows: 1, dontBreakRows: true, keepWithHeaderRows: 2, widths, body: [head, ...body] },
      layout: ruled,
      fontSize: tableSize,
    },
    { text: notes.join(' '), fontSize: 7.5, color: palette.quiet, margin: [0, 4, 0, 0] },
  ];
}

function sectionContent({ heading, statements, heatmap, curve, table }: ReportSection): Content[] {
  const page = pageOf(figureSvg(heatmap).width > portraitLimit ? 'landscape' : 'portrait');
  const [first, ...others] = splitRows(heatmap, rowsPerPage[page.orientation]).map((part) =>
    figureContent(part, page, heatmapShare),
  );
  const opening: Content = {
    unbreakable: true,
    stack: [{ text: heading, style: 'section' }, { ul: statements, margin: [0, 0, 0, 4] }, first],
    pageBreak: 'before',
    pageOrientation: page.orientation,
  };
  const rest = [...others, ...(curve === null ? [] : [figureContent(curve, page)])];
  return [opening, ...rest.map((figure): Content => ({ unbreakable: true, stack: [figure] })), ...tableContent(table, page)];
}

function titledTable(table: TableFigure, page: Page): Content[] {
  return [{ text: table.title, bold: true, margin: [0, 14, 0, 4] }, ...tableContent(table, page)];
}

/** What to take and how sure that is, for every section; as many to a page as there is room. */
function rankingContent({ sections }: ReportDocument): Content[] {
  const page = pageOf('portrait');
  const parts = sections.map(({ heading, ranking, reading }): Content => ({
    unbreakable: true,
    margin: [0, 0, 0, 12],
    stack: [
      { text: heading, bold: true, margin: [0, 0, 0, 2] },
      { ul: reading, margin: [0, 0, 0, 4] },
      ...(ranking ? tableContent({ ...ranking, notes: [] }, page) : []),
    ],
  }));
  return [
    { text: 'Recommendations and ranks', style: 'section', pageBreak: 'before', pageOrientation: page.orientation },
    ...parts,
    { text: rankNote, fontSize: 7.5, color: palette.quiet },
  ];
}

/** Several tasks side by side, and what the scores are worth where there is truth to hold them against. */
function comparisonContent({ tasks, agreements, layerSums }: ReportDocument): Content[] {
  const page = pageOf('portrait');
  const heading = (text: string): Content => ({ text, style: 'section', pageBreak: 'before', pageOrientation: page.orientation });
  return [
    ...(tasks.length > 0 ? [heading('Task by task'), ...tasks.flatMap((table) => titledTable(table, page))] : []),
    ...(layerSums.length > 0
      ? [
          heading('Weighted sums of layers'),
          ...layerSums.flatMap(({ heatmap, table, reading }): Content[] => [
            { text: reading, margin: [0, 10, 0, 4] },
            figureContent(heatmap, page, 0.5),
            ...tableContent(table, page),
          ]),
        ]
      : []),
    ...agreements.flatMap(({ heading: name, reading, table, scatter }): Content[] => [
      heading(`Scores against the truth, ${name}`),
      { text: reading, margin: [0, 0, 0, 4] },
      ...(scatter ? [figureContent(scatter, page, 0.5)] : []),
      ...tableContent(table, page),
    ]),
  ];
}

function recipeContent({ recipes }: ReportDocument, page: Page): Content[] {
  const keyWidth = 150;
  const lines = (entries: ReportDocument['recipes']['shared'], width: number) =>
    entries.map(([key, value]): PdfCell[] => [
      { text: wrapText(key, keyWidth, 7.5).join('\n'), color: palette.quiet },
      { text: wrapText(value, width, 7.5).join('\n') },
    ]);
  const plain: CustomTableLayout = {
    ...ruled,
    paddingTop: () => 1,
    paddingBottom: () => 1,
    hLineWidth: () => 0.25,
    hLineColor: () => palette.rule,
  };
  const content: Content[] = [
    { text: 'Recipe of every number', style: 'section', pageBreak: 'before', pageOrientation: page.orientation },
    { text: 'What all scores of this report share:', margin: [0, 0, 0, 4] },
  ];
  if (recipes.shared.length > 0) {
    const widths = [keyWidth, page.width - keyWidth - 8];
    content.push({
      table: { dontBreakRows: true, widths, body: lines(recipes.shared, widths[1] - 4) },
      layout: plain,
      fontSize: 7.5,
    });
  }
  const own = recipes.own.filter(({ entries }) => entries.length > 0);
  if (own.length > 0) {
    const widths = [30, keyWidth, page.width - keyWidth - 46];
    content.push({ text: 'What is its own in each, by the short name in the tables:', margin: [0, 12, 0, 4] });
    const body = own.flatMap(({ name, entries }) =>
      lines(entries, widths[2] - 4).map((cells, index): PdfCell[] => [{ text: index === 0 ? name : '', bold: true }, ...cells]),
    );
    const between: CustomTableLayout = {
      ...plain,
      hLineWidth: (row, { table }) => {
        const first = table.body[row]?.[0];
        const begins = typeof first === 'object' && 'text' in first && first.text !== '';
        return begins || row === table.body.length ? 0.75 : 0;
      },
    };
    content.push({ table: { dontBreakRows: true, widths, body }, layout: between, fontSize: 7.5 });
  }
  return content;
}

/** Pages with a title, running head and foot. */
function framed(
  { title, subtitle }: Pick<ReportDocument, 'title' | 'subtitle'>,
  subject: string,
  content: Content[],
): TDocumentDefinitions {
  const page = pageOf('portrait');
  const small = { fontSize: 7.5, color: palette.quiet };
  return {
    pageSize: 'A4',
    pageOrientation: page.orientation,
    pageMargins: [margin, headerHeight, margin, footerHeight],
    info: { title: `${title}: ${subject}`, creator: 'Foretune', producer: 'Foretune' },
    header: (current) => (current === 1 ? null : { text: title, ...small, margin: [margin, 28, margin, 0] }),
    footer: (current, count) => ({
      columns: [
        { text: subtitle, ...small },
        { text: `${current}/${count}`, ...small, alignment: 'right', width: 60 },
      ],
      margin: [margin, 16, margin, 0],
    }),
    defaultStyle: { font: fontName, fontSize: bodySize, lineHeight: 1.25, color: palette.ink },
    styles: {
      title: { fontSize: 18, bold: true, margin: [0, 0, 0, 2] },
      section: { fontSize: 12.5, bold: true, margin: [0, 0, 0, 6] },
      question: { bold: true, margin: [0, 6, 0, 1] },
    },
    content: [
      { text: wrapText(title, page.width, 18, true).join('\n'), style: 'title' },
      { text: subtitle, color: palette.quiet, margin: [0, 0, 0, 14] },
      ...content,
    ],
  };
}

function definition(report: ReportDocument): TDocumentDefinitions {
  return framed(report, 'layer scores', [
    { text: 'In short', style: 'section' },
    { ul: report.summary, margin: [0, 0, 0, 12] },
    ...report.notes.flatMap(({ heading, text }): Content[] => [
      { text: heading, style: 'section' },
      { text, margin: [0, 0, 0, 12] },
    ]),
    { text: 'How to read the scores', style: 'section' },
    ...report.guide.map(({ question, answer }): Content => ({
      unbreakable: true,
      stack: [{ text: question, style: 'question' }, { text: answer }],
    })),
    ...report.sections.flatMap(sectionContent),
    ...(report.sections.length > 0 ? rankingContent(report) : []),
    ...comparisonContent(report),
    ...recipeContent(report, pageOf('portrait')),
  ]);
}

function figureReportDefinition({ sections, summary, subject, ...report }: FigureReport): TDocumentDefinitions {
  const page = pageOf('portrait');
  return framed(report, subject, [
    { text: 'In short', style: 'section' },
    { ul: summary, margin: [0, 0, 0, 12] },
    ...sections.flatMap(({ heading, statements, figures, tables }): Content[] => [
      { text: heading, style: 'section', margin: [0, 8, 0, 6] },
      ...(statements.length > 0 ? [{ ul: [...statements], margin: [0, 0, 0, 4] } satisfies Content] : []),
      ...figures.map((figure): Content => ({ unbreakable: true, stack: [figureContent(figure, page, 0.6)] })),
      ...tables.flatMap((table) => titledTable(table, page)),
    ]),
  ]);
}

async function rendered(document: TDocumentDefinitions): Promise<Uint8Array> {
  const fonts = fontFiles();
  const allowed = new Set<string>(Object.values(fonts));
  // Loaded when a report is made: it is the largest of all imports.
  const { default: pdfmake } = await import('pdfmake');
  pdfmake.setFonts({ [fontName]: fonts });
  pdfmake.setUrlAccessPolicy(() => false);
  pdfmake.setLocalAccessPolicy((path) => allowed.has(path));
  return pdfmake.createPdf(document).getBuffer();
}

/** The report as a PDF file's bytes: vector figures, embedded fonts, no network and no file but the fonts. */
export function reportPdf(report: ReportDocument): Promise<Uint8Array> {
  return rendered(definition(report));
}

/** A report of figures and tables as a PDF file's bytes. */
export function figureReportPdf(report: FigureReport): Promise<Uint8Array> {
  return rendered(figureReportDefinition(report));
}

/** One drawing on a page of its own size, as papers include it. */
export function drawingPdf({ svg, width, height }: Drawing, title: string): Promise<Uint8Array> {
  return rendered({
    pageSize: { width, height },
    pageMargins: 0,
    info: { title, creator: 'Foretune', producer: 'Foretune' },
    defaultStyle: { font: fontName },
    content: [{ svg, width, height }],
  });
}
