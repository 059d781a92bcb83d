import { betterText, type MeasureAxis, measureText } from './axis.ts';
import { decimalsFor, formatNumber, niceTicks, tickDecimals } from './ticks.ts';

export interface HeatmapRow {
  id: string;
  label: string;
  /** One entry for each of the figure's `detailNames`. */
  details: readonly string[];
  control: boolean;
}

/** The layer heatmap: what it shows, not how it is drawn. The screen and every report draw this same description. */
export interface HeatmapFigure {
  kind: 'heatmap';
  title: string;
  /** What a reader must know beside the title: n, classes, ... */
  subtitle: string;
  score: MeasureAxis;
  /** What a row is; a model where it is not said. */
  rowName?: string;
  /** Name of the column axis, and the label of each column: layers 0 to L. */
  columnName: string;
  columns: readonly number[];
  /** Heads of the small columns beside the label: family, size. */
  detailNames: readonly string[];
  rows: readonly HeatmapRow[];
  /** values[row][column]; null where a model has no such layer. */
  values: readonly (readonly (number | null)[])[];
  /** What the colours span: all values, each row by itself, or the order of all values. */
  domain: HeatmapDomain;
  /** Fixed ends of an absolute domain, for figures that are to be compared; null spans what is there. */
  range: readonly [low: number, high: number] | null;
}

export type HeatmapDomain = 'absolute' | 'per-row' | 'rank';

/** A mark on the colour bar: where (0 .. 1 from left to right) and what it says. */
export interface ColourBarTick {
  position: number;
  label: string;
}

/** How a heatmap is coloured: shade[row][column] in 0 (worst) .. 1 (best), and the bar that explains it. */
export interface HeatmapShading {
  shades: (number | null)[][];
  ticks: ColourBarTick[];
  /** What the bar's ends mean, and which end is better. */
  caption: string;
  /** True when the left end of the bar (the smallest number) is the best shade. */
  reversed: boolean;
}

function present(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}

/** Lowest and highest of all values that are there; [0, 1] where there are none. */
export function valueRange(values: readonly (readonly (number | null)[])[]): [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const row of values) {
    for (const value of row) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Column of the best value of a row, the first of equals; null for an empty row, and where no end is better. */
export function bestColumn(row: readonly (number | null)[], higherIsBetter: boolean | null): number | null {
  if (higherIsBetter === null) return null;
  let best: number | null = null;
  row.forEach((value, column) => {
    if (value === null) return;
    const leader = best === null ? null : row[best];
    if (leader === null || (higherIsBetter ? value > leader : value < leader)) best = column;
  });
  return best;
}

/** Share of `sorted` that lies below `value`, equals counting half: 0 for the lowest, 1 for the highest. */
function standing(sorted: readonly number[], value: number): number {
  const below = sorted.findIndex((other) => other >= value);
  const start = below === -1 ? sorted.length : below;
  const above = sorted.findIndex((other) => other > value);
  const end = above === -1 ? sorted.length : above;
  const place = end > start ? (start + end - 1) / 2 : start - 0.5;
  return sorted.length < 2 ? 1 : Math.min(1, Math.max(0, place / (sorted.length - 1)));
}

/** Colours of the cells. Control rows take part in the absolute range; ranks are those of the models' own cells. */
export function shadeHeatmap({ score, rows, values, domain, range }: HeatmapFigure): HeatmapShading {
  const reversed = score.higherIsBetter === false;
  const direction = (share: number) => (reversed ? 1 - share : share);
  const within = (low: number, high: number) => (value: number | null) =>
    value === null ? null : direction(high > low ? (value - low) / (high - low) : Number(!reversed));
  const better = betterText(score);
  const name = measureText(score);
  switch (domain) {
    case 'absolute': {
      const [low, high] = range ?? valueRange(values);
      const inside = niceTicks(low, high, 5);
      const decimals = inside.length > 1 ? tickDecimals(inside) : decimalsFor(high - low);
      return {
        shades: values.map((row) => row.map(within(low, high))),
        ticks: inside.map((tick) => ({
          position: high > low ? (tick - low) / (high - low) : Number(!reversed),
          label: formatNumber(tick, decimals),
        })),
        caption: `${name}${better}`,
        reversed,
      };
    }
    case 'per-row':
      return {
        shades: values.map((row) => row.map(within(Math.min(...present(row)), Math.max(...present(row))))),
        ticks: [
          { position: 0, label: 'lowest of its row' },
          { position: 1, label: 'highest of its row' },
        ],
        caption: `${name}, each row by itself${better}`,
        reversed,
      };
    case 'rank': {
      const sorted = values.flatMap((row, index) => (rows[index].control ? [] : present(row))).sort((a, b) => a - b);
      return {
        shades: values.map((row) => row.map((value) => (value === null ? null : direction(standing(sorted, value))))),
        ticks: [
          { position: 0, label: 'last' },
          { position: 0.5, label: 'middle' },
          { position: 1, label: 'first' },
        ],
        caption: `rank of ${name} among all ${sorted.length} cells${better}`,
        reversed: false,
      };
    }
  }
}

/** The same heatmap in parts of at most `most` rows, for pages: one range of colours, control rows in the last part. */
export function splitRows(figure: HeatmapFigure, most: number): HeatmapFigure[] {
  if (figure.rows.length <= most || figure.domain === 'rank') return [figure];
  const range = figure.range ?? valueRange(figure.values);
  const count = Math.ceil(figure.rows.length / most);
  const size = Math.ceil(figure.rows.length / count);
  return Array.from({ length: count }, (_, part) => ({
    ...figure,
    range,
    title: `${figure.title} (${part + 1} of ${count})`,
    rows: figure.rows.slice(part * size, (part + 1) * size),
    values: figure.values.slice(part * size, (part + 1) * size),
  }));
}
