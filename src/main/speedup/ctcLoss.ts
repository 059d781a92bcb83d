import { logAdd, logSoftmax } from '#main/decoding/logProbabilities.ts';

/** Rows that a transcript takes at least: one for each character, and a blank between equal neighbours. */
export function rowsNeeded(labels: readonly number[]): number {
  return labels.reduce((rows, label, i) => rows + (i > 0 && label === labels[i - 1] ? 2 : 1), 0);
}

/**
 * -ln P(labels | logits) of connectionist temporal classification and its gradient by the logits (Graves et al. 2006, eq. 6 to 16), in
 * float64 and in logarithms.
 * @param logits rows x columns, row-major
 * @param gradient of the same size, overwritten
 * @returns the loss; Infinity, and no gradient, where there are too few rows for the labels
 */
export function ctcLoss(
  logits: ArrayLike<number>,
  rows: number,
  columns: number,
  labels: readonly number[],
  blank: number,
  gradient: Float64Array,
): number {
  if (rows < rowsNeeded(labels) || rows === 0) return Infinity;
  const logp = logSoftmax(logits, rows, columns);
  // Blanks before, between and after the labels.
  const states = 2 * labels.length + 1;
  const symbol = (state: number): number => (state % 2 === 0 ? blank : labels[state >> 1]);
  const skips = (state: number): boolean => state % 2 === 1 && state >= 3 && labels[state >> 1] !== labels[(state >> 1) - 1];

  // Forward: ln of all paths that are in a state at a row, that row's probability included.
  const forward = new Float64Array(rows * states).fill(-Infinity);
  for (let row = 0; row < rows; row++) {
    const at = row * states;
    for (let state = 0; state < Math.min(states, 2 * row + 2); state++) {
      let sum = row === 0 ? 0 : forward[at - states + state];
      if (row > 0 && state > 0) sum = logAdd(sum, forward[at - states + state - 1]);
      if (row > 0 && skips(state)) sum = logAdd(sum, forward[at - states + state - 2]);
      forward[at + state] = sum + logp[row * columns + symbol(state)];
    }
  }
  const last = (rows - 1) * states;
  const logTotal = states === 1 ? forward[last] : logAdd(forward[last + states - 1], forward[last + states - 2]);

  // Backward: ln of all ways on from a state, that row's probability not included.
  let next = new Float64Array(states).fill(-Infinity);
  next[states - 1] = 0;
  if (states > 1) next[states - 2] = 0;
  for (let row = rows - 1; row >= 0; row--) {
    const at = row * columns;
    for (let column = 0; column < columns; column++) gradient[at + column] = Math.exp(logp[at + column]);
    for (let state = 0; state < states; state++) {
      const share = forward[row * states + state] + next[state] - logTotal;
      if (share > -Infinity) gradient[at + symbol(state)] -= Math.exp(share);
    }
    if (row === 0) break;
    const before = new Float64Array(states);
    for (let state = 0; state < states; state++) {
      let sum = next[state] + logp[at + symbol(state)];
      if (state + 1 < states) sum = logAdd(sum, next[state + 1] + logp[at + symbol(state + 1)]);
      if (state + 2 < states && skips(state + 2)) sum = logAdd(sum, next[state + 2] + logp[at + symbol(state + 2)]);
      before[state] = sum;
    }
    next = before;
  }
  return -logTotal;
}
