import { describe, expect, it } from 'vitest';

import { convolutionChain, widthOf } from '#main/onnx/frontEnd.ts';
import { findTaps, mainDataFlow } from '#main/onnx/taps.ts';

import { anonymise, exportBytes, modelOf, structureOf, waveformInput } from './models.ts';

type Node = Parameters<typeof modelOf>[0][number];

const tapsOf = async (bytes: Uint8Array) => findTaps(await structureOf(bytes));

/** A residual branch: a norm before it, `op` inside it, the sum after it. */
const branch = (from: string, to: string, op: string): Node[] => [
  ['LayerNormalization', [from, 'w'], [`${to}.norm`]],
  [op, [`${to}.norm`, 'v'], [`${to}.branch`]],
  ['Add', [from, `${to}.branch`], [to]],
];

/** A Conformer block: half a feed-forward, attention, convolution, half a feed-forward, norm. */
const conformer = (from: string, to: string): Node[] => [
  ...branch(from, `${to}a`, 'MatMul'),
  ...branch(`${to}a`, `${to}b`, 'Softmax'),
  ...branch(`${to}b`, `${to}c`, 'Conv'),
  ...branch(`${to}c`, `${to}d`, 'MatMul'),
  ['LayerNormalization', [`${to}d`, 'w'], [to]],
];

const output = { name: 'out' };

