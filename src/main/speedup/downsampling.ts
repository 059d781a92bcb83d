import { decimationFilter } from '#main/audio/resampler.ts';
import { type FrontEnd, frameCount } from '#main/models/frames.ts';
import { filteredLength, type StridedFilter } from '#main/models/stridedFilter.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type Downsampling } from '#shared/speed.ts';

/** Taps of the published learned convolution (161; 81 in SpeechBrain's recipe, which an imported kernel may have). */
const learnedTaps = 161;

/** Kernels and padding of the published average pooling, by factor (METHODS 3.2 d; 10, pad 2, and 12 for 4). */
const averageKernel = (factor: number): number => (factor === 4 ? 12 : Math.max(10, factor));

/**
 * The low-pass filter that stands for a learned convolution where none was imported: a windowed sinc (Hamming) that ends at the
 * new Nyquist frequency, with as many taps as the published layer has.
 */
function lowPass(factor: number): Float32Array {
  const middle = (learnedTaps - 1) / 2;
  const weights = Float64Array.from({ length: learnedTaps }, (_, i) => {
    const x = (Math.PI * (i - middle)) / factor;
    const window = 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (learnedTaps - 1));
    return (x === 0 ? 1 : Math.sin(x) / x) * window;
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return Float32Array.from(weights, (weight) => weight / sum);
}

/**
 * The convolution that a downsampling of the waveform is; null where nothing is filtered (factor 1, or pooling behind the conv
 * encoder). `decimation`: the band-limited resampling of the audio room, ceil(n / f) samples; `average`: mean of a window, zeros
 * beyond the ends counted, floor((n + 2 p - k) / f) + 1; `convolution`: the imported taps, or a low-pass filter, floor((n - k) / f) + 1.
 * @param kernel imported taps of a learned convolution
 */
export function waveformFilter({ kind, factor }: Downsampling, kernel?: Float32Array): StridedFilter | null {
  if (factor === 1 || kind === 'features') return null;
  switch (kind) {
    case 'decimation': {
      const { weights, before } = decimationFilter(factor);
      return { weights: Float32Array.from(weights), stride: factor, before, after: weights.length - 1 - before };
    }
    case 'average': {
      const taps = averageKernel(factor);
      return { weights: new Float32Array(taps).fill(1 / taps), stride: factor, before: 2, after: 2 };
    }
    case 'convolution':
      return { weights: kernel ?? lowPass(factor), stride: factor, before: 0, after: 0 };
  }
}

/** The filter applied to a recording, sums in float64: what the graph's convolution does. */
export function applyFilter(filter: StridedFilter, samples: Float32Array): Float32Array {
  const { weights, stride, before } = filter;
  return Float32Array.from({ length: filteredLength(filter, samples.length) }, (_, k) => {
    const start = k * stride - before;
    let sum = 0;
    for (let j = Math.max(0, -start); j < weights.length && start + j < samples.length; j++)
      sum += weights[j] * samples[start + j];
    return sum;
  });
}

/** Frames that an encoder gives for some samples with a downsampling before or behind its conv encoder. */
export function framesAfter(
  downsampling: Downsampling | null,
  filter: StridedFilter | null,
  frontEnd: FrontEnd,
  samples: number,
): number {
  const frames = frameCount(frontEnd, filter ? filteredLength(filter, samples) : samples);
  return downsampling?.kind === 'features' ? Math.floor(frames / downsampling.factor) : frames;
}

/** The fewest samples that give a frame. */
export function shortestInput(downsampling: Downsampling | null, filter: StridedFilter | null, frontEnd: FrontEnd): number {
  let [low, high] = [1, 1];
  while (framesAfter(downsampling, filter, frontEnd, high) === 0) high *= 2;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (framesAfter(downsampling, filter, frontEnd, middle) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Logits per frame that a head needs so that no transcript is longer than its rows: CTC gives at most one character a row, and one
 * row fewer for each repeated character. The smallest u up to `factor` that is enough for `share` of the transcripts.
 * @param utterances frames of each, and rows that its transcript takes at least (characters plus repeats)
 */
export function neededUpsampling(utterances: readonly { frames: number; rows: number }[], factor: number): number {
  for (let upsampling = 1; upsampling < factor; upsampling++)
    if (utterances.every(({ frames, rows }) => frames * upsampling >= rows)) return upsampling;
  return factor;
}

/** Refuses a kernel that could not be one. */
export function checkKernel(weights: Float32Array, path: string): Float32Array {
  if (weights.length < 2 || weights.length > 4096 || !weights.every(Number.isFinite) || weights.every((weight) => weight === 0)) {
    throw new ForetuneError(
      'invalid-data',
      `${path} holds ${weights.length} weights, which are no kernel of a convolution of the waveform; give 2 to 4096 finite numbers, such as [1, 1, 161].`,
    );
  }
  return weights;
}

const names: Record<Downsampling['kind'], string> = {
  decimation: 'decimation',
  convolution: 'convolution',
  average: 'average',
  features: 'pooled features',
};

/** `decimation by 2`. */
export function describeDownsampling({ kind, factor }: Downsampling): string {
  return `${names[kind]} by ${factor}`;
}
