/**
 * A convolution of the waveform that leaves every `stride`-th sample: output k is the sum of weights[j] times sample
 * k stride + j - before. Outside of the recording, `before` and `after` samples long, is silence.
 */
export interface StridedFilter {
  weights: Float32Array;
  stride: number;
  before: number;
  after: number;
}

/** Samples that are left of `samples`: floor((n + before + after - k) / stride) + 1, 0 if there are too few. */
export function filteredLength({ weights, stride, before, after }: StridedFilter, samples: number): number {
  return Math.max(0, Math.floor((samples + before + after - weights.length) / stride) + 1);
}