describe('findTaps', () => {
  it('takes outputs called hidden_states.i', async () => {
    const { layers, taps, notes } = await tapsOf(exportBytes('hubert-named.onnx'));
    expect(layers).toEqual(['hidden_states.0', 'hidden_states.1', 'hidden_states.2']);
    expect(taps.map(({ layer }) => layer)).toEqual([0, 1, 2]);
    expect(notes).toEqual([]);
  });

  it.each([
    'hidden_states_%',
    'hidden_state_%',
    'layer_%',
    'encoder.layers.%',
    'encoder.layers.%.output',
    'hidden_states[%]',
    'encoder_layer_%',
    'block%',
  ])('takes outputs called %s', async (pattern) => {
    const names = [0, 1, 2, 10].map((i) => pattern.replace('%', String(i)));
    const nodes = names.map((name, i): Node => ['Relu', [i === 0 ? 'input_values' : names[i - 1]], [name]]);
    // Listed out of order, as in an alphabetical list.
    const outputs = [names[0], names[1], names[3], names[2]].map((name) => ({ name }));
    const found = await tapsOf(modelOf(nodes, [waveformInput], outputs));
    expect(found.layers).toEqual(names);
    expect(found.taps.map(({ layer }) => layer)).toEqual([0, 1, 2, 10]);
    expect(found.notes).toEqual(['The export has no layer 3, 4, 5, 6, 7, 8, 9; the others keep the number in their own name.']);
  });

  it('keeps the numbers of names that begin at 1', async () => {
    const nodes: Node[] = [
      ['Relu', ['input_values'], ['layer_1']],
      ['Relu', ['layer_1'], ['layer_2']],
    ];
    const found = await tapsOf(modelOf(nodes, [waveformInput], [{ name: 'layer_1' }, { name: 'layer_2' }]));
    expect(found.taps.map(({ layer }) => layer)).toEqual([1, 2]);
    expect(found.notes[0]).toContain('no layer 0');
  });

  it('takes the explicit mapping, and names what it cannot find', async () => {
    const structure = await structureOf(exportBytes('hubert-plain.onnx'));
    const layers = ['/model/encoder/layer_norm/LayerNormalization_output_0', 'last_hidden_state'];
    expect(findTaps(structure, { layers }).layers).toEqual(layers);
    expect(() => findTaps(structure, { layers: ['last_hidden_state', 'nowhere'] })).toThrow(
      'model.onnx has no tensor "nowhere", which the mapping gives for layer 1; its outputs are "last_hidden_state".',
    );
    expect(() => findTaps(structure, { layers: [] })).toThrow(/lists no layers/);
  });

  it('finds the blocks of plain exports by their module names', async () => {
    const postNorm = await tapsOf(exportBytes('hubert-plain.onnx'));
    expect(postNorm.layers).toEqual([
      '/model/encoder/layer_norm/LayerNormalization_output_0',
      '/model/encoder/layers.0/final_layer_norm/LayerNormalization_output_0',
      '/model/encoder/layers.1/final_layer_norm/LayerNormalization_output_0',
      'last_hidden_state',
    ]);
    expect(postNorm.how).toContain('3 blocks by the module names model.encoder.layers.0');
    expect(postNorm.notes).toEqual([]);
    const preNorm = await tapsOf(exportBytes('stable-opset14.onnx'));
    expect(preNorm.layers).toEqual([
      '/model/encoder/Add_output_0',
      '/model/encoder/layers.0/Add_1_output_0',
      '/model/encoder/layers.1/Add_1_output_0',
    ]);
    expect(preNorm.notes[0]).toContain("before the encoder's closing norm");
    expect((await tapsOf(exportBytes('stable-dynamo.onnx'))).layers.at(-1)).not.toBe('last_hidden_state');
  });

  it.each(['hubert-plain.onnx', 'stable-opset14.onnx', 'stable-dynamo.onnx'])(
    'finds the same tensors of %s without any name',
    async (name) => {
      const bytes = exportBytes(name);
      const named = await structureOf(bytes);
      const bare = await structureOf(anonymise(bytes));
      const makers = (structure: typeof named) =>
        findTaps(structure).layers.map((tensor) => structure.nodes.findIndex(({ outputs }) => outputs.includes(tensor)));
      expect(findTaps(bare).how).toContain('equal blocks around the attention operators');
      expect(makers(bare)).toEqual(makers(named));
    },
  );

  it('finds block boundaries before the first half-step of a Conformer, and leaves the closing norm out', async () => {
    const nodes: Node[] = [
      ['MatMul', ['input_values', 'p'], ['x0']],
      ...conformer('x0', 'x1'),
      ...conformer('x1', 'x2'),
      ...conformer('x2', 'x3'),
      ['LayerNormalization', ['x3', 'w'], ['norm']],
      ['MatMul', ['norm', 'head'], ['out']],
    ];
    const { layers } = await tapsOf(modelOf(nodes, [waveformInput], [output]));
    expect(layers).toEqual(['x0', 'x1', 'x2', 'x3']);
  });

  it('takes the running sum, not the norm, from fused SkipLayerNormalization', async () => {
    const skip = (from: string, add: string, to: string, last = false): Node => [
      'SkipLayerNormalization',
      [from, add, 'w', 'b'],
      last ? [to] : [`${to}.n`, '', '', to],
    ];
    const block = (from: string, to: string, last = false): Node[] => [
      ['Attention', [`${from}.n`, 'w'], [`${to}.a`]],
      skip(from, `${to}.a`, `${to}.mid`),
      ['MatMul', [`${to}.mid.n`, 'v'], [`${to}.f`]],
      skip(`${to}.mid`, `${to}.f`, to, last),
    ];
    const nodes: Node[] = [
      ['MatMul', ['input_values', 'p'], ['x0']],
      ['LayerNormalization', ['x0', 'w'], ['x0.n']],
      ...block('x0', 'x1'),
      ...block('x1', 'x2'),
      ...block('x2', 'out', true),
    ];
    expect((await tapsOf(modelOf(nodes, [waveformInput], [output]))).layers).toEqual(['x0', 'x1', 'x2', 'out']);
  });

  it('transposes hidden states that run frames first', async () => {
    const block = (from: string, to: string): Node[] => [
      ...branch(from, `${to}.a`, 'Softmax'),
      ...branch(`${to}.a`, to, 'MatMul'),
    ];
    const nodes: Node[] = [
      ['Conv', ['input_values', 'w'], ['c']],
      ['Transpose', ['c'], ['t'], { perm: [0, 2, 1] }],
      ['Transpose', ['t'], ['x0'], { perm: [1, 0, 2] }],
      ...block('x0', 'x1'),
      ...block('x1', 'x2'),
      ['Transpose', ['x2'], ['out'], { perm: [1, 0, 2] }],
    ];
    const { taps, notes } = await tapsOf(modelOf(nodes, [waveformInput], [output]));
    expect(taps).toEqual(['x0', 'x1', 'x2'].map((tensor, layer) => ({ layer, tensor, permutation: [1, 0, 2] })));
    expect(notes.at(-1)).toContain('transposed');
    const told = findTaps(await structureOf(modelOf(nodes, [waveformInput], [output])), { layers: ['x1', 'out'] });
    expect(told.taps.map(({ permutation }) => permutation)).toEqual([[1, 0, 2], null]);
    expect(told.notes).toEqual(notes.slice(-1));
  });

  it('is not misled by masks that are made of the signal', async () => {
    const block = (from: string, to: string): Node[] => [
      ['LayerNormalization', [from, 'w'], [`${to}.n`]],
      ['Where', ['mask', `${to}.n`, 'zero'], [`${to}.m`]],
      ['Softmax', [`${to}.m`], [`${to}.s`]],
      ['Add', [from, `${to}.s`], [to]],
    ];
    const nodes: Node[] = [
      ['Equal', ['input_values', 'zero'], ['mask']],
      ['MatMul', ['input_values', 'p'], ['x0']],
      ...block('x0', 'x1'),
      ...block('x1', 'x2'),
      ['Relu', ['x2'], ['out']],
    ];
    expect((await tapsOf(modelOf(nodes, [waveformInput], [output]))).layers).toEqual(['x0', 'x1', 'x2']);
  });

  it('falls back to the final output and says how to do better', async () => {
    const { taps, how } = await tapsOf(modelOf([['LSTM', ['input_values', 'w'], ['out']]], [waveformInput], [output]));
    expect(taps).toEqual([{ layer: 0, tensor: 'out', permutation: null }]);
    expect(how).toContain('mapping option "layers"');
  });

  it('refuses a graph without any hidden state', async () => {
    const bytes = modelOf([['ReduceMean', ['input_values'], ['out']]], [waveformInput], [{ name: 'out', shape: ['batch', 2] }]);
    await expect(tapsOf(bytes)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('"out" (float32, rank 2)') as string,
    });
  });
});

