import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import { memorySource } from '#main/formats/bytes.ts';
import { type ModelProto, ModelProtoSchema, type NodeProtoSchema } from '#main/onnx/schema/onnx_pb.js';
import { type OnnxStructure, readStructure } from '#main/onnx/structure.ts';

export const goldenFolder = join(import.meta.dirname, '../../golden/onnx');

/** A golden export's bytes. */
export function exportBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(goldenFolder, name)));
}

export function decodeModel(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

export function encodeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

export function structureOf(bytes: Uint8Array, name = 'model.onnx'): Promise<OnnxStructure> {
  return readStructure(memorySource(name, bytes));
}

/** Takes every name but those of inputs and outputs away, and all metadata and inner shapes. */
export function anonymise(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes);
  const { graph } = model;
  if (!graph) throw new Error('no graph');
  const names = new Map([...graph.input, ...graph.output].map(({ name }) => [name, name]));
  names.set('', '');
  const rename = (name: string) => {
    if (!names.has(name)) names.set(name, `t${names.size}`);
    return names.get(name) ?? '';
  };
  graph.valueInfo = [];
  for (const tensor of graph.initializer) tensor.name = rename(tensor.name);
  graph.node.forEach((node, i) => {
    node.name = `n${i}`;
    node.metadataProps = [];
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
  });
  return encodeModel(model);
}

/** Moves the values of all initializers of at least 64 bytes into a file of their own, as onnx.save_model(save_as_external_data) does. */
export function externalise(bytes: Uint8Array, location: string): { model: Uint8Array; data: Uint8Array } {
  const model = decodeModel(bytes);
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph?.initializer ?? []) {
    const { rawData } = tensor;
    if (rawData.byteLength < 64) continue;
    tensor.externalData = Object.entries({ location, offset, length: rawData.byteLength }).map(([key, value]) => ({
      $typeName: 'onnx.StringStringEntryProto',
      key,
      value: String(value),
    }));
    tensor.dataLocation = 1;
    parts.push(rawData.slice());
    offset += rawData.byteLength;
    tensor.rawData = new Uint8Array(0);
  }
  return { model: encodeModel(model), data: Buffer.concat(parts) };
}

type Node = [opType: string, inputs: string[], outputs: string[], attributes?: Record<string, number[]>];

interface Value {
  name: string;
  type?: number;
  shape?: (number | string)[];
}

const valueInfo = ({ name, type = 1, shape = ['batch', 'frames', 'width'] }: Value) => ({
  name,
  type: {
    value: {
      case: 'tensorType' as const,
      value: {
        elemType: type,
        shape: {
          dim: shape.map((size) => ({
            value:
              typeof size === 'number'
                ? { case: 'dimValue' as const, value: BigInt(size) }
                : { case: 'dimParam' as const, value: size },
          })),
        },
      },
    },
  },
});

/** A model of bare operators, for what no exporter at hand writes. */
export function modelOf(nodes: Node[], inputs: Value[], outputs: Value[]): Uint8Array {
  const node = nodes.map(([opType, input, output, attributes = {}]): MessageInitShape<typeof NodeProtoSchema> => ({
    opType,
    input,
    output,
    attribute: Object.entries(attributes).map(([name, ints]) => ({ name, type: 7, ints: ints.map(BigInt) })),
  }));
  return encodeModel(
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 17n }],
      graph: { node, input: inputs.map(valueInfo), output: outputs.map(valueInfo) },
    }),
  );
}

export const waveformInput: Value = { name: 'input_values', shape: ['batch', 'samples'] };
