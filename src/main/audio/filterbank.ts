import { fft } from '#main/linalg/fft.ts';

/** Log energies of mel bands, the classic description of a speech frame. */
export interface Filterbank {
  /** [frames, bands] row-major, natural logarithms. */
  values: Float32Array;
  frames: number;
  bands: number;
  /** Centre of frame 0, and from one centre to the next, in seconds. */
  first: number;
  hop: number;
}

const windowSeconds = 0.025;
const hopSeconds = 0.01;
/** Energy below which all is silence. */
const floor = 1e-10;

/** Mel scale of HTK: 2595 log10(1 + f/700). */
function mel(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** [bands, bins] triangular weights, evenly spaced in mel from 20 Hz to half the rate. */
function triangles(bands: number, size: number, rate: number): Float64Array {
  const bins = size / 2 + 1;
  const [low, high] = [mel(20), mel(rate / 2)];
  const edge = (i: number) => low + ((high - low) * i) / (bands + 1);
  const weights = new Float64Array(bands * bins);
  for (let b = 0; b < bands; b++) {
    for (let k = 0; k < bins; k++) {
      const at = mel((k * rate) / size);
      const up = (at - edge(b)) / (edge(b + 1) - edge(b));
      const down = (edge(b + 2) - at) / (edge(b + 2) - edge(b + 1));
      weights[b * bins + k] = Math.max(0, Math.min(up, down));
    }
  }
  return weights;
}

/** Log-mel filterbank of a waveform: Hann windows of 25 ms every 10 ms, power spectra. No frame beyond the end. */
export function logMelFilterbank(samples: Float32Array, rate: number, bands: number): Filterbank {
  const length = Math.round(windowSeconds * rate);
  const step = Math.round(hopSeconds * rate);
  const size = 2 ** Math.ceil(Math.log2(length));
  const bins = size / 2 + 1;
  const frames = Math.max(0, Math.floor((samples.length - length) / step) + 1);
  const hann = Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
  const weights = triangles(bands, size, rate);
  const values = new Float32Array(frames * bands);
  const [real, imaginary] = [new Float64Array(size), new Float64Array(size)];
  for (let t = 0; t < frames; t++) {
    real.fill(0);
    imaginary.fill(0);
    for (let i = 0; i < length; i++) real[i] = samples[t * step + i] * hann[i];
    fft(real, imaginary);
    for (let b = 0; b < bands; b++) {
      let energy = 0;
      for (let k = 0; k < bins; k++) energy += weights[b * bins + k] * (real[k] ** 2 + imaginary[k] ** 2);
      values[t * bands + b] = Math.log(Math.max(energy, floor));
    }
  }
  return { values, frames, bands, first: length / 2 / rate, hop: step / rate };
}

/**
 * Filterbank frames averaged to the frames of an encoder: those whose centre lies within half a hop of the encoder's frame, or the nearest.
 *
 * @param timeOf centre of an encoder's frame, in seconds
 * @returns [frames, bands]
 */
export function poolToFrames(
  { values, frames: available, bands, first, hop }: Filterbank,
  frames: number,
  timeOf: (frame: number) => number,
): Float32Array {
  const reach = frames > 1 ? (timeOf(1) - timeOf(0)) / 2 : hop;
  const pooled = new Float32Array(frames * bands);
  for (let frame = 0; frame < frames; frame++) {
    const centre = (timeOf(frame) - first) / hop;
    const inside = (at: number) => Math.min(available - 1, Math.max(0, at));
    const from = inside(Math.ceil(centre - reach / hop - 1e-6));
    const to = Math.max(from, inside(Math.floor(centre + reach / hop + 1e-6)));
    for (let t = from; t <= to; t++)
      for (let b = 0; b < bands; b++) pooled[frame * bands + b] += values[t * bands + b] / (to - from + 1);
  }
  return pooled;
}
