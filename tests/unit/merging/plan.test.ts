import { describe, expect, it } from 'vitest';

import { type Dtype, dtypeBytes, elementCount, type TensorRecord } from '#main/formats/tensors.ts';
import { type ModelTensors, planMerge } from '#main/merging/plan.ts';

const conv = 'feature_extractor.conv_layers.0.conv.weight';
const dense = 'encoder.layers.0.feed_forward.output_dense.weight';

type Layout = Record<string, [Dtype, ...number[]]>;

function model(path: string, layout: Layout, config?: Record<string, unknown>): ModelTensors {
  const tensors = Object.entries(layout).map(([name, [dtype, ...shape]]): [string, TensorRecord] => [
    name,
    { name, dtype, shape, file: path, offset: 0, length: elementCount(shape) * dtypeBytes[dtype] },
  ]);
  return { path, tensors: new Map(tensors), config };
}

const layout: Layout = { [conv]: ['F32', 4, 1, 10], [dense]: ['F32', 4, 8], masked_spec_embed: ['F32', 4] };
const base = model('base', layout, { model_type: 'hubert', num_attention_heads: 4 });
const prefixed = (names: Layout, prefix = 'hubert.') =>
  Object.fromEntries(Object.entries(names).map(([name, value]) => [prefix + name, value]));

describe('the plan of a merge', () => {
  it('matches names with and without prefix, and leaves heads out', () => {
    const plan = planMerge(base, [model('ft', { ...prefixed(layout), 'lm_head.weight': ['F32', 30, 4] })], { heads: 'base' });
    expect(plan.tensors.map(({ name, action, module, layer }) => [name, action, module, layer])).toEqual([
      [conv, 'merge', 'conv', 0],
      [dense, 'merge', 'ffn', 1],
      ['masked_spec_embed', 'merge', 'other', 0],
    ]);
    expect(plan).toMatchObject({ parameters: 40 + 32 + 4, bytes: 4 * 76, blocks: 1, missing: [], reshaped: [] });
    expect(plan.extra).toEqual([{ model: 'ft', name: 'lm_head.weight', why: 'a head, not part of the encoder' }]);
    expect(plan.renamed).toHaveLength(3);
  });

  it('follows the rule for heads', () => {
    const headed = model('ft', { ...prefixed(layout), 'lm_head.weight': ['F32', 30, 4] });
    const names = (heads: 'base' | 'finetuned' | 'drop', own = base) =>
      planMerge(own, [headed], { heads }).tensors.map(({ name, action }) => `${action} ${name}`);
    expect(names('finetuned')).toEqual([...Object.keys(prefixed(layout)).map((name) => `merge ${name}`), 'copy lm_head.weight']);
    const pretraining = model('base', { ...layout, 'project_q.weight': ['F32', 2, 2] });
    expect(names('base', pretraining).at(-1)).toBe('copy project_q.weight');
    expect(names('drop', pretraining)).toEqual(Object.keys(layout).map((name) => `merge ${name}`));
  });

  it('takes buffers, integers and what a fine-tuned model need not have from the base', () => {
    const more: Layout = { ...layout, 'encoder.pos_conv_embed.batch_norm.running_var': ['F32', 4], 'encoder.counter': ['I64'] };
    const { masked_spec_embed: _, ...less } = more;
    const plan = planMerge(model('base', more), [model('ft', less)], { heads: 'base', dtype: 'F16' });
    expect(plan.tensors.map(({ action, dtype }) => `${action} ${dtype}`)).toEqual([
      'merge F16',
      'merge F16',
      'copy F16',
      'copy F16',
      'copy I64',
    ]);
    expect(plan.missing).toEqual([{ model: 'ft', name: 'masked_spec_embed' }]);
  });

  it('accepts dimensions of size one and other types, and says so', () => {
    const plan = planMerge(base, [model('ft', { ...layout, [conv]: ['F16', 4, 10] })], { heads: 'base' });
    expect(plan.reshaped).toEqual([{ model: 'ft', name: conv, from: [4, 10], to: [4, 1, 10] }]);
    expect(plan.retyped).toEqual([{ model: 'ft', name: conv, from: 'F16', to: 'F32' }]);
    expect(plan.warnings).toHaveLength(1);
  });

  it.each([
    [
      'shapes',
      model('ft', { ...layout, [dense]: ['F32', 4, 16] }),
      `Tensor "${dense}" has shape [4, 8] in base, but the shape [4, 16] in ft`,
    ],
    [
      'a missing tensor',
      model('ft', { [conv]: ['F32', 4, 1, 10] }),
      `ft has no tensor "${dense}", which base has (as "${dense}", shape [4, 8])`,
    ],
    [
      'more layers',
      model('ft', { ...layout, 'encoder.layers.1.feed_forward.output_dense.weight': ['F32', 4, 8] }),
      'ft has a tensor "encoder.layers.1.feed_forward.output_dense.weight" of shape [4, 8], which base does not have',
    ],
    ['quantised weights', model('ft', { ...layout, [dense]: ['I8', 4, 8] }), 'has type I8'],
    [
      'one tensor under two names',
      model('ft', { ...layout, 'encoder.a.weight_g': ['F32', 1], 'encoder.a.parametrizations.weight.original0': ['F32', 1] }),
      'two names of the same tensor',
    ],
    [
      'the architecture',
      model('ft', layout, { model_type: 'wav2vec2' }),
      'ft is of another architecture than base: model_type is "wav2vec2" in its config.json and "hubert" in the base\'s',
    ],
    ['the number of attention heads', model('ft', layout, { num_attention_heads: 8 }), 'num_attention_heads is 8'],
  ])('refuses models that differ in %s', (_, tuned, sentence) => {
    expect(() => planMerge(base, [tuned], { heads: 'base' })).toThrow(sentence);
  });
});
