import { scaleColour, textColour } from './colourScale.ts';
import { baselineShift, bodySize, type Drawing, element, line, palette, rectangle, svgDocument, textLine } from './drawing.ts';
import { bestColumn, type HeatmapFigure, type HeatmapShading, shadeHeatmap, valueRange } from './heatmap.ts';
import { textWidth, wrapText } from './textWidth.ts';
import { decimalsFor, formatNumber, labelStep } from './ticks.ts';

const titleSize = 13;
const smallSize = 9;
const gap = 12;
const labelLimit = 250;
const lineHeight = 12;
const controlGap = 22;
const barWidth = 200;
const barHeight = 8;

/** Where everything goes, in pixels from the top left corner. */
interface Layout {
  labelLines: string[][];
  detailLefts: number[];
  gridLeft: number;
  gridRight: number;
  cellWidth: number;
  cellText: boolean;
  bestLayerRight: number;
  bestValueRight: number;
  width: number;
  titleLines: string[];
  subtitleLines: string[];
  headBaseline: number;
  rowTops: number[];
  rowHeights: number[];
  gridBottom: number;
}

const rowNameOf = ({ rowName = 'model' }: HeatmapFigure): string => rowName;
const hasBest = ({ score }: HeatmapFigure): boolean => score.higherIsBetter !== null;

function widest(texts: readonly string[], size: number): number {
  return texts.reduce((width, text) => Math.max(width, textWidth(text, size)), 0);
}

/** Cells as wide as their number when there are few of them, narrower as they get many. */
function widthOfCells(columns: number, numberWidth: number): { cellWidth: number; cellText: boolean } {
  const roomy = Math.max(26, Math.ceil(numberWidth) + 8);
  if (columns <= 13) return { cellWidth: roomy, cellText: true };
  if (columns * roomy <= 560) return { cellWidth: roomy, cellText: true };
  return { cellWidth: Math.max(8, Math.min(roomy, Math.floor(560 / columns))), cellText: false };
}

function layOut(figure: HeatmapFigure, decimals: number, best: readonly (number | null)[]): Layout {
  const { rows, columns, values, detailNames } = figure;
  const labelLines = rows.map((row) => wrapText(row.label, labelLimit, bodySize));
  const labelWidth = Math.max(widest(labelLines.flat(), bodySize), textWidth(rowNameOf(figure), smallSize));
  const detailWidths = detailNames.map((name, index) =>
    Math.max(
      textWidth(name, smallSize),
      widest(
        rows.map((row) => row.details[index] ?? ''),
        smallSize,
      ),
    ),
  );
  const detailLefts: number[] = [];
  let left = labelWidth + gap;
  for (const width of detailWidths) {
    detailLefts.push(left);
    left += width + gap;
  }
  const numbers = values.flatMap((row) => row.filter((value) => value !== null).map((value) => formatNumber(value, decimals)));
  const numberWidth = widest(numbers, smallSize);
  const { cellWidth, cellText } = widthOfCells(columns.length, numberWidth);
  const gridLeft = left;
  const gridRight = gridLeft + cellWidth * columns.length;
  const bestLayerWidth = !hasBest(figure)
    ? 0
    : Math.max(
        textWidth(`best ${figure.columnName.split(' ')[0]}`, smallSize),
        widest(
          best.map((column) => String(column === null ? '' : columns[column])),
          bodySize,
        ),
      );
  const bestLayerRight = gridRight + gap + bestLayerWidth;
  const bestValueRight = !hasBest(figure)
    ? gridRight
    : bestLayerRight + gap + Math.max(numberWidth * (bodySize / smallSize), textWidth('score', smallSize));
  const { caption } = shadeHeatmap(figure);
  const width = Math.ceil(
    Math.max(
      bestValueRight,
      gridLeft + Math.max(barWidth + 30, textWidth(caption, smallSize), textWidth(figure.columnName, smallSize)),
    ) + 4,
  );

  const titleLines = wrapText(figure.title, width, titleSize, true);
  const subtitleLines = figure.subtitle === '' ? [] : wrapText(figure.subtitle, width, bodySize);
  const headBaseline = titleLines.length * 17 + subtitleLines.length * 14 + 16;
  const base = cellText ? 20 : 15;
  const rowHeights = labelLines.map((lines) => Math.max(base, lines.length * lineHeight + 4));
  const rowTops: number[] = [];
  let top = headBaseline + 6;
  rows.forEach((row, index) => {
    if (row.control && (index === 0 || !rows[index - 1].control)) top += controlGap;
    rowTops.push(top);
    top += rowHeights[index];
  });
  return {
    labelLines,
    detailLefts,
    gridLeft,
    gridRight,
    cellWidth,
    cellText,
    bestLayerRight,
    bestValueRight,
    width,
    titleLines,
    subtitleLines,
    headBaseline,
    rowTops,
    rowHeights,
    gridBottom: top,
  };
}

