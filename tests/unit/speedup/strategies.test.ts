import { describe, expect, it } from 'vitest';

import { resample } from '#main/audio/resampler.ts';
import { filteredLength } from '#main/models/stridedFilter.ts';
import { applyFilter, checkKernel, framesAfter, shortestInput, waveformFilter } from '#main/speedup/downsampling.ts';
import { defaultKept, describeBlocks, dropBlocks, keepFirst } from '#main/speedup/layerRemoval.ts';
import { endsAsTrained, headAt, planStages, planTracks } from '#main/speedup/plan.ts';
import { publishedSpeed } from '#main/speedup/published.ts';
import { renamedTensor } from '#main/weights/removeBlocks.ts';
import { speedSettingsSchema } from '#shared/speed.ts';

const frontEnd = { kernels: [10, 3, 3, 3, 3, 2, 2], strides: [5, 2, 2, 2, 2, 2, 2] };
const waveform = Float32Array.from({ length: 4801 }, (_, i) => Math.sin(0.05 * i) + 0.3 * Math.sin(0.9 * i + 1));

describe('layer removal', () => {
  it('keeps first blocks or drops a set, and says which', () => {
    expect(keepFirst(6, 4)).toEqual([1, 2, 3, 4]);
    expect(dropBlocks(6, [5, 2])).toEqual([1, 3, 4, 6]);
    expect(describeBlocks(6, [1, 2, 3, 4])).toBe('first 4 of 6');
    expect(describeBlocks(6, [1, 3, 4, 6])).toBe('without blocks 2, 5');
    expect(() => dropBlocks(6, [7])).toThrow('no block 7 to drop; the encoder has blocks 1 to 6');
    expect(() => dropBlocks(2, [1, 2])).toThrow('keep at least one');
  });

  it('tries the published depths', () => {
    expect(defaultKept(24)).toEqual([22, 20, 18, 16, 14, 12]);
    expect(defaultKept(6)).toEqual([5, 4, 3]);
  });

  it('numbers the tensors of kept blocks anew, and keeps the table that all blocks of WavLM use', () => {
    const name = (block: number) => `hubert.encoder.layers.${block}.attention.q_proj.weight`;
    expect(renamedTensor(name(2), 'hubert.', [1, 3])).toBe(name(1));
    expect(renamedTensor(name(1), 'hubert.', [1, 3])).toBeNull();
    expect(renamedTensor('lm_head.weight', 'hubert.', [1])).toBe('lm_head.weight');
    const table = 'wavlm.encoder.layers.0.attention.rel_attn_embed.weight';
    expect(renamedTensor(table, 'wavlm.', [2, 3])).toBe(table);
  });
});

describe('downsampling', () => {
  it.each([2, 3, 4])('decimates as the resampler does, by %i', (factor) => {
    const filter = waveformFilter({ kind: 'decimation', factor })!;
    const expected = resample(waveform, factor, 1);
    const found = applyFilter(filter, waveform);
    expect(found).toHaveLength(Math.ceil(waveform.length / factor));
    // Both sum in float64 and round once, but weights are float32 here.
    expected.forEach((value, i) => expect(Math.abs(found[i] - value)).toBeLessThan(1e-6));
  });

  it('averages a window with zeros beyond the ends, as torch does', () => {
    const filter = waveformFilter({ kind: 'average', factor: 2 })!;
    expect(filteredLength(filter, 100)).toBe(Math.floor((100 + 4 - 10) / 2) + 1);
    // First window: two zeros and eight ones.
    expect(applyFilter(filter, new Float32Array(100).fill(1))[0]).toBeCloseTo(0.8, 6);
    expect(waveformFilter({ kind: 'average', factor: 4 })!.weights).toHaveLength(12);
  });

  it('takes the taps of a learned convolution, or passes what the new rate can hold', () => {
    const taps = Float32Array.of(0.5, 0.5);
    expect(applyFilter(waveformFilter({ kind: 'convolution', factor: 2 }, taps)!, Float32Array.of(1, 3, 5, 7))).toEqual(
      Float32Array.of(2, 6),
    );
    const filter = waveformFilter({ kind: 'convolution', factor: 2 })!;
    expect(filteredLength(filter, 1000)).toBe(Math.floor((1000 - 161) / 2) + 1);
    const tone = (frequency: number) => {
      const made = applyFilter(
        filter,
        Float32Array.from({ length: 1000 }, (_, i) => Math.sin(Math.PI * frequency * i)),
      );
      return Math.max(...made.map(Math.abs));
    };
    expect(tone(0.21)).toBeGreaterThan(0.98);
    expect(tone(0.6)).toBeLessThan(0.01);
    expect(() => checkKernel(Float32Array.of(0, 0), 'k.npy')).toThrow('k.npy holds 2 weights, which are no kernel');
  });

  it('is nothing by 1, and knows the shortest input', () => {
    expect(waveformFilter({ kind: 'decimation', factor: 1 })).toBeNull();
    expect(shortestInput(null, null, frontEnd)).toBe(400);
    const halves = { kind: 'decimation', factor: 2 } as const;
    const shortest = shortestInput(halves, waveformFilter(halves), frontEnd);
    expect(shortest).toBe(799);
    expect(framesAfter(halves, waveformFilter(halves), frontEnd, shortest - 1)).toBe(0);
    expect(shortestInput({ kind: 'features', factor: 3 }, null, frontEnd)).toBe(400 + 2 * 320);
  });
});

