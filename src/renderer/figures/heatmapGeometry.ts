import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { labelStep } from '#shared/figures/ticks.ts';
import { textWidth } from '#shared/figures/textWidth.ts';

export const controlGap = 28;
const fontSize = 11;

/** Where the cells of a heatmap lie, in CSS pixels from the top left of its grid. */
export interface HeatmapGeometry {
  cellWidth: number;
  rowHeight: number;
  width: number;
  height: number;
  rowTops: number[];
  /** Numbers fit into the cells. */
  showsNumbers: boolean;
  /** Every how many layers the axis has room for a label. */
  labelEvery: number;
}

/** Of further lines of a row's name. */
const lineHeight = 14;
const narrowest = 8;
const widest = 160;

/** Fills the room there is, down to cells that can still be pointed at. `numberWidth`: that of the widest number in pixels; `lines`: those that names of rows take. */
export function heatmapGeometry(
  { rows, columns }: Pick<HeatmapFigure, 'rows' | 'columns'>,
  room: number,
  numberWidth: number,
  lines = 1,
): HeatmapGeometry {
  const cellWidth = Math.max(narrowest, Math.min(widest, Math.floor(room / Math.max(1, columns.length))));
  const rowHeight = (rows.length <= 16 ? 26 : rows.length <= 40 ? 22 : 18) + (lines - 1) * lineHeight;
  const rowTops: number[] = [];
  let top = 0;
  rows.forEach((row, i) => {
    if (row.control && (i === 0 || !rows[i - 1].control)) top += controlGap;
    rowTops.push(top);
    top += rowHeight;
  });
  const widestLabel = Math.max(0, ...columns.map((column) => textWidth(String(column), fontSize))) + 6;
  return {
    cellWidth,
    rowHeight,
    width: cellWidth * columns.length,
    height: top,
    rowTops,
    showsNumbers: cellWidth >= numberWidth + 8 && rowHeight >= 18,
    labelEvery: labelStep(widestLabel, cellWidth),
  };
}

/** The cell under a point of the grid; null in the gap above the controls and outside. */
export function cellAt(
  { cellWidth, rowHeight, rowTops, width }: HeatmapGeometry,
  x: number,
  y: number,
): { row: number; column: number } | null {
  if (x < 0 || x >= width) return null;
  const row = rowTops.findIndex((top) => y >= top && y < top + rowHeight);
  return row === -1 ? null : { row, column: Math.floor(x / cellWidth) };
}

/** Where a key takes the selection; null for keys that do not move it. Cells without a value can be stood on, as in any table. */
export function moveCell(
  key: string,
  { row, column }: { row: number; column: number },
  rows: number,
  columns: number,
  bestOfRow: number | null,
): { row: number; column: number } | null {
  const within = (r: number, c: number) => ({
    row: Math.max(0, Math.min(rows - 1, r)),
    column: Math.max(0, Math.min(columns - 1, c)),
  });
  switch (key) {
    case 'ArrowLeft':
      return within(row, column - 1);
    case 'ArrowRight':
      return within(row, column + 1);
    case 'ArrowUp':
      return within(row - 1, column);
    case 'ArrowDown':
      return within(row + 1, column);
    case 'PageUp':
      return within(row - 10, column);
    case 'PageDown':
      return within(row + 10, column);
    case 'Home':
      return within(row, 0);
    case 'End':
      return within(row, columns - 1);
    case 'b':
      return bestOfRow === null ? null : within(row, bestOfRow);
    default:
      return null;
  }
}