function drawHeads(figure: HeatmapFigure, layout: Layout): string[] {
  const parts = layout.titleLines.map((text, index) => textLine(0, 14 + index * 17, text, { size: titleSize, bold: true }));
  const below = layout.titleLines.length * 17;
  layout.subtitleLines.forEach((text, index) =>
    parts.push(textLine(0, below + 12 + index * 14, text, { colour: palette.quiet })),
  );
  const head = { size: smallSize, colour: palette.quiet } as const;
  parts.push(textLine(0, layout.headBaseline, rowNameOf(figure), head));
  figure.detailNames.forEach((name, index) => parts.push(textLine(layout.detailLefts[index], layout.headBaseline, name, head)));
  if (!hasBest(figure)) return parts;
  parts.push(
    textLine(layout.bestLayerRight, layout.headBaseline, `best ${figure.columnName.split(' ')[0]}`, { ...head, anchor: 'end' }),
  );
  parts.push(textLine(layout.bestValueRight, layout.headBaseline, 'score', { ...head, anchor: 'end' }));
  return parts;
}

function drawRow(
  figure: HeatmapFigure,
  layout: Layout,
  shading: HeatmapShading,
  index: number,
  best: number | null,
  decimals: number,
): string[] {
  const parts: string[] = [];
  const { columns, rows, values } = figure;
  const row = rows[index];
  const top = layout.rowTops[index];
  const height = layout.rowHeights[index];
  const middle = top + height / 2;
  if (row.control && (index === 0 || !rows[index - 1].control)) {
    parts.push(textLine(0, top - 6, 'controls', { size: smallSize, colour: palette.quiet }));
    parts.push(line(0, top - 17, layout.bestValueRight, top - 17, palette.rule, 0.75));
  }
  const lines = layout.labelLines[index];
  lines.forEach((text, number) => {
    const centre = middle + (number - (lines.length - 1) / 2) * lineHeight;
    parts.push(textLine(0, centre + bodySize * baselineShift, text, { colour: row.control ? palette.quiet : undefined }));
  });
  row.details.forEach((text, detail) => {
    parts.push(
      textLine(layout.detailLefts[detail], middle + smallSize * baselineShift, text, { size: smallSize, colour: palette.quiet }),
    );
  });
  // Hairlines between narrow cells come and go with the screen's pixels: those touch instead, with a little overlap against seams.
  const dense = layout.cellWidth < 14;
  const [pad, cover] = dense ? [0, 0.2] : [0.5, 0];
  values[index].forEach((value, column) => {
    const shade = shading.shades[index][column];
    if (value === null || shade === null) return;
    const left = layout.gridLeft + column * layout.cellWidth;
    parts.push(rectangle(left + pad, top + 0.5, layout.cellWidth - 2 * pad + cover, height - 1, scaleColour(shade)));
    if (layout.cellText) {
      const centre = left + layout.cellWidth / 2;
      parts.push(
        textLine(centre, middle + smallSize * baselineShift, formatNumber(value, decimals), {
          size: smallSize,
          colour: textColour(shade),
          anchor: 'middle',
        }),
      );
    }
  });
  if (best !== null) {
    const ring = (inset: number, stroke: string, width: number) =>
      element('rect', {
        x: layout.gridLeft + best * layout.cellWidth + inset,
        y: top + inset,
        width: layout.cellWidth - 2 * inset,
        height: height - 2 * inset,
        fill: 'none',
        stroke,
        'stroke-width': width,
      });
    // White inside black shows on the darkest and on the lightest cell.
    parts.push(ring(1.75, '#ffffff', 1), ring(0.75, '#000000', 1.5));
    const style = { anchor: 'end', colour: row.control ? palette.quiet : undefined } as const;
    parts.push(textLine(layout.bestLayerRight, middle + bodySize * baselineShift, String(columns[best]), style));
    parts.push(
      textLine(layout.bestValueRight, middle + bodySize * baselineShift, formatNumber(values[index][best] ?? 0, decimals), style),
    );
  }
  return parts;
}

