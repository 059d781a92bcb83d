/**
 * Discrete Fourier transform of a complex signal in place, by decimation in time (Cooley & Tukey, 1965).
 *
 * @param real [n] and `imaginary` [n], n a power of two
 */
export function fft(real: Float64Array, imaginary: Float64Array): void {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const angle = (-2 * Math.PI * k) / size;
      const [wr, wi] = [Math.cos(angle), Math.sin(angle)];
      for (let from = k; from < n; from += size) {
        const to = from + half;
        const re = real[to] * wr - imaginary[to] * wi;
        const im = real[to] * wi + imaginary[to] * wr;
        real[to] = real[from] - re;
        imaginary[to] = imaginary[from] - im;
        real[from] += re;
        imaginary[from] += im;
      }
    }
  }
}
