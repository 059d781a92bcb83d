import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { openOnnxModel } from '#main/models/onnxModel.ts';
import { onnxOffer } from '#main/models/onnxOffer.ts';

import { demo } from '../../support/foretune.ts';
import { goldenFolder } from '../onnx/models.ts';

const plain = join(goldenFolder, 'hubert-plain.onnx');

describe('onnxOffer', () => {
  it('lists inputs and the tensors of the residual stream in order, and what would be taken', async () => {
    const { inputs, tensors, guess } = await onnxOffer(plain);
    expect(inputs).toEqual([{ name: 'input_values', shape: ['batch', 'samples'] }]);
    expect(guess).toMatchObject({ input: 'input_values', problem: null });
    const names = tensors.map(({ name }) => name);
    const places = guess.layers.map((name) => names.indexOf(name));
    expect(places.every((place, i) => place >= 0 && (i === 0 || place > places[i - 1]))).toBe(true);
    expect(tensors.at(-1)).toEqual({ name: 'last_hidden_state', operator: 'LayerNormalization', output: true });
  });

  it('offers nothing that a mapping could not name', async () => {
    const { tensors } = await onnxOffer(plain);
    const layers = tensors.map(({ name }) => name);
    expect((await openOnnxModel(plain, { mapping: { layers } })).layers).toBe(layers.length);
  });

  it('says why nothing could be guessed, and offers what there is', async () => {
    const { inputs, guess } = await onnxOffer(plain, 'wav');
    expect(inputs).toHaveLength(1);
    expect(guess).toMatchObject({ input: null, layers: [] });
    expect(guess.problem).toContain('no input "wav"');
  });

  it('refuses what is no ONNX file', async () => {
    await expect(onnxOffer(join(demo, 'manifest.csv'))).rejects.toMatchObject({ code: 'corrupt' });
  });
});
