import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bytes, count, countShort, duration, folderOf, roughly, titlesOf } from '../../../src/renderer/composables/format.ts';
import { layersText, parseLayers } from '../../../src/renderer/composables/layers.ts';
import { binsFigure, histogram } from '../../../src/renderer/figures/histogram.ts';
import { dynamicRange, envelope, spectrogram } from '../../../src/renderer/figures/spectrogram.ts';

describe('layers as they are typed', () => {
  it.each([
    ['', 'all'],
    ['all', 'all'],
    ['0, 4,12', [0, 4, 12]],
    ['9-12 0', [0, 9, 10, 11, 12]],
    ['3,3', [3]],
  ])('"%s"', (text, expected) => expect(parseLayers(text)).toEqual(expected));

  it('says what is wrong with what is no layer', () => {
    expect(parseLayers('1, two')).toEqual({ problem: '"two" is no layer; write numbers and ranges such as 0, 4, 9-12.' });
    expect(parseLayers('6-2')).toEqual({ problem: 'The range 6-2 runs backwards; write 2-6.' });
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1 }), (layers) => {
        const sorted = layers.toSorted((a, b) => a - b);
        expect(parseLayers(layersText(sorted))).toEqual(sorted);
      }),
    );
  });
});

describe('numbers for people', () => {
  it('are short, with units', () => {
    expect([countShort(818_000), countShort(94_370_000), countShort(316e6), countShort(7)]).toEqual([
      '818 k',
      '94.4 M',
      '316 M',
      '7',
    ]);
    expect(count(1_234_567)).toBe('1\u2009234\u2009567');
    expect([bytes(512), bytes(1_650_000), bytes(3 * 2 ** 30)]).toEqual(['512 B', '1.6 MiB', '3.00 GiB']);
    expect([duration(0.42), duration(59.6), duration(200), duration(4000)]).toEqual([
      '0.4 s',
      '1 min 0 s',
      '3 min 20 s',
      '1 h 7 min',
    ]);
    expect([roughly(3), roughly(41), roughly(600), roughly(9000)]).toEqual([
      'a few seconds',
      'about 50 s',
      'about 10 min',
      'about 2.5 h',
    ]);
  });

  it('find the folder of a path on any system', () => {
    expect([folderOf('/data/a.foretune'), folderOf('/a'), folderOf('C:\\data\\a.csv')]).toEqual(['/data', '/', 'C:\\data']);
  });
});

describe('histogram', () => {
  it('counts every value once, in even bins with round edges', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -50, max: 200, noNaN: true }), { minLength: 1, maxLength: 200 }), (values) => {
        const bins = histogram(values);
        expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(values.length);
        expect(bins.length).toBeLessThan(60);
      }),
      { examples: [[[-5e-324, 5e-324, 0]]] },
    );
  });

  it('has one bin for values that are all the same, and none for none', () => {
    expect(histogram([2, 2, 2])).toEqual([{ from: 2, to: 2, count: 3 }]);
    const { rows } = binsFigure('Durations', 's', [0.5, 0.5, 1.25]);
    expect(rows[0]).toMatchObject({ value: 2, label: expect.stringMatching(/^0\.50 to 0\.\d+ s$/) });
    expect(rows.reduce((sum, { value }) => sum + value, 0)).toBe(3);
    expect(histogram([])).toEqual([]);
  });
});

describe('spectrogram', () => {
  const rate = 16_000;
  const tone = (hertz: number): Float32Array =>
    Float32Array.from({ length: rate / 2 }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));

  it.each([500, 1000, 3000, 7000])('has the power of a tone of %i Hz where it belongs', (hertz) => {
    const { frames, bins, decibels } = spectrogram(tone(hertz), rate);
    for (const frame of [0, Math.floor(frames / 2), frames - 1]) {
      const column = decibels.subarray(frame * bins, (frame + 1) * bins);
      expect(column.indexOf(Math.max(...column))).toBe(Math.round((hertz / rate) * 512));
    }
    expect(Math.max(...decibels)).toBeCloseTo(0, 5);
  });

  it('is bounded: silence is the bottom of the range, and an hour has no more columns than a screen', () => {
    expect([...spectrogram(new Float32Array(1600), rate).decibels].every((value) => value === -dynamicRange)).toBe(true);
    expect(spectrogram(new Float32Array(0), rate).frames).toBe(1);
    expect(spectrogram(new Float32Array(rate * 60), rate).frames).toBeLessThanOrEqual(2000);
  });
});

it('an envelope holds the extremes of every piece', () => {
  const { low, high } = envelope(Float32Array.from([0, 0.5, -0.25, 0, -1, 0.75]), 3);
  expect([...low]).toEqual([0, -0.25, -1]);
  expect([...high]).toEqual([0.5, 0, 0.75]);
});

describe('models of the same name', () => {
  it('are told apart by the nearest folder that does', () => {
    const titles = (...paths: string[]) => titlesOf(paths.map((path) => ({ path, name: path.split('/').at(-1)! })));
    expect(titles('/a/hubert', '/b/wavlm')).toEqual(['hubert', 'wavlm']);
    expect(titles('/a/hubert', '/b/hubert', '/b/wavlm')).toEqual(['hubert (a)', 'hubert (b)', 'wavlm']);
    expect(titles('/x/a/hubert', '/y/a/hubert')).toEqual(['hubert (/x/a)', 'hubert (/y/a)']);
  });
});