describe('front end', () => {
  const kernels = [10, 3, 3, 3, 3, 2, 2];
  const strides = [5, 2, 2, 2, 2, 2, 2];

  it.each(['hubert-plain.onnx', 'stable-opset14.onnx', 'stable-dynamo.onnx', 'hubert-named.onnx'])(
    'reads the convolutions and the width of %s',
    async (name) => {
      for (const bytes of [exportBytes(name), anonymise(exportBytes(name))]) {
        const structure = await structureOf(bytes);
        const flow = mainDataFlow(structure, 'input_values');
        const { layers } = findTaps(structure);
        if (!flow) throw new Error('no flow');
        const end = flow.nodes.findIndex(({ outputs }) => outputs.includes(layers[0]));
        expect(convolutionChain(structure, flow, end)).toEqual({ kernels, strides });
        expect(layers.map((tensor) => widthOf(structure, tensor))).toEqual(layers.map(() => 32));
      }
    },
  );

  it('gives no chain where frames come about in other ways', async () => {
    const chainOf = async (...nodes: Node[]) => {
      const structure = await structureOf(modelOf(nodes, [waveformInput], [output]));
      const flow = mainDataFlow(structure, 'input_values');
      return flow && convolutionChain(structure, flow, flow.nodes.length - 1);
    };
    const conv = (attributes: Record<string, number[]>, to = 'out'): Node => [
      'Conv',
      ['input_values', 'w'],
      [to],
      { kernel_shape: [4], ...attributes },
    ];
    expect(await chainOf(conv({ strides: [2], pads: [0, 0] }))).toEqual({ kernels: [4], strides: [2] });
    expect(await chainOf(conv({ strides: [2], pads: [1, 1] }))).toBeNull();
    expect(await chainOf(conv({ dilations: [2] }))).toBeNull();
    expect(await chainOf(conv({ kernel_shape: [4, 4] }))).toBeNull();
    expect(await chainOf(conv({}, 'c'), ['MaxPool', ['c'], ['out']])).toBeNull();
    expect(await chainOf(['MatMul', ['input_values', 'w'], ['out']])).toBeNull();
  });
});
