import { type ClipFigure } from './clip.ts';
import { clipSvg } from './clipSvg.ts';
import { type DotPlotFigure } from './dotPlot.ts';
import { dotPlotSvg } from './dotPlotSvg.ts';
import { type Drawing } from './drawing.ts';
import { type HeatmapFigure } from './heatmap.ts';
import { heatmapSvg } from './heatmapSvg.ts';
import { type LineChartFigure } from './lineChart.ts';
import { lineChartSvg } from './lineChartSvg.ts';
import { type ScatterFigure } from './scatter.ts';
import { scatterSvg } from './scatterSvg.ts';

export type Figure = HeatmapFigure | LineChartFigure | ScatterFigure | DotPlotFigure | ClipFigure;

/** Draws any figure as a self-contained SVG document, the same for the screen, the PDF and the SVG files. */
export function figureSvg(figure: Figure): Drawing {
  switch (figure.kind) {
    case 'heatmap':
      return heatmapSvg(figure);
    case 'line-chart':
      return lineChartSvg(figure);
    case 'dot-plot':
      return dotPlotSvg(figure);
    case 'clip':
      return clipSvg(figure);
    case 'scatter':
      return scatterSvg(figure);
  }
}
