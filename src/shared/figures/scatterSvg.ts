import { axisText } from './axis.ts';
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
import { placeLabels } from './dotLabels.ts';
import { frontPoints, huesOf, scatterExtent, type ScatterFigure } from './scatter.ts';
import { textWidth, wrapText } from './textWidth.ts';
import { formatNumber, niceTicks, tickDecimals } from './ticks.ts';

const titleSize = 13;
const smallSize = 9;
const plotWidth = 380;
const plotHeight = 280;
const labelLimit = 200;
/** More dots than this are told by the colour of their group alone. */
const mostLabels = 16;

/** Draws a scatter with the intervals of the scores, the groups named beside it. */
export function scatterSvg(figure: ScatterFigure): Drawing {
  const { points } = figure;
  const extent = scatterExtent(points);
  const groups = [...new Set(points.map(({ group }) => group))];
  const hue = huesOf(figure);
  const colour = (group: string): string => seriesColours[hue(group) % seriesColours.length];
  const xTicks = niceTicks(extent.x[0], extent.x[1], 6);
  const yTicks = niceTicks(extent.y[0], extent.y[1], 6);
  const [xDecimals, yDecimals] = [tickDecimals(xTicks), tickDecimals(yTicks)];
  const left = 8 + Math.ceil(Math.max(20, ...yTicks.map((tick) => textWidth(formatNumber(tick, yDecimals), smallSize))));
  const right = left + plotWidth;
  const named = groups.map((group) => wrapText(group, labelLimit, bodySize));
  const legendLeft = right + 24;
  const width = Math.ceil(legendLeft + 14 + Math.max(0, ...named.flat().map((text) => textWidth(text, bodySize)))) + 4;
  const title = wrapText(figure.title, width, titleSize, true);
  const subtitle = figure.subtitle === '' ? [] : wrapText(figure.subtitle, width, bodySize);
  const nameBaseline = title.length * 17 + subtitle.length * 14 + 14;
  const top = nameBaseline + 14;
  const bottom = top + plotHeight;
  const x = (value: number) => left + ((value - extent.x[0]) / (extent.x[1] - extent.x[0])) * plotWidth;
  const y = (value: number) => bottom - ((value - extent.y[0]) / (extent.y[1] - extent.y[0])) * plotHeight;

  const parts = title.map((text, index) => textLine(0, 14 + index * 17, text, { size: titleSize, bold: true }));
  subtitle.forEach((text, index) =>
    parts.push(textLine(0, title.length * 17 + 12 + index * 14, text, { colour: palette.quiet })),
  );
  parts.push(textLine(0, nameBaseline, axisText(figure.y), { size: smallSize, colour: palette.quiet }));
  for (const tick of yTicks) {
    parts.push(line(left, y(tick), right, y(tick), palette.rule, 0.75));
    parts.push(
      textLine(left - 6, y(tick) + smallSize * baselineShift, formatNumber(tick, yDecimals), { size: smallSize, anchor: 'end' }),
    );
  }
  for (const tick of xTicks) {
    parts.push(line(x(tick), bottom, x(tick), bottom + 4, palette.control, 0.75));
    parts.push(textLine(x(tick), bottom + 14, formatNumber(tick, xDecimals), { size: smallSize, anchor: 'middle' }));
  }
  parts.push(line(left, bottom, right, bottom, palette.control, 0.75));
  parts.push(textLine(left, bottom + 28, axisText(figure.x), { size: smallSize, colour: palette.quiet }));
  frontPoints(figure).forEach((to, index, front) => {
    if (index > 0) parts.push(line(x(front[index - 1].x), y(front[index - 1].y), x(to.x), y(to.y), palette.quiet, 1));
  });
  const dot = (group: string, reference = false): Record<string, string | number> =>
    reference
      ? { fill: palette.paper, stroke: colour(group), 'stroke-width': 1.25 }
      : { fill: colour(group), stroke: palette.paper, 'stroke-width': 0.75 };
  for (const { x: at, y: height, low, high, group, reference } of points) {
    if (low !== null && high !== null) parts.push(line(x(low), y(height), x(high), y(height), colour(group), 0.75));
    parts.push(element('circle', { cx: x(at), cy: y(height), r: 3, ...dot(group, reference) }));
  }
  const labelled = points.filter(({ label }) => label !== '');
  if (labelled.length <= mostLabels) {
    const places = placeLabels(
      labelled.map(({ x: at, y: height, label }) => ({ x: x(at), y: y(height), text: label })),
      { size: smallSize, gap: 6, bounds: { left, right, top: top - smallSize, bottom } },
    );
    places.forEach((place, i) => {
      if (place) parts.push(textLine(place.x, place.y, labelled[i].label, { size: smallSize, anchor: place.anchor }));
    });
  }
  let row = top + 4;
  named.forEach((lines, index) => {
    const reference = points.every((point) => point.group !== groups[index] || point.reference === true);
    parts.push(element('circle', { cx: legendLeft + 4, cy: row, r: 3, ...dot(groups[index], reference) }));
    for (const text of lines) {
      parts.push(textLine(legendLeft + 14, row + bodySize * baselineShift, text));
      row += 13;
    }
    row += 3;
  });
  return svgDocument(width, Math.max(bottom + 32, row), figure.title, parts);
}
