import { type MeasureAxis } from './axis.ts';

export interface LinePoint {
  x: number;
  y: number;
  /** Ends of the 95 % interval; null where it cannot be had. */
  low: number | null;
  high: number | null;
}

export interface LineSeries {
  id: string;
  label: string;
  /** Ordered by x. */
  points: readonly LinePoint[];
  /** Controls are drawn as dashed grey lines of reference. */
  control: boolean;
  /** The one line to look at first. */
  emphasis: boolean;
}

/** A layer curve: score over layers, a line per model. What it shows, not how it is drawn. */
export interface LineChartFigure {
  kind: 'line-chart';
  title: string;
  subtitle: string;
  xName: string;
  /** x is a quantity such as alpha, not the number of a layer. */
  continuous?: boolean;
  score: MeasureAxis;
  series: readonly LineSeries[];
}

export interface Extent {
  x: [low: number, high: number];
  y: [low: number, high: number];
}

/** Data limits with every interval inside; a single layer or value gets room on both sides. */
export function chartExtent(series: readonly LineSeries[]): Extent {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { points } of series) {
    for (const point of points) {
      left = Math.min(left, point.x);
      right = Math.max(right, point.x);
      low = Math.min(low, point.y, point.low ?? Infinity);
      high = Math.max(high, point.y, point.high ?? -Infinity);
    }
  }
  if (left > right) [left, right, low, high] = [0, 1, 0, 1];
  if (left === right) [left, right] = [left - 0.5, right + 0.5];
  const room = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 1;
  return { x: [left, right], y: [low - room, high + room] };
}

/**
 * Moves labels apart: given the wished centre and the height of each, centres in the same order of wishes that do not overlap
 * and stay inside [top, bottom] (which must be high enough for all), moved as little as need be (pool adjacent violators).
 */
export function spreadLabels(wishes: readonly { centre: number; height: number }[], top: number, bottom: number): number[] {
  const order = wishes.map((_, index) => index).sort((a, b) => wishes[a].centre - wishes[b].centre);
  // A pool is a run of labels that touch; `start` is where it would like to begin.
  const pools: { members: number[]; height: number; start: number }[] = [];
  const clamp = (start: number, height: number) => Math.max(top, Math.min(start, bottom - height));
  for (const index of order) {
    const { centre, height } = wishes[index];
    let pool = { members: [index], height, start: clamp(centre - height / 2, height) };
    for (let above = pools.at(-1); above !== undefined && above.start + above.height > pool.start; above = pools.at(-1)) {
      pools.pop();
      const members = [...above.members, ...pool.members];
      let offset = 0;
      let sum = 0;
      for (const member of members) {
        sum += wishes[member].centre - wishes[member].height / 2 - offset;
        offset += wishes[member].height;
      }
      pool = { members, height: offset, start: clamp(sum / members.length, offset) };
    }
    pools.push(pool);
  }
  const centres = new Array<number>(wishes.length);
  for (const { members, start } of pools) {
    let at = start;
    for (const member of members) {
      centres[member] = at + wishes[member].height / 2;
      at += wishes[member].height;
    }
  }
  return centres;
}
