import { scaleColour, textColour } from '#shared/figures/colourScale.ts';
import { bestColumn, type HeatmapFigure, type HeatmapShading } from '#shared/figures/heatmap.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { type HeatmapGeometry } from './heatmapGeometry.ts';

export interface HeatmapLook {
  emptyCell: string;
  fontFamily: string;
  decimals: number;
  /** ties[row]: columns that cannot be told from the best one. */
  ties: readonly (readonly number[])[];
  pixelRatio: number;
}

/** Colours as 256 strings made once: a figure has thousands of cells and far fewer colours that an eye tells apart. */
const colours = Array.from({ length: 256 }, (_, i) => scaleColour(i / 255));

/** Draws all cells, the ring around each row's best, and a dot on those that cannot be told from it. The canvas is resized to fit. */
export function drawHeatmap(
  canvas: HTMLCanvasElement,
  figure: HeatmapFigure,
  shading: HeatmapShading,
  geometry: HeatmapGeometry,
  look: HeatmapLook,
): void {
  const { cellWidth, rowHeight, rowTops, width, height, showsNumbers } = geometry;
  canvas.width = Math.max(1, Math.round(width * look.pixelRatio));
  canvas.height = Math.max(1, Math.round(height * look.pixelRatio));
  const context = canvas.getContext('2d');
  if (!context) return;
  context.scale(look.pixelRatio, look.pixelRatio);
  const gap = cellWidth >= 14 ? 1 : 0.5;
  context.font = `11px ${look.fontFamily}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  figure.values.forEach((row, r) => {
    const top = rowTops[r];
    row.forEach((value, c) => {
      const shade = shading.shades[r][c];
      const left = c * cellWidth;
      context.fillStyle = shade === null ? look.emptyCell : colours[Math.round(Math.max(0, Math.min(1, shade)) * 255)];
      context.fillRect(left, top, cellWidth - gap, rowHeight - gap);
      if (showsNumbers && value !== null && shade !== null) {
        context.fillStyle = textColour(shade);
        context.fillText(formatNumber(value, look.decimals), left + (cellWidth - gap) / 2, top + rowHeight / 2 + 0.5);
      }
    });
    const best = bestColumn(row, figure.score.higherIsBetter);
    if (best === null) return;
    for (const column of look.ties[r] ?? []) {
      const shade = shading.shades[r][column];
      if (shade === null) continue;
      context.fillStyle = textColour(shade);
      context.beginPath();
      context.arc(
        column * cellWidth + cellWidth - gap - (cellWidth >= 24 ? 6 : cellWidth / 2),
        top + (cellWidth >= 24 ? 6 : rowHeight / 2),
        1.75,
        0,
        2 * Math.PI,
      );
      context.fill();
    }
    // White inside black shows on the darkest and on the lightest cell.
    context.lineWidth = 2;
    context.strokeStyle = '#000000';
    context.strokeRect(best * cellWidth + 1, top + 1, cellWidth - gap - 2, rowHeight - gap - 2);
    context.lineWidth = 1;
    context.strokeStyle = '#ffffff';
    context.strokeRect(best * cellWidth + 2.5, top + 2.5, cellWidth - gap - 5, rowHeight - gap - 5);
  });
}