function drawColumnAxis(figure: HeatmapFigure, layout: Layout): string[] {
  const labelWidth = widest(figure.columns.map(String), smallSize) + 4;
  const step = labelStep(labelWidth, layout.cellWidth);
  const parts: string[] = [];
  figure.columns.forEach((column, index) => {
    if (index % step !== 0) return;
    const centre = layout.gridLeft + (index + 0.5) * layout.cellWidth;
    parts.push(line(centre, layout.gridBottom + 1, centre, layout.gridBottom + 4, palette.control, 0.75));
    parts.push(textLine(centre, layout.gridBottom + 13, String(column), { size: smallSize, anchor: 'middle' }));
  });
  parts.push(textLine(layout.gridLeft, layout.gridBottom + 26, figure.columnName, { size: smallSize, colour: palette.quiet }));
  return parts;
}

function drawColourBar(layout: Layout, shading: HeatmapShading, top: number): string[] {
  const pieces = 50;
  const left = layout.gridLeft;
  const parts = [textLine(left, top, shading.caption, { size: smallSize, colour: palette.quiet })];
  const barTop = top + 5;
  for (let piece = 0; piece < pieces; piece++) {
    const share = piece / (pieces - 1);
    // A hair of overlap keeps readers from showing seams.
    const width = barWidth / pieces + (piece < pieces - 1 ? 0.3 : 0);
    parts.push(
      rectangle(left + (piece * barWidth) / pieces, barTop, width, barHeight, scaleColour(shading.reversed ? 1 - share : share)),
    );
  }
  let free = -Infinity;
  for (const { position, label } of shading.ticks) {
    const x = left + position * barWidth;
    const half = textWidth(label, smallSize) / 2;
    const atEnd = half > 30;
    const start = !atEnd ? x - half : position < 0.5 ? x : x - 2 * half;
    parts.push(line(x, barTop + barHeight, x, barTop + barHeight + 3, palette.control, 0.75));
    if (start < free) continue;
    parts.push(textLine(start, barTop + barHeight + 12, label, { size: smallSize }));
    free = start + 2 * half + 4;
  }
  return parts;
}

/** Draws a layer heatmap. Labels are wrapped, never cut; numbers stand in the cells where they fit. */
export function heatmapSvg(figure: HeatmapFigure): Drawing {
  const [low, high] = figure.range ?? valueRange(figure.values);
  const decimals = decimalsFor(high - low || Math.abs(high) || 1);
  const shading = shadeHeatmap(figure);
  const best = figure.values.map((row) => bestColumn(row, figure.score.higherIsBetter));
  const layout = layOut(figure, decimals, best);
  const barTop = layout.gridBottom + 46;
  const parts = [
    ...drawHeads(figure, layout),
    ...figure.rows.flatMap((_, index) => drawRow(figure, layout, shading, index, best[index], decimals)),
    ...drawColumnAxis(figure, layout),
    ...drawColourBar(layout, shading, barTop),
  ];
  return svgDocument(layout.width, barTop + 28, figure.title, parts);
}
