/** In-place radix-2 transform of a complex signal whose length is a power of two. */
function transform(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const angle = (-2 * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(angle * k);
      const s = Math.sin(angle * k);
      for (let a = k; a < n; a += size) {
        const b = a + size / 2;
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

export interface Spectrogram {
  frames: number;
  bins: number;
  /** Power in dB below the loudest bin, 0 .. -range; frame after frame, low frequencies first. */
  decibels: Float32Array;
  /** Samples that a frame looks at, and from one frame to the next. */
  window: number;
  hop: number;
}

export const dynamicRange = 80;
const size = 512;
const mostFrames = 2000;

/** Short-time power spectrum: Hann windows of 25 ms, steps of 10 ms or more where the clip is long (or `most` frames few). */
export function spectrogram(samples: Float32Array, rate: number, most = mostFrames): Spectrogram {
  const window = Math.min(size, Math.round(rate * 0.025));
  const hop = Math.max(Math.round(rate * 0.01), Math.ceil(samples.length / most));
  const frames = Math.max(1, Math.floor((samples.length - window) / hop) + 1);
  const bins = size / 2 + 1;
  const hann = Float64Array.from({ length: window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window));
  const decibels = new Float32Array(frames * bins);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  let top = 0;
  for (let frame = 0; frame < frames; frame++) {
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < window; i++) re[i] = (samples[frame * hop + i] ?? 0) * hann[i];
    transform(re, im);
    for (let bin = 0; bin < bins; bin++) {
      const power = re[bin] ** 2 + im[bin] ** 2;
      decibels[frame * bins + bin] = power;
      top = Math.max(top, power);
    }
  }
  for (let i = 0; i < decibels.length; i++) {
    decibels[i] = top > 0 && decibels[i] > 0 ? Math.max(-dynamicRange, 10 * Math.log10(decibels[i] / top)) : -dynamicRange;
  }
  return { frames, bins, decibels, window, hop };
}

/** Lowest and highest sample of each of `columns` even pieces. */
export function envelope(samples: Float32Array, columns: number): { low: Float32Array; high: Float32Array } {
  const low = new Float32Array(columns);
  const high = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * samples.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * samples.length) / columns));
    for (let i = from; i < to && i < samples.length; i++) {
      low[column] = Math.min(low[column], samples[i]);
      high[column] = Math.max(high[column], samples[i]);
    }
  }
  return { low, high };
}
