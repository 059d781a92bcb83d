import { describe, expect, it } from 'vitest';

import { cellAt, controlGap, heatmapGeometry, moveCell } from '../../../src/renderer/figures/heatmapGeometry.ts';

const row = (id: string, control = false) => ({ id, label: id, details: [], control });
const small = { rows: [row('a'), row('b'), row('c', true)], columns: [0, 1, 2, 3] };

describe('the geometry of the heatmap', () => {
  it('fills the room, and shows numbers only where they fit', () => {
    const wide = heatmapGeometry(small, 200, 38);
    expect(wide.cellWidth).toBe(50);
    expect(wide.showsNumbers).toBe(true);
    expect(heatmapGeometry(small, 160, 38).showsNumbers).toBe(false);
  });

  it('keeps cells that can be pointed at, however many there are', () => {
    const columns = Array.from({ length: 49 }, (_, i) => i);
    const { cellWidth, width, labelEvery } = heatmapGeometry({ rows: small.rows, columns }, 300, Infinity);
    expect(cellWidth).toBe(8);
    expect(width).toBe(392);
    expect(labelEvery).toBeGreaterThan(1);
  });

  it('gives rows the room that names of two lines take', () => {
    const [one, two] = [1, 2].map((lines) => heatmapGeometry(small, 200, 38, lines));
    expect(two.rowHeight).toBeGreaterThanOrEqual(one.rowHeight + 14);
    expect(two.rowTops[1]).toBe(two.rowHeight);
    expect(cellAt(two, 10, two.rowTops[1])).toEqual({ row: 1, column: 0 });
  });

  it('sets the controls apart', () => {
    const { rowTops, rowHeight } = heatmapGeometry(small, 200, 38);
    expect(rowTops).toEqual([0, rowHeight, 2 * rowHeight + controlGap]);
  });

  it('finds the cell under a point, and none in the gap or outside', () => {
    const geometry = heatmapGeometry(small, 200, 38);
    expect(cellAt(geometry, 120, 5)).toEqual({ row: 0, column: 2 });
    expect(cellAt(geometry, 199, geometry.rowTops[2])).toEqual({ row: 2, column: 3 });
    expect(cellAt(geometry, 10, geometry.rowTops[2] - 1)).toBeNull();
    expect(cellAt(geometry, 200, 5)).toBeNull();
    expect(cellAt(geometry, -1, 5)).toBeNull();
  });
});

describe('moving over the heatmap', () => {
  const move = (key: string, at = { row: 1, column: 2 }) => moveCell(key, at, 30, 13, 7);
  it.each([
    ['ArrowLeft', { row: 1, column: 1 }],
    ['ArrowRight', { row: 1, column: 3 }],
    ['ArrowUp', { row: 0, column: 2 }],
    ['ArrowDown', { row: 2, column: 2 }],
    ['PageDown', { row: 11, column: 2 }],
    ['PageUp', { row: 0, column: 2 }],
    ['Home', { row: 1, column: 0 }],
    ['End', { row: 1, column: 12 }],
    ['b', { row: 1, column: 7 }],
  ])('%s', (key, expected) => expect(move(key)).toEqual(expected));

  it('stops at the edges and leaves other keys alone', () => {
    expect(move('ArrowLeft', { row: 0, column: 0 })).toEqual({ row: 0, column: 0 });
    expect(move('ArrowDown', { row: 29, column: 0 })).toEqual({ row: 29, column: 0 });
    expect(move('Tab')).toBeNull();
    expect(moveCell('b', { row: 0, column: 0 }, 2, 2, null)).toBeNull();
  });
});
