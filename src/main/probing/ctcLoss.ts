/** ln(e^a + e^b + e^c). */
function logAddThree(a: number, b: number, c: number): number {
  const most = Math.max(a, b, c);
  return most === -Infinity ? -Infinity : most + Math.log(Math.exp(a - most) + Math.exp(b - most) + Math.exp(c - most));
}

/** Frames that a transcript needs at least: one for each token, and a blank between equal neighbours. */
export function fewestFrames(tokens: ArrayLike<number>): number {
  let count = tokens.length;
  for (let u = 1; u < tokens.length; u++) if (tokens[u] === tokens[u - 1]) count++;
  return count;
}

/**
 * Connectionist temporal classification: -ln p(tokens | frames), summed over all alignments (Graves et al. 2006, eqs. 6 to 11), in log
 * space and float64.
 *
 * @param logProbabilities [frames, columns] log-softmax of the logits
 * @param tokens without blanks; may be empty
 * @param gradient [frames, columns] receives the derivative with respect to the logits (Graves et al., eq. 16); zero if there is no alignment
 * @returns Infinity for more tokens than the frames can hold
 */
export function ctcLoss(
  logProbabilities: Float64Array,
  frames: number,
  columns: number,
  tokens: ArrayLike<number>,
  blank: number,
  gradient?: Float64Array,
): number {
  gradient?.fill(0, 0, frames * columns);
  if (frames < fewestFrames(tokens) || frames === 0) return frames === 0 && tokens.length === 0 ? 0 : Infinity;
  const states = 2 * tokens.length + 1;
  const column = Int32Array.from({ length: states }, (_, s) => (s % 2 === 0 ? blank : tokens[(s - 1) / 2]));
  // A blank may be left out between tokens that differ.
  const skips = Uint8Array.from({ length: states }, (_, s) => (s % 2 === 1 && s > 1 && column[s] !== column[s - 2] ? 1 : 0));
  /** First state from which the end can still be reached. */
  const first = (t: number): number => Math.max(0, states - 2 * (frames - t));
  const last = (t: number): number => Math.min(states - 1, 2 * t + 1);

  const alpha = new Float64Array(frames * states).fill(-Infinity);
  for (let s = first(0); s <= last(0); s++) alpha[s] = logProbabilities[column[s]];
  for (let t = 1; t < frames; t++) {
    const row = t * states;
    const before = row - states;
    for (let s = first(t); s <= last(t); s++) {
      const paths = logAddThree(
        alpha[before + s],
        s > 0 ? alpha[before + s - 1] : -Infinity,
        skips[s] ? alpha[before + s - 2] : -Infinity,
      );
      alpha[row + s] = paths + logProbabilities[t * columns + column[s]];
    }
  }
  const end = frames * states - 1;
  const likelihood = logAddThree(alpha[end], states > 1 ? alpha[end - 1] : -Infinity, -Infinity);
  if (!gradient || likelihood === -Infinity) return -likelihood;

  // beta: what follows the frame, without its own emission
  let beta = new Float64Array(states).fill(-Infinity);
  let next = new Float64Array(states);
  beta[states - 1] = 0;
  if (states > 1) beta[states - 2] = 0;
  for (let t = frames - 1; t >= 0; t--) {
    const row = t * columns;
    for (let c = 0; c < columns; c++) gradient[row + c] = Math.exp(logProbabilities[row + c]);
    for (let s = first(t); s <= last(t); s++) {
      const posterior = Math.exp(alpha[t * states + s] + beta[s] - likelihood);
      gradient[row + column[s]] -= posterior;
    }
    if (t === 0) break;
    next.fill(-Infinity);
    for (let s = first(t - 1); s <= last(t - 1); s++) {
      const emitted = (to: number): number => beta[to] + logProbabilities[row + column[to]];
      next[s] = logAddThree(
        emitted(s),
        s + 1 < states ? emitted(s + 1) : -Infinity,
        s + 2 < states && skips[s + 2] ? emitted(s + 2) : -Infinity,
      );
    }
    [beta, next] = [next, beta];
  }
  return -likelihood;
}
