import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Checkpoint, elementCount } from '#main/formats/tensors.ts';
import { type Parameter } from '#main/models/architectures/context.ts';
import { distanceBuckets } from '#main/models/architectures/wavlmAttention.ts';
import { nativeFamilies, parseConfig } from '#main/models/config.ts';
import { frameCount, frameTime, receptiveField } from '#main/models/frames.ts';
import { allLayers, findParameters, findPrefix, neededParameters } from '#main/models/parameters.ts';
import { drawParameter } from '#main/models/randomWeights.ts';
import { ForetuneError } from '#shared/errors.ts';

import { goldenModels } from './golden.ts';

describe('frames', () => {
  const frontEnd = { kernels: [10, 3, 3, 3, 3, 2, 2], strides: [5, 2, 2, 2, 2, 2, 2] };

  it('see 25 ms and come every 20 ms in wav2vec 2.0 (Baevski et al. 2020, section 4.2)', () => {
    expect(receptiveField(frontEnd)).toEqual({ length: 400, hop: 320 });
  });

  it('are as many as the convolutions leave', () => {
    expect([0, 399, 400, 719, 720, 16000, 160000].map((samples) => frameCount(frontEnd, samples))).toEqual([
      0, 0, 1, 1, 2, 49, 499,
    ]);
  });

  it('stand at the centre of what they see', () => {
    expect(frameTime(frontEnd, 0, 16000)).toBe(0.0125);
    expect(frameTime(frontEnd, 50, 16000)).toBeCloseTo(1.0125, 12);
  });
});

describe('distance buckets of WavLM', () => {
  const golden = JSON.parse(readFileSync(join(goldenModels, 'distance_buckets.json'), 'utf8')) as Record<
    string,
    [number, number][]
  >;

  it.each(Object.keys(golden))('for %s buckets and distance are those of transformers, borders included', (key) => {
    const [count, furthest] = key.split(',').map(Number);
    const expected = golden[key].flatMap(([bucket, length]) => new Array<number>(length).fill(bucket));
    const buckets = distanceBuckets(count, furthest);
    expect(buckets).toEqual(expected.slice(50, -50));
    expect(new Set(expected.slice(0, 50))).toEqual(new Set([buckets[0]]));
    expect(new Set(expected.slice(-50))).toEqual(new Set([buckets[buckets.length - 1]]));
  });
});

describe('a configuration', () => {
  it('has the defaults of its class', () => {
    expect(parseConfig({ model_type: 'hubert' }, 'config.json')).toMatchObject({
      hidden_size: 768,
      num_conv_pos_embeddings: 128,
    });
    expect(parseConfig({ model_type: 'data2vec-audio' }, 'config.json')).toMatchObject({
      num_conv_pos_embeddings: 5,
      conv_pos_kernel_size: 19,
    });
    expect(parseConfig({ model_type: 'wavlm' }, 'config.json')).toMatchObject({ num_buckets: 320, max_bucket_distance: 800 });
  });

  it('of an old file is recognised by its architectures', () => {
    expect(parseConfig({ architectures: ['Data2VecAudioModel'] }, 'config.json').model_type).toBe('data2vec-audio');
    expect(parseConfig({ architectures: ['Wav2Vec2ForPreTraining'] }, 'config.json').model_type).toBe('wav2vec2');
  });

  /** 12 blocks of width 768: 94.37 million in HuBERT's paper and in transformers, of which one vector is for training only. */
  it('asks for as many parameters as the published models have', () => {
    const count = (parameters: readonly Parameter[]) => parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const weightNorm = (name: string) => !name.endsWith('pos_conv_embed.conv.weight');
    const config = parseConfig({ model_type: 'hubert' }, 'config.json');
    expect(count(neededParameters(config, allLayers(config), weightNorm))).toBe(94371712 - 768);
  });

  it('from a stranger gives a model or a refusal, never anything else', () => {
    const value = fc.oneof(
      fc.integer({ min: -3, max: 70 }),
      fc.double(),
      fc.boolean(),
      fc.constantFrom('gelu', 'layer', 'group', null, 'x'),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
    );
    const keys = [
      'hidden_size',
      'num_hidden_layers',
      'num_attention_heads',
      'intermediate_size',
      'conv_dim',
      'conv_kernel',
      'conv_stride',
      'num_conv_pos_embeddings',
      'num_conv_pos_embedding_groups',
      'num_buckets',
      'max_bucket_distance',
      'conv_pos_kernel_size',
      'hidden_act',
      'feat_extract_norm',
      'do_stable_layer_norm',
      'adapter_attn_dim',
      'layer_norm_eps',
    ];
    const small = {
      hidden_size: 8,
      num_attention_heads: 2,
      num_hidden_layers: 2,
      num_conv_pos_embedding_groups: 2,
      conv_dim: [4],
      conv_kernel: [3],
      conv_stride: [2],
    };
    const checkpoint: Checkpoint = { format: 'safetensors', files: [], tensors: new Map() };
    fc.assert(
      fc.property(
        fc.constantFrom(...nativeFamilies, 'bert', 3),
        fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 4 }),
        (family, entries) => {
          try {
            const config = parseConfig({ ...small, ...entries, model_type: family }, 'config.json');
            findParameters('model.safetensors', config, checkpoint, findPrefix(checkpoint));
            expect.unreachable('an empty checkpoint lacks every tensor');
          } catch (error) {
            expect(error).toBeInstanceOf(ForetuneError);
          }
        },
      ),
    );
  });
});

describe('drawn parameters', () => {
  const spread = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

  it('have the spread they were asked for', () => {
    const shape = [64, 32, 10];
    const draw = (init: Parameter['init']) => drawParameter({ name: 'weight', shape, init }, 7);
    expect(draw({ draw: 'zeros' }).every((value) => value === 0)).toBe(true);
    expect(draw({ draw: 'ones' }).every((value) => value === 1)).toBe(true);
    // 20480 draws: the relative standard error of their spread is 0.5 %.
    expect(spread(draw({ draw: 'normal', deviation: 0.02 })) / 0.02).toBeCloseTo(1, 1);
    expect(spread(draw({ draw: 'fan-in' })) / Math.sqrt(2 / 320)).toBeCloseTo(1, 1);
    const uniform = draw({ draw: 'uniform', bound: 0.1 });
    expect(spread(uniform) / (0.1 / Math.sqrt(3))).toBeCloseTo(1, 1);
    expect(Math.max(...uniform.map(Math.abs))).toBeLessThan(0.1);
  });

  it('differ by name', () => {
    const draw = (name: string) => drawParameter({ name, shape: [4], init: { draw: 'fan-in' } }, 7);
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
  });
});
