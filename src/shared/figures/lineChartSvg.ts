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
import { chartExtent, type LineChartFigure, type LinePoint, type LineSeries, spreadLabels } from './lineChart.ts';
import { textWidth, wrapText } from './textWidth.ts';
import { formatNumber, labelStep, niceTicks, tickDecimals } from './ticks.ts';

const titleSize = 13;
const smallSize = 9;
const lineHeight = 12;
const plotWidth = 480;
const labelLimit = 240;
const labelGap = 28;

/** Maps data to pixels. */
interface Plot {
  left: number;
  right: number;
  top: number;
  bottom: number;
  x(value: number): number;
  y(value: number): number;
}

function colourOf(series: readonly LineSeries[]): string[] {
  let next = 0;
  return series.map(({ control }) => (control ? palette.control : seriesColours[next++ % seriesColours.length]));
}

function path(points: readonly (readonly [x: number, y: number])[]): string {
  return points
    .map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${Math.round(x * 100) / 100} ${Math.round(y * 100) / 100}`)
    .join('');
}

/** Labels of the x axis: every layer there is room for, or even steps of a quantity. */
function xLabels({ continuous }: LineChartFigure, plot: Plot, [low, high]: [number, number]): { at: number; text: string }[] {
  if (continuous) {
    const ticks = niceTicks(low, high, 6);
    const decimals = tickDecimals(ticks);
    return ticks.map((at) => ({ at, text: formatNumber(at, decimals) }));
  }
  const first = Math.ceil(low);
  const last = Math.floor(high);
  const step = labelStep(textWidth(String(last), smallSize) + 6, (plot.right - plot.left) / Math.max(1, high - low));
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    .filter((layer) => layer % step === 0)
    .map((at) => ({ at, text: String(at) }));
}

function drawAxes(figure: LineChartFigure, plot: Plot, xRange: [number, number], yTicks: readonly number[]): string[] {
  const parts: string[] = [];
  const decimals = tickDecimals(yTicks);
  for (const tick of yTicks) {
    const y = plot.y(tick);
    parts.push(line(plot.left, y, plot.right, y, tick === 0 ? palette.control : palette.rule, 0.75));
    parts.push(
      textLine(plot.left - 6, y + smallSize * baselineShift, formatNumber(tick, decimals), { size: smallSize, anchor: 'end' }),
    );
  }
  for (const { at, text } of xLabels(figure, plot, xRange)) {
    const x = plot.x(at);
    parts.push(line(x, plot.bottom, x, plot.bottom + 4, palette.control, 0.75));
    parts.push(textLine(x, plot.bottom + 14, text, { size: smallSize, anchor: 'middle' }));
  }
  parts.push(line(plot.left, plot.bottom, plot.right, plot.bottom, palette.control, 0.75));
  parts.push(textLine(plot.left, plot.bottom + 28, figure.xName, { size: smallSize, colour: palette.quiet }));
  return parts;
}

function drawSeries({ points, control, emphasis }: LineSeries, colour: string, plot: Plot): string[] {
  const parts: string[] = [];
  const known = points.filter(
    (point): point is LinePoint & { low: number; high: number } => point.low !== null && point.high !== null,
  );
  if (!control && known.length > 1) {
    const upper = known.map(({ x, high }) => [plot.x(x), plot.y(high)] as const);
    const lower = known.map(({ x, low }) => [plot.x(x), plot.y(low)] as const).reverse();
    parts.push(element('path', { d: `${path([...upper, ...lower])}Z`, fill: colour, 'fill-opacity': emphasis ? 0.16 : 0.09 }));
  }
  if (known.length === 1) {
    const [{ x, low, high }] = known;
    parts.push(line(plot.x(x), plot.y(low), plot.x(x), plot.y(high), colour, 1));
  }
  const way = path(points.map(({ x, y }) => [plot.x(x), plot.y(y)]));
  parts.push(
    element('path', {
      d: way,
      fill: 'none',
      stroke: colour,
      'stroke-width': emphasis ? 2.25 : 1.25,
      'stroke-linejoin': 'round',
      'stroke-dasharray': control ? '4 3' : undefined,
    }),
  );
  if (!control) {
    for (const { x, y } of points) {
      parts.push(
        element('circle', {
          cx: plot.x(x),
          cy: plot.y(y),
          r: emphasis ? 2.75 : 2,
          fill: colour,
          stroke: palette.paper,
          'stroke-width': 0.75,
        }),
      );
    }
  }
  return parts;
}

/** Draws a layer curve with a label at the end of each line; the chart grows when its labels need the room. */
export function lineChartSvg(figure: LineChartFigure): Drawing {
  const series = figure.series.filter(({ points }) => points.length > 0);
  const colours = colourOf(series);
  const extent = chartExtent(series);
  const labels = series.map(({ label, emphasis }) => wrapText(label, labelLimit, bodySize, emphasis));
  const labelHeights = labels.map((lines) => lines.length * lineHeight + 2);
  const plotHeight = Math.max(
    200,
    labelHeights.reduce((sum, height) => sum + height, 0),
  );

  const yTicks = niceTicks(extent.y[0], extent.y[1], Math.round(plotHeight / 40));
  const decimals = tickDecimals(yTicks);
  const left =
    Math.ceil(yTicks.reduce((width, tick) => Math.max(width, textWidth(formatNumber(tick, decimals), smallSize)), 20)) + 8;
  const right = left + plotWidth;
  const labelLeft = right + labelGap;
  const labelWidth = labels.flat().reduce((width, text) => Math.max(width, textWidth(text, bodySize, true)), 0);
  const width = Math.ceil(labelLeft + labelWidth + 4);
  const titleLines = wrapText(figure.title, width, titleSize, true);
  const subtitleLines = figure.subtitle === '' ? [] : wrapText(figure.subtitle, width, bodySize);
  const yName = axisText(figure.score);
  const nameBaseline = titleLines.length * 17 + subtitleLines.length * 14 + 14;
  const top = nameBaseline + 14;
  const bottom = top + plotHeight;
  const plot: Plot = {
    left,
    right,
    top,
    bottom,
    x: (value) => left + ((value - extent.x[0]) / (extent.x[1] - extent.x[0])) * plotWidth,
    y: (value) => bottom - ((value - extent.y[0]) / (extent.y[1] - extent.y[0])) * plotHeight,
  };

  const parts = titleLines.map((text, index) => textLine(0, 14 + index * 17, text, { size: titleSize, bold: true }));
  subtitleLines.forEach((text, index) =>
    parts.push(textLine(0, titleLines.length * 17 + 12 + index * 14, text, { colour: palette.quiet })),
  );
  parts.push(textLine(0, nameBaseline, yName, { size: smallSize, colour: palette.quiet }));
  parts.push(...drawAxes(figure, plot, extent.x, yTicks));
  // Controls below, the line to look at on top.
  const order = series.map((_, index) => index).sort((a, b) => weight(series[a]) - weight(series[b]));
  for (const index of order) parts.push(...drawSeries(series[index], colours[index], plot));

  const ends = series.map(({ points }) => points[points.length - 1]);
  const wishes = ends.map((end, index) => ({ centre: plot.y(end.y), height: labelHeights[index] }));
  const centres = spreadLabels(wishes, top, bottom);
  series.forEach(({ emphasis, control }, index) => {
    const colour = colours[index];
    const start = plot.x(ends[index].x) + 4;
    parts.push(
      element('path', {
        d: path([
          [start, wishes[index].centre],
          [labelLeft - 10, centres[index]],
          [labelLeft - 4, centres[index]],
        ]),
        fill: 'none',
        stroke: colour,
        'stroke-width': 0.75,
        'stroke-dasharray': '1 2',
      }),
    );
    labels[index].forEach((text, number) => {
      const centre = centres[index] + (number - (labels[index].length - 1) / 2) * lineHeight;
      parts.push(
        textLine(labelLeft, centre + bodySize * baselineShift, text, {
          bold: emphasis,
          colour: control ? palette.quiet : undefined,
        }),
      );
    });
  });
  return svgDocument(width, bottom + 32, figure.title, parts);
}

function weight({ control, emphasis }: LineSeries): number {
  return control ? 0 : emphasis ? 2 : 1;
}
