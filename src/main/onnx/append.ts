import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import { dataType } from './dataTypes.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type TensorProtoSchema,
  ValueInfoProtoSchema,
} from './schema/onnx_pb.js';
import { lengthDelimited } from './wire.ts';

/** Number of ModelProto.graph. */
export const graphField = 7;

/** An operator to add. */
export interface AddedNode {
  opType: string;
  inputs: string[];
  outputs: string[];
  /** Integers and integer lists. */
  attributes?: Record<string, number | number[]>;
}

/** A graph output to add; onnxruntime finds its shape. */
export interface AddedOutput {
  name: string;
  /** TensorProto.DataType, float by default. */
  elementType?: number;
}

/** A constant tensor to add: its bytes, or where they lie in another file of the model's folder. */
export interface AddedInitializer {
  name: string;
  dataType: number;
  dims: readonly number[];
  data: Uint8Array | { location: string; offset: number; length: number };
}

/** What to add to a graph. */
export interface Additions {
  nodes?: AddedNode[];
  outputs?: AddedOutput[];
  initializers?: AddedInitializer[];
}

function nodeMessage({ opType, inputs, outputs, attributes = {} }: AddedNode): MessageInitShape<typeof NodeProtoSchema> {
  const attribute = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? { name, type: AttributeType.INT, i: BigInt(value) }
      : { name, type: AttributeType.INTS, ints: value.map(BigInt) },
  );
  return { opType, name: `${opType}:${outputs[0]}`, input: inputs, output: outputs, attribute };
}

/** The TensorProto of a constant tensor. */
export function tensorMessage({
  name,
  dataType: type,
  dims,
  data,
}: AddedInitializer): MessageInitShape<typeof TensorProtoSchema> {
  const tensor = { name, dataType: type, dims: dims.map(BigInt) };
  if (data instanceof Uint8Array) return { ...tensor, rawData: data };
  const externalData = [
    { key: 'location', value: data.location },
    { key: 'offset', value: String(data.offset) },
    { key: 'length', value: String(data.length) },
  ];
  return { ...tensor, externalData, dataLocation: DataLocation.EXTERNAL };
}

/** The fields of a GraphProto that hold the additions. */
export function graphFields({ nodes = [], outputs = [], initializers = [] }: Additions): Uint8Array {
  const output = outputs.map(({ name, elementType = dataType.float }) =>
    create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value: { elemType: elementType } } } }),
  );
  const graph = create(GraphProtoSchema, { node: nodes.map(nodeMessage), output, initializer: initializers.map(tensorMessage) });
  return toBinary(GraphProtoSchema, graph);
}

/**
 * Bytes that add nodes, outputs and initializers to a serialised model when they are appended to it: protobuf merges messages
 * that occur twice and concatenates their repeated fields. Added nodes come last, so they may read every tensor of the model.
 */
export function graphSuffix(additions: Additions): Uint8Array {
  const { nodes = [], outputs = [], initializers = [] } = additions;
  if (nodes.length + outputs.length + initializers.length === 0) return new Uint8Array(0);
  return lengthDelimited(graphField, [graphFields(additions)]);
}
