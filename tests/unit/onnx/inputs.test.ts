import { describe, expect, it } from 'vitest';

import { findInputs } from '#main/onnx/inputs.ts';

import { modelOf, structureOf, waveformInput } from './models.ts';

type Input = Parameters<typeof modelOf>[1][number];

const inputsOf = async (inputs: Input[], wanted?: string) =>
  findInputs(await structureOf(modelOf([['Identity', [inputs[0].name], ['y']]], inputs, [{ name: 'y' }])), wanted);

describe('findInputs', () => {
  it('finds the waveform, masks and lengths by type', async () => {
    const found = await inputsOf([
      { name: 'lengths', type: 7, shape: ['batch'] },
      { name: 'valid', type: 9, shape: ['batch', 'samples'] },
      { name: 'wav', shape: ['batch', 1, 'samples'] },
      { name: 'float_mask', shape: ['batch', 'samples'] },
    ]);
    expect(found.input).toEqual({ name: 'wav', rank: 3 });
    expect(found.extraInputs).toEqual([
      { name: 'lengths', kind: 'length', type: 'int64' },
      { name: 'valid', kind: 'attention-mask', type: 'bool' },
      { name: 'float_mask', kind: 'attention-mask', type: 'float32' },
    ]);
    expect(found.notes).toHaveLength(3);
  });

  it('takes an explicit name', async () => {
    const two = [waveformInput, { name: 'other', type: 6, shape: ['batch', 'samples'] }];
    expect((await inputsOf(two, 'input_values')).input).toEqual({ name: 'input_values', rank: 2 });
    await expect(inputsOf(two, 'speech')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('"speech"') as string,
    });
  });

  it.each<[string, Input[], string]>([
    ['features', [{ name: 'mel', shape: ['batch', 80, 'frames'] }], 'takes 80 channels'],
    ['a fixed length', [{ name: 'x', shape: [1, 16000] }], 'exactly 16000 samples'],
    ['a fixed batch', [{ name: 'x', shape: [4, 'samples'] }], 'exactly 4 utterances'],
    ['float16', [{ name: 'x', type: 10, shape: ['batch', 'samples'] }], 'not float32'],
    ['a scalar', [{ name: 'x', shape: [] }], 'has rank 0'],
    ['two waveforms', [waveformInput, { name: 'b', shape: ['batch', 'samples'] }], 'more than one input'],
    ['none', [{ name: 'ids', type: 7, shape: ['batch', 'n'] }], 'no input could be'],
    [
      'a padding mask',
      [waveformInput, { name: 'padding_mask', type: 9, shape: ['batch', 'samples'] }],
      'true where samples are padding',
    ],
    [
      'an unknown one',
      [waveformInput, { name: 'speaker', type: 7, shape: ['batch', 2, 3] }],
      'nothing is known to feed to the input "speaker" (int64 [batch, 2, 3])',
    ],
  ])('refuses %s', async (_, inputs, sentence) => {
    await expect(inputsOf(inputs)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(sentence) as string,
    });
  });
});
