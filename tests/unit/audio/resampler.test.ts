import { describe, expect, it } from 'vitest';

import { describeResampling, resample, resampledLength, Resampler } from '../../../src/main/audio/resampler.ts';

/** One second of a sine of amplitude 1. */
function tone(frequency: number, rate: number): Float32Array {
  return Float32Array.from({ length: rate }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / rate));
}

const decibels = (power: number) => 10 * Math.log10(power);

/** Least-squares fit of one frequency, away from the ends: gain of the tone, its phase, and how far the rest lies below it, in dB and radians. */
function measure(
  samples: Float32Array,
  frequency: number,
  rate: number,
): { gain: number; phase: number; snr: number; level: number } {
  const lo = 1000;
  const hi = samples.length - 1000;
  let [ss, sc, cc, sx, cx, xx] = [0, 0, 0, 0, 0, 0];
  for (let i = lo; i < hi; i++) {
    const s = Math.sin((2 * Math.PI * frequency * i) / rate);
    const c = Math.cos((2 * Math.PI * frequency * i) / rate);
    ss += s * s;
    sc += s * c;
    cc += c * c;
    sx += s * samples[i];
    cx += c * samples[i];
    xx += samples[i] * samples[i];
  }
  const determinant = ss * cc - sc * sc;
  const a = (sx * cc - cx * sc) / determinant;
  const b = (cx * ss - sx * sc) / determinant;
  let rest = 0;
  for (let i = lo; i < hi; i++) {
    const fitted = a * Math.sin((2 * Math.PI * frequency * i) / rate) + b * Math.cos((2 * Math.PI * frequency * i) / rate);
    rest += (samples[i] - fitted) ** 2;
  }
  const power = (a * a + b * b) / 2;
  return {
    gain: decibels(2 * power),
    phase: Math.atan2(b, a),
    snr: decibels((power * (hi - lo)) / rest),
    level: decibels((2 * xx) / (hi - lo)),
  };
}

describe('Resampler', () => {
  it('keeps a 1 kHz tone clean: 44.1 to 16 kHz leaves everything else 120 dB below it', () => {
    const { snr, gain, phase } = measure(resample(tone(1000, 44_100), 44_100, 16_000), 1000, 16_000);
    expect(snr).toBeGreaterThan(120);
    expect(Math.abs(gain)).toBeLessThan(1e-4);
    // Sample 0 stays at time 0: 1e-6 rad of 1 kHz is 0.2 ns.
    expect(Math.abs(phase)).toBeLessThan(1e-6);
  });

  it.each([22_050, 32_000, 44_100, 48_000, 96_000])('removes what would alias by more than 90 dB: %i Hz to 16 kHz', (rate) => {
    for (const frequency of [8_001, 8_100, 8_250, 8_500, 9_000, 10_000, 12_345, 15_000, 20_000].filter((f) => f < rate / 2)) {
      expect(measure(resample(tone(frequency, rate), rate, 16_000), 100, 16_000).level, `${frequency} Hz`).toBeLessThan(-90);
    }
  });

  it.each([22_050, 32_000, 44_100, 48_000])('is flat within 0.05 dB to 7 kHz: %i Hz to 16 kHz', (rate) => {
    for (const frequency of [50, 440, 3000, 5000, 6500, 7000]) {
      expect(
        Math.abs(measure(resample(tone(frequency, rate), rate, 16_000), frequency, 16_000).gain),
        `${frequency} Hz`,
      ).toBeLessThan(0.05);
    }
  });

  it.each([8_000, 11_025])('rejects images by more than 90 dB and is flat to 7/8 of the band: %i Hz to 16 kHz', (rate) => {
    for (const frequency of [100, 1000, 2500, 3500].map((f) => (f * rate) / 8000)) {
      const { gain, snr } = measure(resample(tone(frequency, rate), rate, 16_000), frequency, 16_000);
      expect(Math.abs(gain), `${frequency} Hz`).toBeLessThan(0.05);
      expect(snr, `${frequency} Hz`).toBeGreaterThan(90);
    }
  });

  it('passes equal rates through to the bit', () => {
    const samples = tone(1234, 16_000);
    expect(resample(samples, 16_000, 16_000)).toEqual(samples);
    expect(describeResampling(16_000, 16_000)).toBe('none');
    expect(describeResampling(44_100, 16_000)).toBe('kaiser-polyphase 44100->16000, 48 zeros, beta 10, cutoff 0.934');
  });

  it('gives the same samples however the input is cut', () => {
    const samples = Float32Array.from({ length: 5_011 }, (_, i) => Math.sin(i * i * 1e-5));
    for (const [source, target] of [
      [44_100, 16_000],
      [8_000, 16_000],
      [12_345, 16_000],
      [48_000, 16_000],
    ]) {
      const whole = resample(samples, source, target);
      for (const size of [1, 7, 441, 4096]) {
        const resampler = new Resampler(source, target);
        const parts: number[] = [];
        for (let at = 0; at < samples.length; at += size) parts.push(...resampler.push(samples.subarray(at, at + size)));
        parts.push(...resampler.flush());
        expect(Float32Array.from(parts), `${source} in blocks of ${size}`).toEqual(whole);
      }
    }
  });

  it('gives round(n target / source) samples, also for a few', () => {
    for (const source of [8_000, 11_025, 12_345, 16_000, 22_050, 44_100, 48_000]) {
      for (const n of [0, 1, 2, 3, 100, 441, 1601]) {
        const length = resample(new Float32Array(n), source, 16_000).length;
        expect(length, `${n} at ${source} Hz`).toBe(Math.round((n * 16_000) / source));
        expect(length).toBe(resampledLength(n, source, 16_000));
      }
    }
  });

  it('keeps a constant constant', () => {
    const middle = resample(new Float32Array(9000).fill(0.5), 44_100, 16_000).subarray(500, 2700);
    expect(Math.max(...middle.map((x) => Math.abs(x - 0.5)))).toBeLessThan(1e-7);
  });
});
