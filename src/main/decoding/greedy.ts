import { ForetuneError } from '#shared/errors.ts';

/**
 * The best column of every row; of equal ones the first.
 * @param logits rows x columns, row-major
 */
export function bestPath(logits: ArrayLike<number>, rows: number, columns: number): Int32Array {
  const path = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let best = start;
    for (let i = start; i < start + columns; i++) {
      if (Number.isNaN(logits[i]))
        throw new ForetuneError('invalid-data', `The logits of frame ${row} are not numbers; the model overflows on this audio.`);
      if (logits[i] > logits[best]) best = i;
    }
    path[row] = best - start;
  }
  return path;
}

/** What a path spells: repeats collapsed, then blanks dropped (Graves et al. 2006, the map B). */
export function collapsed(path: ArrayLike<number>, blank: number): number[] {
  const columns: number[] = [];
  for (let i = 0; i < path.length; i++) if (path[i] !== blank && (i === 0 || path[i] !== path[i - 1])) columns.push(path[i]);
  return columns;
}

/** Greedy CTC decoding: the columns that the best path spells. */
export function decodeGreedily(logits: ArrayLike<number>, rows: number, columns: number, blank: number): number[] {
  return collapsed(bestPath(logits, rows, columns), blank);
}