describe('the plan of a sweep', () => {
  const settings = speedSettingsSchema.parse({
    strategies: ['early-exit', 'downsampling', 'layer-removal', 'quantised'],
    downsampling: { kinds: ['decimation', 'features'], factors: [1, 2] },
    layerRemoval: { keep: [6, 4], drop: [[2, 5]] },
  });
  const tracks = planTracks(settings, 6);

  it('has the full model first and once, whatever is called by another name', () => {
    expect(tracks[0]).toMatchObject({ key: 'full / final', strategy: 'full', hasEnd: true });
    expect(tracks.filter(({ strategy, hasEnd }) => strategy === 'full' && hasEnd)).toHaveLength(1);
    expect(tracks.map(({ key }) => key)).toEqual([
      'full / final',
      'full / trained',
      'decimation by 2 / final',
      'decimation by 2 / trained',
      'pooled features by 2 / final',
      'pooled features by 2 / trained',
      'first 4 of 6 / final',
      'first 4 of 6 / trained',
      'without blocks 2, 5 / final',
      'without blocks 2, 5 / trained',
      '8-bit integer weights / final',
    ]);
  });

  it('ends the whole encoder with its own head', () => {
    const [, trained] = tracks;
    expect(endsAsTrained(trained.body, 6)).toBe(true);
    expect(trained.exits.map((layer) => headAt(trained, layer, 6))).toEqual(['trained', 'trained', 'final']);
  });

  it('cuts the encoder where any of them exits, begins or ends, and shares every stage', () => {
    const { specs, routes } = planStages(tracks, ['similarity'], false);
    expect(routes.get('full')).toEqual({
      front: ['features', 'project'],
      segments: [
        { stages: ['blocks-1-1', 'blocks-2-2', 'blocks-3-4'], layer: 4 },
        { stages: ['blocks-5-5'], layer: 5 },
        { stages: ['blocks-6-6'], layer: 6 },
      ],
    });
    expect(routes.get('pooled features by 2')!.front).toEqual(['features', 'pool-2', 'project']);
    expect(routes.get('without blocks 2, 5')!.segments).toEqual([
      { stages: ['blocks-1-1', 'blocks-3-4', 'blocks-6-6'], layer: 6 },
    ]);
    expect(specs.filter(({ precision }) => precision === 'float32').flatMap(({ pieces }) => pieces)).toHaveLength(8);
  });

  it('refuses exits that a body does not have', () => {
    const wrong = speedSettingsSchema.parse({ strategies: ['early-exit'], earlyExit: { layers: [7] } });
    expect(() => planTracks(wrong, 6)).toThrow('no exit at layer 7 of the encoder: its layers are 1, 2, 3, 4, 5, 6');
  });
});

describe('the published tables', () => {
  it('hold every row of both', () => {
    const count = (strategy: string) => publishedSpeed.rows.filter((row) => row.strategy === strategy).length;
    expect([count('full'), count('downsampling'), count('early-exit')]).toEqual([1, 9, 12]);
    const learned = publishedSpeed.rows.find(({ name }) => name === 'CL3')!;
    // METHODS 3.4: +.81 WER with the language model, at 61.3 % less time on CPU.
    expect(learned.werLm! - publishedSpeed.rows[0].werLm!).toBeCloseTo(0.81, 9);
    expect(1 - learned.cpuSecondsLm! / publishedSpeed.rows[0].cpuSecondsLm!).toBeCloseTo(0.613, 3);
  });
});
