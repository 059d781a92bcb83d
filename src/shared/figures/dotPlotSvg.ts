import { axisText } from './axis.ts';
import { dotPlotRange, type DotPlotFigure } from './dotPlot.ts';
import {
  baselineShift,
  bodySize,
  type Drawing,
  element,
  line,
  palette,
  seriesColours,
  svgDocument,
  textLine,
} from './drawing.ts';
import { textWidth, wrapText } from './textWidth.ts';
import { decimalsFor, formatNumber, niceTicks, tickDecimals } from './ticks.ts';

const titleSize = 13;
const smallSize = 9;
const labelLimit = 260;
const lineHeight = 12;
const plotWidth = 300;
const gap = 12;

/** Draws a dot for each row on one scale, the number beside it; labels are wrapped, never cut. */
export function dotPlotSvg(figure: DotPlotFigure): Drawing {
  const { rows, score, rowName, otherName } = figure;
  const [low, high] = dotPlotRange(rows);
  const decimals = decimalsFor(high - low);
  const labels = rows.map(({ label, emphasis }) => wrapText(label, labelLimit, bodySize, emphasis));
  const left = Math.max(textWidth(rowName, smallSize), ...labels.flat().map((text) => textWidth(text, bodySize, true))) + gap;
  const right = left + plotWidth;
  const numbers = rows.map(({ value }) => formatNumber(value, decimals));
  const valueRight = right + gap + Math.max(...numbers.map((text) => textWidth(text, bodySize, true)), 24);
  const width = Math.ceil(valueRight);
  const titles = wrapText(figure.title, width, titleSize, true);
  const subtitles = figure.subtitle === '' ? [] : wrapText(figure.subtitle, width, bodySize);
  const head = titles.length * 17 + subtitles.length * 14 + 18;
  const heights = labels.map((lines) => Math.max(16, lines.length * lineHeight + 4));
  const tops = heights.map((_, i) => head + 8 + heights.slice(0, i).reduce((sum, height) => sum + height, 0));
  const bottom = head + 8 + heights.reduce((sum, height) => sum + height, 0);
  const x = (value: number): number => left + ((value - low) / (high - low)) * plotWidth;

  const parts = titles.map((text, i) => textLine(0, 14 + i * 17, text, { size: titleSize, bold: true }));
  subtitles.forEach((text, i) => parts.push(textLine(0, titles.length * 17 + 12 + i * 14, text, { colour: palette.quiet })));
  parts.push(textLine(0, head, rowName, { size: smallSize, colour: palette.quiet }));
  parts.push(textLine(valueRight, head, score.name, { size: smallSize, colour: palette.quiet, anchor: 'end' }));
  const ticks = niceTicks(low, high, 5);
  const tickText = tickDecimals(ticks);
  for (const tick of ticks) {
    parts.push(line(x(tick), head + 4, x(tick), bottom, palette.rule, 0.75));
    parts.push(textLine(x(tick), bottom + 12, formatNumber(tick, tickText), { size: smallSize, anchor: 'middle' }));
  }
  rows.forEach(({ value, other, emphasis }, i) => {
    const middle = tops[i] + heights[i] / 2;
    const colour = emphasis ? seriesColours[1] : seriesColours[0];
    labels[i].forEach((text, number) => {
      const centre = middle + (number - (labels[i].length - 1) / 2) * lineHeight;
      parts.push(textLine(0, centre + bodySize * baselineShift, text, { bold: emphasis }));
    });
    parts.push(line(left, middle, right, middle, palette.rule, 0.5));
    if (other !== null) {
      parts.push(line(x(other), middle, x(value), middle, colour, 0.75));
      parts.push(element('circle', { cx: x(other), cy: middle, r: 3, fill: palette.paper, stroke: colour, 'stroke-width': 1 }));
    }
    parts.push(element('circle', { cx: x(value), cy: middle, r: 3.25, fill: colour }));
    parts.push(textLine(valueRight, middle + bodySize * baselineShift, numbers[i], { anchor: 'end', bold: emphasis }));
  });
  parts.push(textLine(left, bottom + 26, axisText(score), { size: smallSize, colour: palette.quiet }));
  if (otherName !== '' && rows.some(({ other }) => other !== null))
    parts.push(textLine(left, bottom + 38, `Hollow: ${otherName}.`, { size: smallSize, colour: palette.quiet }));
  return svgDocument(width, bottom + 42, figure.title, parts);
}
