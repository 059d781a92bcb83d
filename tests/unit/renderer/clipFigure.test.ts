import { expect, it } from 'vitest';

import { figureSchema } from '#shared/figures/schema.ts';

import { type Clip } from '../../../src/renderer/api/engine.ts';
import { clipFigure } from '../../../src/renderer/figures/clipFigure.ts';

const rate = 16_000;
const clip: Clip = {
  index: 0,
  row: 1,
  manifest: 'data.csv',
  start: null,
  end: null,
  id: 'tone.wav',
  file: 'tone.wav',
  values: { speaker: 'A', empty: '', text: 'a tone' },
  seconds: 30,
  rate,
  resampling: 'none',
  downmix: 'none',
  alignment: null,
  // A tone of 2 kHz in the second half.
  samples: Float32Array.from({ length: 30 * rate }, (_, i) => (i < 15 * rate ? 0 : 0.5 * Math.sin((2 * Math.PI * i) / 8))),
};

it('a clip is a figure with the labels it has, bounded however long it is', () => {
  const figure = clipFigure(clip, ['speaker', 'empty'], 0, 30);
  expect(figureSchema.safeParse(figure).error).toBeUndefined();
  expect(figure.labels).toEqual([{ name: 'speaker', value: 'A' }]);
  const { frames, bins, from, to, hertz } = figure.spectrum;
  expect(frames).toBeLessThanOrEqual(1000);
  expect([bins, hertz]).toEqual([257, 8000]);
  expect(from).toBeCloseTo(0, 1);
  expect(to).toBeCloseTo(30, 1);
  expect(figure.wave.high).toHaveLength(1040);
  expect(figure.wave.high[200]).toBe(0);
  expect(figure.wave.high[800]).toBeCloseTo(0.5, 5);
});

it('a stretch of a clip is seen from its beginning, each frame in the middle of what it hears', () => {
  const { from, to, wave, spectrum } = clipFigure(clip, [], 14.5, 15.5);
  expect([from, to]).toEqual([14.5, 15.5]);
  expect(spectrum.from).toBeCloseTo(14.5 + (0.025 - 0.01) / 2, 6);
  expect(wave.high.findIndex((value) => value > 0) / wave.high.length).toBeCloseTo(0.5, 2);
  // The loudest level lies at the bin of the tone, as soon as a window is within it.
  const frame = Math.round((15.2 - spectrum.from) / ((spectrum.to - spectrum.from) / spectrum.frames));
  const levels = spectrum.levels.subarray(frame * spectrum.bins, (frame + 1) * spectrum.bins);
  expect(levels.indexOf(Math.max(...levels))).toBe(64);
});
