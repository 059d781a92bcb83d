import { describe, expect, it } from 'vitest';

import { graphSuffix } from '#main/onnx/append.ts';

import { decodeModel, exportBytes } from './models.ts';

describe('graphSuffix', () => {
  it('adds nodes, outputs and initializers when appended, and changes nothing else', () => {
    const bytes = exportBytes('hubert-plain.onnx');
    const before = decodeModel(bytes);
    const suffix = graphSuffix({
      nodes: [{ opType: 'Transpose', inputs: ['a'], outputs: ['b'], attributes: { perm: [1, 0, 2] } }],
      outputs: [{ name: 'b' }, { name: 'c', elementType: 10 }],
      initializers: [
        { name: 'd', dataType: 1, dims: [2], data: new Uint8Array(8) },
        { name: 'e', dataType: 1, dims: [2, 3], data: { location: 'x.bin', offset: 7, length: 24 } },
      ],
    });
    const after = decodeModel(new Uint8Array(Buffer.concat([bytes, suffix])));
    const nodes = after.graph?.node ?? [];
    expect(nodes.slice(0, -1)).toEqual(before.graph?.node);
    expect(nodes.at(-1)).toMatchObject({
      opType: 'Transpose',
      input: ['a'],
      output: ['b'],
      attribute: [{ name: 'perm', ints: [1n, 0n, 2n] }],
    });
    expect(after.graph?.output.map(({ name }) => name)).toEqual(['last_hidden_state', 'b', 'c']);
    const [d, e] = after.graph?.initializer.slice(-2) ?? [];
    expect(d).toMatchObject({ name: 'd', dims: [2n] });
    expect(e.externalData.map(({ key, value }) => [key, value])).toEqual([
      ['location', 'x.bin'],
      ['offset', '7'],
      ['length', '24'],
    ]);
    expect({ ...after, graph: null }).toEqual({ ...before, graph: null });
    expect(after.graph?.name).toBe(before.graph?.name);
  });

  it('is empty for no additions', () => {
    expect(graphSuffix({})).toHaveLength(0);
  });
});
