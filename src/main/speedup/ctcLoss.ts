/** Rows that a transcript takes at least: one for each character, and a blank between equal neighbours. */
export function rowsNeeded(labels: readonly number[]): number {
  return labels.reduce((rows, label, i) => rows + (i > 0 && label === labels[i - 1] ? 2 : 1), 0);
}

/** Below this a character counts as if it had this probability, so that no row loses all of its paths to rounding. */
const least = 1e-60;

/**
 * -ln P(labels | logits) of connectionist temporal classification and its gradient by the logits (Graves et al. 2006, eq. 6 to 16). Paths
 * are summed as probabilities, each row scaled to sum to 1 (Rabiner 1989, section V.A), which takes a tenth of the time of logarithms;
 * only states are kept from which the end can still be reached, or scaling would leave them nothing.
 * @param logProbabilities rows x columns, from logSoftmax
 * @param gradient of the same size, overwritten
 * @returns the loss; Infinity, and a gradient of zeros, where there are too few rows for the labels
 */
export function ctcLoss(
  logProbabilities: Float64Array,
  rows: number,
  columns: number,
  labels: readonly number[],
  blank: number,
  gradient: Float64Array,
): number {
  gradient.fill(0, 0, rows * columns);
  if (rows === 0 || rows < rowsNeeded(labels)) return Infinity;
  const p = gradient;
  for (let i = 0; i < rows * columns; i++) p[i] = Math.exp(logProbabilities[i]);
  // Blanks before, between and after the labels; a blank may be left out between labels that differ.
  const states = 2 * labels.length + 1;
  const symbol = Int32Array.from({ length: states }, (_, state) => (state % 2 === 0 ? blank : labels[state >> 1]));
  const skips = Uint8Array.from({ length: states }, (_, state) =>
    state % 2 === 1 && state > 1 && symbol[state] !== symbol[state - 2] ? 1 : 0,
  );
  const first = (row: number): number => Math.max(0, states - 2 * (rows - row));
  const last = (row: number): number => Math.min(states - 1, 2 * row + 1);

  // Share of the paths so far that are in a state at a row.
  const forward = new Float64Array(rows * states);
  const scale = new Float64Array(rows);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * states;
    const before = at - states;
    let sum = 0;
    for (let state = first(row); state <= last(row); state++) {
      let paths = 1;
      if (row > 0) {
        paths = forward[before + state];
        if (state > 0) paths += forward[before + state - 1];
        if (skips[state]) paths += forward[before + state - 2];
      }
      sum += forward[at + state] = paths * Math.max(p[row * columns + symbol[state]], least);
    }
    for (let state = first(row); state <= last(row); state++) forward[at + state] /= sum;
    scale[row] = sum;
    loss -= Math.log(sum);
  }

  let onward = new Float64Array(states).fill(1);
  let earlier = new Float64Array(states);
  for (let row = rows - 1; row >= 0; row--) {
    const at = row * columns;
    earlier.fill(0);
    for (let state = first(row); state <= last(row); state++) {
      const share = onward[state];
      // To where a path came from: what it goes on with, this row's probability included.
      const weight = (share * Math.max(p[at + symbol[state]], least)) / scale[row];
      earlier[state] += weight;
      if (state > 0) earlier[state - 1] += weight;
      if (skips[state]) earlier[state - 2] += weight;
    }
    for (let state = first(row); state <= last(row); state++)
      gradient[at + symbol[state]] -= forward[row * states + state] * onward[state];
    [onward, earlier] = [earlier, onward];
  }
  return loss;
}
