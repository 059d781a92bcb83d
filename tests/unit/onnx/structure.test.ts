import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type ByteSource, memorySource } from '#main/formats/bytes.ts';
import { convolutionChain, widthOf } from '#main/onnx/frontEnd.ts';
import { findInputs } from '#main/onnx/inputs.ts';
import { readStructure } from '#main/onnx/structure.ts';
import { findTaps, mainDataFlow } from '#main/onnx/taps.ts';
import { ForetuneError } from '#shared/errors.ts';

import { decodeModel, encodeModel, exportBytes, externalise, structureOf } from './models.ts';

/** Gives a structure whose taps can be looked for, or a ForetuneError; anything else fails the test. */
async function survives(bytes: Uint8Array): Promise<void> {
  try {
    const structure = await structureOf(bytes);
    const { input } = findInputs(structure);
    const { layers } = findTaps(structure, { input: input.name });
    const flow = mainDataFlow(structure, input.name);
    if (flow) convolutionChain(structure, flow, flow.nodes.length);
    for (const tensor of layers) widthOf(structure, tensor);
  } catch (error) {
    if (!(error instanceof ForetuneError)) throw error;
    expect(error.message).toMatch(/\.$/);
  }
}

describe('readStructure', () => {
  it('reads nodes, values and initializers as the schema decoder does', async () => {
    for (const name of ['hubert-plain.onnx', 'stable-dynamo.onnx', 'hubert-named.onnx']) {
      const bytes = exportBytes(name);
      const graph = decodeModel(bytes).graph;
      const structure = await structureOf(bytes);
      expect(structure.nodes.map(({ opType, inputs, outputs }) => ({ opType, inputs, outputs }))).toEqual(
        graph?.node.map(({ opType, input, output }) => ({ opType, inputs: input, outputs: output })),
      );
      expect(structure.inputs.map((value) => value.name)).toEqual(graph?.input.map((value) => value.name));
      for (const tensor of graph?.initializer ?? []) {
        const found = structure.initializers.get(tensor.name);
        expect(found?.dims).toEqual(tensor.dims.map(Number));
        expect(found?.dataType).toBe(tensor.dataType);
        if (found?.payload.kind !== 'inline') throw new Error(`${tensor.name} is not inline`);
        const { offset, length } = found.payload;
        expect(bytes.subarray(offset, offset + length)).toEqual(tensor.rawData);
      }
    }
  });

  it('reads types and symbolic shapes of inputs, and module paths of the dynamo exporter', async () => {
    const structure = await structureOf(exportBytes('stable-dynamo.onnx'));
    expect(structure.inputs).toEqual([{ name: 'input_values', elementType: 1, shape: [expect.any(String), expect.any(String)] }]);
    expect(structure.outputs[0].shape?.[2]).toBe(32);
    expect(structure.nodes.some(({ scope }) => scope === 'model.encoder.layers.1.attention.q_proj')).toBe(true);
  });

  it('jumps over weights: a file with 8 MB of them costs a few windows', async () => {
    const model = decodeModel(exportBytes('hubert-plain.onnx'));
    const weight = model.graph?.initializer[0];
    if (!weight) throw new Error('no initializer');
    weight.dims = [2n ** 21n];
    weight.rawData = new Uint8Array(2 ** 23);
    const inner = memorySource('big.onnx', encodeModel(model));
    let read = 0;
    const counting: ByteSource = {
      ...inner,
      read: (offset, length) => {
        read += length;
        return inner.read(offset, length);
      },
    };
    await readStructure(counting);
    expect(read).toBeLessThan(600_000);
  });

  it('merges graphs that occur twice, as protobuf does', async () => {
    const bytes = exportBytes('hubert-plain.onnx');
    const once = await structureOf(bytes);
    const twice = await structureOf(Buffer.concat([bytes, bytes]));
    expect(twice.nodes).toHaveLength(once.nodes.length * 2);
  });

  it('reads the places of external data', async () => {
    const { model } = externalise(exportBytes('hubert-plain.onnx'), 'sub/weights.bin');
    const { initializers } = await structureOf(model);
    const first = initializers.get('model.feature_extractor.conv_layers.0.conv.weight');
    expect(first?.payload).toEqual({ kind: 'external', location: 'sub/weights.bin', offset: 0, length: 8 * 10 * 4 });
  });

  it('says what is wrong with a weight whose bytes do not fit its shape', async () => {
    const model = decodeModel(exportBytes('hubert-plain.onnx'));
    const weight = model.graph?.initializer[0];
    if (!weight) throw new Error('no initializer');
    weight.dims = [9n, 1n, 10n];
    await expect(structureOf(encodeModel(model))).rejects.toMatchObject({
      code: 'corrupt',
      message:
        'model.onnx: "model.feature_extractor.conv_layers.0.conv.weight" is float32 [9, 1, 10], 360 bytes, but holds 320; the ONNX file is corrupt.',
    });
    weight.dims = [2n ** 40n, 2n ** 40n];
    await expect(structureOf(encodeModel(model))).rejects.toMatchObject({ code: 'corrupt' });
    weight.dims = [-1n];
    await expect(structureOf(encodeModel(model))).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('refuses a file cut anywhere', async () => {
    const bytes = exportBytes('hubert-plain.onnx');
    for (let cut = 0; cut < bytes.length - 16; cut += 997) {
      await expect(structureOf(bytes.subarray(0, cut))).rejects.toMatchObject({ name: 'ForetuneError', code: 'corrupt' });
    }
  });

  it('gives a structure or a ForetuneError for any bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), survives), { numRuns: 500 });
  });

  it('gives a structure or a ForetuneError for a damaged model', async () => {
    const bytes = exportBytes('hubert-plain.onnx');
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at] = value;
        await survives(damaged);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses numbers without end, unknown wire types and deep subgraphs', async () => {
    await expect(structureOf(new Uint8Array(32).fill(0xff))).rejects.toMatchObject({ code: 'corrupt' });
    await expect(structureOf(Uint8Array.of(0x3b, 0x3c))).rejects.toMatchObject({ code: 'corrupt' });
    // A graph in an attribute in a node in a graph, and so on.
    let nested = new Uint8Array(0);
    const wrap = (tag: number, content: Uint8Array) => {
      const size: number[] = [];
      for (let rest = content.length; ; rest >>>= 7) {
        size.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...size), content]));
    };
    for (let depth = 0; depth < 3000; depth++) nested = wrap(0x0a, wrap(0x2a, wrap(0x32, nested)));
    await expect(structureOf(wrap(0x3a, nested))).rejects.toMatchObject({ code: 'corrupt' });
  });
});
