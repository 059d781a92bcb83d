import { ForetuneError } from '#shared/errors.ts';

/** The frames of one token: [first, end). */
export interface TokenSpan {
  first: number;
  end: number;
  /** Mean probability of the token over its frames. */
  probability: number;
}

export interface ForcedAlignment {
  /** One for each token, in order. */
  spans: TokenSpan[];
  /** Log probability of the best path. */
  logProbability: number;
}

/** Cells of the largest trellis, a byte each. */
const maxCells = 2 ** 29;

/**
 * The most probable path through CTC's trellis that spells the tokens (Graves et al., ICML 2006, with max for sum; Kürzinger et al.,
 * SPECOM 2020): states are blank, y_1, blank, y_2, ..., blank, and
 *
 *   v(t, s) = log p_t(l_s) + max( v(t-1, s), v(t-1, s-1), v(t-1, s-2) if l_s is neither blank nor l_(s-2) )
 *
 * followed back from the better of the last two states. Of equal paths the one that stays longest wins.
 *
 * @param logProbabilities [frames, columns] row-major, log-softmax of the logits
 * @param tokens column of each token of the transcript, none of them the blank
 * @throws ForetuneError `invalid-data` where there is no token, or fewer frames than tokens (with a blank between equal neighbours);
 *   `unsupported` for a trellis that does not fit into memory
 */
export function forcedAlignment(
  logProbabilities: Float64Array,
  frames: number,
  columns: number,
  tokens: ArrayLike<number>,
  blank: number,
): ForcedAlignment {
  if (logProbabilities.length !== frames * columns)
    throw new ForetuneError(
      'mismatch',
      `${frames} frames of ${columns} columns need ${frames * columns} numbers, not ${logProbabilities.length}.`,
    );
  const count = tokens.length;
  if (count === 0) throw new ForetuneError('invalid-data', 'the transcript is empty, so there is nothing to align.');
  let needed = count;
  for (let i = 0; i < count; i++) {
    const token = tokens[i];
    if (!Number.isInteger(token) || token < 0 || token >= columns || token === blank)
      throw new ForetuneError('internal', `Token ${i} is column ${token}, which is none that can be aligned of ${columns}.`);
    if (i > 0 && token === tokens[i - 1]) needed++;
  }
  if (frames < needed)
    throw new ForetuneError(
      'invalid-data',
      `the transcript needs at least ${needed} frames (${count} tokens and a blank between equal ones), but the audio gives ${frames}.`,
    );
  const states = 2 * count + 1;
  if (frames * states > maxCells) {
    throw new ForetuneError(
      'unsupported',
      `${frames} frames and ${count} tokens are more than can be aligned at once; cut the recording into utterances.`,
    );
  }

  const column = (state: number): number => (state % 2 === 0 ? blank : tokens[(state - 1) / 2]);
  const maySkip = Uint8Array.from({ length: states }, (_, s) => Number(s % 2 === 1 && s >= 3 && column(s) !== column(s - 2)));
  const steps = new Uint8Array(frames * states);
  let before = new Float64Array(states).fill(-Infinity);
  let now = new Float64Array(states);
  before[0] = logProbabilities[blank];
  before[1] = logProbabilities[column(1)];
  for (let t = 1; t < frames; t++) {
    now.fill(-Infinity);
    // States that can be reached from the beginning and from which the end can be reached.
    const low = Math.max(0, states - 2 * (frames - t));
    const high = Math.min(states - 1, 2 * t + 1);
    for (let s = low; s <= high; s++) {
      let best = before[s];
      let step = 0;
      if (s >= 1 && before[s - 1] > best) {
        best = before[s - 1];
        step = 1;
      }
      if (maySkip[s] && before[s - 2] > best) {
        best = before[s - 2];
        step = 2;
      }
      now[s] = best + logProbabilities[t * columns + column(s)];
      steps[t * states + s] = step;
    }
    [before, now] = [now, before];
  }

  let state = before[states - 2] >= before[states - 1] ? states - 2 : states - 1;
  const logProbability = before[state];
  if (!(logProbability > -Infinity))
    throw new ForetuneError(
      'invalid-data',
      'no path through the frames has a probability above zero; the transcript is not that of this audio.',
    );
  const spans: TokenSpan[] = Array.from({ length: count }, () => ({ first: frames, end: 0, probability: 0 }));
  for (let t = frames - 1; t >= 0; t--) {
    if (state % 2 === 1) {
      const span = spans[(state - 1) / 2];
      span.first = t;
      span.end = Math.max(span.end, t + 1);
      span.probability += Math.exp(logProbabilities[t * columns + column(state)]);
    }
    state -= steps[t * states + state];
  }
  for (const span of spans) span.probability /= span.end - span.first;
  return { spans, logProbability };
}
