import { layerNormRows } from '#main/probing/standardise.ts';
import { type AlignedLabels } from '#main/tasks/labels.ts';
import { classesAt } from '#main/tasks/targets.ts';

import { type HiddenStates } from './encoder.ts';

/** Which rows of an utterance's hidden states a probe wants. */
export interface ProbeRowsRequest {
  /** Layer norm of every frame first. */
  layerNorm: boolean;
  /** The mean over all frames. */
  mean: boolean;
  /** At most as many frames, evenly spread; 0 for none, `all` for every one. */
  frames: number | 'all';
  /** Tell the classes of the frames by these; null for none. */
  aligned: AlignedLabels[] | null;
  /** Take frames only that lie in an interval of one of them. */
  onlyAligned: boolean;
}

export interface ProbeRowsReply {
  /** Frames of the utterance. */
  total: number;
  width: number;
  /** [width] of each layer */
  means: Float32Array[] | null;
  /** Which frames were taken, ascending. */
  picked: Int32Array;
  /** [picked, width] of each layer */
  rows: Float32Array[];
  /** For each of `aligned`, the class of every picked frame; -1 in no interval. */
  classes: Int32Array[];
  /** Places of the layers that hold a value which is not finite. */
  flawed: number[];
}

/** Indices of `count` of 0 .. n-1, each in the middle of an even stretch; all of them if there are no more. */
export function evenlySpread(n: number, count: number): Int32Array {
  if (count >= n) return Int32Array.from({ length: n }, (_, i) => i);
  return Int32Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * n) / count));
}

function isFinite(values: Float32Array): boolean {
  let sum = 0;
  for (let e = 0; e < values.length; e++) sum += values[e] * 0;
  return sum === 0;
}

/** Mean over frames in float64, rounded once. */
function meanOf(values: Float32Array, frames: number, width: number): Float32Array {
  const sums = new Float64Array(width);
  for (let t = 0, e = 0; t < frames; t++) for (let j = 0; j < width; j++) sums[j] += values[e++];
  return Float32Array.from(sums, (sum) => sum / frames);
}

/**
 * Takes what a probe wants from the hidden states of a whole utterance, which may be overwritten.
 *
 * @param times [frames] centres of the frames in seconds, where `aligned` asks for them
 */
export function probeRows(states: HiddenStates, request: ProbeRowsRequest, times: Float64Array | undefined): ProbeRowsReply {
  const { frames, width, layers } = states;
  const flawed = layers.flatMap((values, l) => (isFinite(values) ? [] : [l]));
  if (request.layerNorm) for (const values of layers) layerNormRows(values, frames, width);
  const all = request.aligned?.map((labels) => classesAt(labels, times!)) ?? [];
  const candidates = evenlySpread(frames, frames).filter((t) => !request.onlyAligned || all.some((classes) => classes[t] >= 0));
  const taken = request.frames === 'all' ? candidates.length : Math.min(request.frames, candidates.length);
  const picked = evenlySpread(candidates.length, taken).map((i) => candidates[i]);
  return {
    total: frames,
    width,
    means: request.mean && frames > 0 ? layers.map((values) => meanOf(values, frames, width)) : null,
    picked,
    rows: layers.map((values) => {
      if (picked.length === frames) return values;
      const rows = new Float32Array(picked.length * width);
      for (const [at, t] of picked.entries()) rows.set(values.subarray(t * width, (t + 1) * width), at * width);
      return rows;
    }),
    classes: all.map((classes) => picked.map((t) => classes[t])),
    flawed,
  };
}
