import { type ScoreAxis } from './axis.ts';

export interface ScatterPoint {
  id: string;
  /** Shown beside the dot where there is room for all. */
  label: string;
  /** Dots of one group have one colour. */
  group: string;
  x: number;
  y: number;
  /** Ends of the 95 % interval of x; null where it cannot be had. */
  low: number | null;
  high: number | null;
  /** Only for orientation: drawn as a ring. */
  reference?: boolean;
}

/** A score (x) against what was measured (y), a dot per model or layer. What it shows, not how it is drawn. */
export interface ScatterFigure {
  kind: 'scatter';
  title: string;
  subtitle: string;
  x: ScoreAxis;
  y: ScoreAxis;
  points: readonly ScatterPoint[];
  /** Ids of the dots that no other one beats: joined by a line, in the order of x. */
  front?: readonly string[];
  /** Which hue a group has; in the order of their first dots where it is not said. */
  hues?: Readonly<Record<string, number>>;
}

/** The number of each group's hue. */
export function huesOf({ points, hues }: Pick<ScatterFigure, 'points' | 'hues'>): (group: string) => number {
  const groups = [...new Set(points.map(({ group }) => group))];
  return (group) => hues?.[group] ?? groups.indexOf(group);
}

/** The dots of the front, from left to right. */
export function frontPoints({ points, front = [] }: Pick<ScatterFigure, 'points' | 'front'>): ScatterPoint[] {
  const ids = new Set(front);
  return points.filter(({ id }) => ids.has(id)).sort((a, b) => a.x - b.x);
}

/** Limits with every dot and interval inside, and some room around. */
export function scatterExtent(points: readonly ScatterPoint[]): { x: [number, number]; y: [number, number] } {
  const range = (values: readonly number[]): [number, number] => {
    if (values.length === 0) return [0, 1];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.1 || 1;
    return [low - room, high + room];
  };
  return {
    x: range(points.flatMap(({ x, low, high }) => [x, low ?? x, high ?? x])),
    y: range(points.map(({ y }) => y)),
  };
}
