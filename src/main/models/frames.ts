/** The convolution chain that turns a waveform into frames: one kernel size and stride for each layer, without padding. */
export interface FrontEnd {
  kernels: number[];
  strides: number[];
}

/** Frames that `samples` give: floor((n - k) / s) + 1 layer after layer, 0 if too short. */
export function frameCount({ kernels, strides }: FrontEnd, samples: number): number {
  return kernels.reduce((length, kernel, layer) => Math.max(0, Math.floor((length - kernel) / strides[layer]) + 1), samples);
}

/** Samples that one frame sees, and samples from one frame to the next. */
export function receptiveField({ kernels, strides }: FrontEnd): { length: number; hop: number } {
  let [length, hop] = [1, 1];
  for (const [layer, kernel] of kernels.entries()) {
    length += (kernel - 1) * hop;
    hop *= strides[layer];
  }
  return { length, hop };
}

/**
 * The centre of a frame's receptive field, in seconds. Frame 0 sees the samples from 0 on; sample i lasts from i to i + 1 sampling
 * intervals.
 */
export function frameTime(frontEnd: FrontEnd, frame: number, samplingRate: number): number {
  const { length, hop } = receptiveField(frontEnd);
  return (frame * hop + length / 2) / samplingRate;
}
