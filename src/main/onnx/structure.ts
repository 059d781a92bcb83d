import { fromBinary } from '@bufbuild/protobuf';

import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { dataTypeName, elementBytes } from './dataTypes.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './schema/onnx_pb.js';
import { wire, WireReader } from './wire.ts';

/** Bytes [start, end) of the file. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Name and type of a graph input, output or inner tensor. */
export interface OnnxValue {
  name: string;
  /** TensorProto.DataType, 0 where the file does not say. */
  elementType: number;
  /** A number where a dimension is fixed, its symbol (or null) where not; null without any shape. */
  shape: (number | string | null)[] | null;
}

/** Where the values of an initializer lie. */
export type Payload =
  /** Little-endian elements, one after the other, inside this file. */
  | { kind: 'inline'; offset: number; length: number }
  /** A byte range of another file; `length` is null where the file does not say. */
  | { kind: 'external'; location: string; offset: number; length: number | null }
  /** Values in varints or strings (small index tensors): only the whole message can be copied. */
  | { kind: 'encoded' };

/** A constant tensor of the graph, its values unread. */
export interface OnnxInitializer {
  name: string;
  /** TensorProto.DataType */
  dataType: number;
  dims: number[];
  /** Product of `dims`. */
  elements: number;
  payload: Payload;
  /** The TensorProto message without its tag and length. */
  message: ByteRange;
}

/** One operator. */
export interface OnnxNode {
  name: string;
  opType: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  /** Outer tensors that its subgraphs (If, Loop) read. */
  captured: string[];
  /** Integer, integer-list and string attributes. */
  attributes: Map<string, number | number[] | string>;
  /** Type and shape of a Constant's tensor. */
  constant: { dataType: number; dims: number[] } | null;
  /** Module path as the exporter recorded it in the metadata, '' without one. */
  scope: string;
}

/** A tensor inside a node or subgraph that points into another file. */
export interface ExternalReference {
  name: string;
  location: string;
  offset: number;
  length: number | null;
}

/** What an ONNX file says about its graph; no weights are read. */
export interface OnnxStructure {
  /** The file's name for sentences. */
  file: string;
  size: number;
  irVersion: number;
  opsets: { domain: string; version: number }[];
  metadata: Map<string, string>;
  nodes: OnnxNode[];
  /** Graph inputs that are no initializers. */
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  valueInfo: Map<string, OnnxValue>;
  initializers: Map<string, OnnxInitializer>;
  /** External tensors that are not initializers of the main graph. */
  otherExternal: ExternalReference[];
  /** Model-local functions: their insides are not looked at. */
  functions: number;
  /** Fields of ModelProto other than the graph, tags included, in file order. */
  modelFields: ByteRange[];
  /** Fields of GraphProto other than initializers, tags included, in file order. */
  graphFields: ByteRange[];
}

/** A graph message that is not weights (nodes with their constants) is refused above this size. */
const maxStructureBytes = 512 * 2 ** 20;
const maxSubgraphDepth = 16;

const field = {
  model: { irVersion: 1, graph: 7, opset: 8, metadata: 14, functions: 25 },
  graph: { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13, sparseInitializer: 15 },
  tensor: { dims: 1, dataType: 2, floatData: 4, name: 8, rawData: 9, doubleData: 10, externalData: 13, dataLocation: 14 },
} as const;

function corrupt(file: string, what: string): ForetuneError {
  return new ForetuneError('corrupt', `${file}: ${what}; the ONNX file is corrupt.`);
}

function decode<T>(file: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError('corrupt', `${file}: ${what} cannot be decoded; the ONNX file is corrupt.`, { cause: error });
  }
}

function toCount(file: string, what: string, value: string | number | bigint): number {
  const number = typeof value === 'string' && !/^\d+$/.test(value) ? NaN : Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw corrupt(file, `${what} is ${value}, which is no size`);
  return number;
}

function product(file: string, name: string, dims: readonly number[]): number {
  return toCount(
    file,
    `the number of elements of "${name}"`,
    dims.reduce((all, size) => all * size, 1),
  );
}

function externalOf(file: string, name: string, entries: readonly { key: string; value: string }[]): ExternalReference {
  const byKey = new Map(entries.map(({ key, value }) => [key, value]));
  const length = byKey.get('length');
  return {
    name,
    location: byKey.get('location') ?? '',
    offset: toCount(file, `the offset of "${name}"`, byKey.get('offset') ?? '0'),
    length: length === undefined ? null : toCount(file, `the length of "${name}"`, length),
  };
}

function toValue(proto: ValueInfoProto): OnnxValue {
  const type = proto.type?.value;
  if (type?.case !== 'tensorType') return { name: proto.name, elementType: 0, shape: null };
  const shape = type.value.shape?.dim.map(({ value }) => {
    if (value.case === 'dimValue') return Number(value.value);
    return value.case === 'dimParam' ? value.value : null;
  });
  return { name: proto.name, elementType: type.value.elemType, shape: shape ?? null };
}

/** Gathers what a node's subgraphs and constants refer to: outer tensors and other files. */
class References {
  readonly captured = new Set<string>();
  readonly external: ExternalReference[] = [];
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  tensor(tensor: TensorProto | undefined, name: string): void {
    if (tensor?.dataLocation === DataLocation.EXTERNAL) {
      this.external.push(externalOf(this.file, tensor.name || name, tensor.externalData));
    }
  }

  attribute(attribute: AttributeProto, node: string, depth: number): void {
    for (const tensor of [attribute.t, ...attribute.tensors]) this.tensor(tensor, node);
    for (const sparse of [attribute.sparseTensor, ...attribute.sparseTensors]) {
      this.tensor(sparse?.values, node);
      this.tensor(sparse?.indices, node);
    }
    for (const graph of attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs) this.graph(graph, depth + 1);
  }

  private graph(graph: GraphProto, depth: number): void {
    if (depth > maxSubgraphDepth) throw corrupt(this.file, `subgraphs are nested more than ${maxSubgraphDepth} deep`);
    for (const tensor of graph.initializer) this.tensor(tensor, graph.name);
    for (const node of graph.node) {
      // A name that the subgraph defines itself may be gathered too; it then matches no tensor of the outer graph.
      for (const name of node.input) this.captured.add(name);
      for (const attribute of node.attribute) this.attribute(attribute, node.name, depth);
    }
    for (const output of graph.output) this.captured.add(output.name);
  }
}

function attributeValue(attribute: AttributeProto): number | number[] | string | undefined {
  if (attribute.ints.length > 0) return attribute.ints.map(Number);
  if (attribute.s.length > 0) return new TextDecoder().decode(attribute.s);
  if (attribute.type === AttributeType.INT) return Number(attribute.i);
  return attribute.type === AttributeType.INTS ? [] : undefined;
}

function scopeOf(node: NodeProto): string {
  for (const { key, value } of node.metadataProps) {
    // ['', 'model', 'model.encoder', ..., the operator]: the last but one is the module.
    if (key === 'pkg.torch.onnx.name_scopes') return [...value.matchAll(/'([^']*)'/g)].at(-2)?.[1] ?? '';
  }
  return '';
}

function toNode(file: string, proto: NodeProto, external: ExternalReference[]): OnnxNode {
  const references = new References(file);
  const attributes: OnnxNode['attributes'] = new Map();
  let constant: OnnxNode['constant'] = null;
  for (const attribute of proto.attribute) {
    references.attribute(attribute, proto.name, 0);
    const value = attributeValue(attribute);
    if (value !== undefined) attributes.set(attribute.name, value);
    if (attribute.t && proto.opType === 'Constant') {
      constant = { dataType: attribute.t.dataType, dims: attribute.t.dims.map(Number) };
    }
  }
  external.push(...references.external);
  return {
    name: proto.name,
    opType: proto.opType,
    domain: proto.domain,
    inputs: proto.input,
    outputs: proto.output,
    captured: [...references.captured],
    attributes,
    constant,
    scope: scopeOf(proto),
  };
}

/** Reads a TensorProto but not its values. */
async function readInitializer(file: string, reader: WireReader, length: number): Promise<OnnxInitializer> {
  const message = { start: reader.position, end: reader.position + length };
  const inner = reader.within(length);
  const text = new TextDecoder();
  const dims: number[] = [];
  const external: { key: string; value: string }[] = [];
  let name = '';
  let type = 0;
  let location = 0;
  let inline: { kind: 'inline'; offset: number; length: number } | null = null;
  let encoded = false;
  while (!inner.done) {
    const { number, type: wireType, length: size } = await inner.field();
    const isBytes = wireType === wire.bytes;
    if (number === field.tensor.dims && wireType === wire.varint)
      dims.push(toCount(file, `a dimension of "${name}"`, await inner.varint()));
    else if (number === field.tensor.dims && isBytes) {
      const end = inner.position + size;
      while (inner.position < end) dims.push(toCount(file, `a dimension of "${name}"`, await inner.varint()));
      if (inner.position > end) throw corrupt(file, `the dimensions at byte ${end - size} run over their end`);
    } else if (number === field.tensor.dataType && wireType === wire.varint) type = await inner.varint();
    else if (number === field.tensor.dataLocation && wireType === wire.varint) location = await inner.varint();
    else if (number === field.tensor.name && isBytes) name = text.decode(await inner.bytes(size));
    else if (number === field.tensor.externalData && isBytes) {
      const bytes = await inner.bytes(size);
      external.push(decode(file, `the place of the values of "${name}"`, () => fromBinary(StringStringEntryProtoSchema, bytes)));
    } else if (number === field.tensor.rawData && isBytes) {
      inline = { kind: 'inline', offset: inner.position, length: size };
      inner.skip(size);
    } else if ((number === field.tensor.floatData || number === field.tensor.doubleData) && isBytes && size > 0) {
      // Packed float_data and double_data are little-endian elements, as raw_data is; a second run would not follow the first.
      const isPlain = (number === field.tensor.floatData ? 1 : 11) === type || type === 0;
      if (inline || !isPlain) encoded = true;
      else inline = { kind: 'inline', offset: inner.position, length: size };
      inner.skip(size);
    } else {
      if (number >= field.tensor.floatData && number <= 11 && number !== field.tensor.name && size + Number(!isBytes) > 0)
        encoded = true;
      await inner.skipValue(wireType, size);
    }
  }
  reader.resumeAfter(inner);
  const elements = product(file, name, dims);
  const bytes = elementBytes(type);
  let payload: Payload;
  if (location === Number(DataLocation.EXTERNAL)) {
    const place = externalOf(file, name, external);
    payload = { kind: 'external', location: place.location, offset: place.offset, length: place.length };
  } else if (inline && !encoded) payload = inline;
  else if (elements === 0) payload = { kind: 'inline', offset: message.start, length: 0 };
  else payload = { kind: 'encoded' };
  if (payload.kind !== 'encoded' && bytes !== undefined && payload.length !== null && payload.length !== elements * bytes) {
    throw corrupt(
      file,
      `"${name}" is ${dataTypeName(type)} [${dims.join(', ')}], ${elements * bytes} bytes, but holds ${payload.length}`,
    );
  }
  return { name, dataType: type, dims, elements, payload, message };
}

async function readGraph(reader: WireReader, length: number, into: OnnxStructure, budget: Budget): Promise<void> {
  const { file } = into;
  const inner = reader.within(length);
  while (!inner.done) {
    const start = inner.position;
    const { number, type, length: size } = await inner.field();
    if (number === field.graph.initializer && type === wire.bytes) {
      const initializer = await readInitializer(file, inner, size);
      into.initializers.set(initializer.name, initializer);
      continue;
    }
    const range = { start, end: inner.position + size };
    if (type === wire.bytes && number !== 2 && number !== 10) {
      budget.take(size);
      const bytes = await inner.bytes(size);
      decode(file, `the message at byte ${start}`, () => {
        if (number === field.graph.node) into.nodes.push(toNode(file, fromBinary(NodeProtoSchema, bytes), into.otherExternal));
        else if (number === field.graph.input) into.inputs.push(toValue(fromBinary(ValueInfoProtoSchema, bytes)));
        else if (number === field.graph.output) into.outputs.push(toValue(fromBinary(ValueInfoProtoSchema, bytes)));
        else if (number === field.graph.valueInfo) {
          const value = toValue(fromBinary(ValueInfoProtoSchema, bytes));
          into.valueInfo.set(value.name, value);
        } else if (number === field.graph.sparseInitializer) {
          const references = new References(file);
          const sparse = fromBinary(SparseTensorProtoSchema, bytes);
          references.tensor(sparse.values, 'a sparse initializer');
          references.tensor(sparse.indices, 'a sparse initializer');
          into.otherExternal.push(...references.external);
        }
      });
    } else await inner.skipValue(type, size);
    range.end = inner.position;
    into.graphFields.push(range);
  }
  reader.resumeAfter(inner);
}

/** Counts the bytes that are held in memory. */
class Budget {
  private used = 0;
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  take(size: number): void {
    this.used += size;
    if (this.used <= maxStructureBytes) return;
    throw new ForetuneError(
      'unsupported',
      `${this.file}: the graph without its weights is larger than ${maxStructureBytes / 2 ** 20} MiB; export it with weights as initializers.`,
    );
  }
}

/**
 * Reads what an ONNX file says about its graph: nodes, inputs, outputs and where each weight lies. Weights are jumped over, so
 * the cost follows the number of nodes, not the size of the file. Graph fields that occur several times are merged, as protobuf
 * does.
 * @throws ForetuneError `corrupt` for bytes that are no ONNX model, `unsupported` for a graph beyond bounds.
 */
export async function readStructure(source: ByteSource): Promise<OnnxStructure> {
  const file = source.name;
  const structure: OnnxStructure = {
    file,
    size: source.size,
    irVersion: 0,
    opsets: [],
    metadata: new Map(),
    nodes: [],
    inputs: [],
    outputs: [],
    valueInfo: new Map(),
    initializers: new Map(),
    otherExternal: [],
    functions: 0,
    modelFields: [],
    graphFields: [],
  };
  const reader = new WireReader(source);
  const budget = new Budget(file);
  let hasGraph = false;
  while (!reader.done) {
    const start = reader.position;
    const { number, type, length } = await reader.field();
    if (number === field.model.graph && type === wire.bytes) {
      hasGraph = true;
      await readGraph(reader, length, structure, budget);
      continue;
    }
    if (number === field.model.irVersion && type === wire.varint) structure.irVersion = await reader.varint();
    else if (type === wire.bytes && (number === field.model.opset || number === field.model.metadata)) {
      budget.take(length);
      const bytes = await reader.bytes(length);
      decode(file, `the message at byte ${start}`, () => {
        if (number === field.model.opset) {
          const { domain, version } = fromBinary(OperatorSetIdProtoSchema, bytes);
          structure.opsets.push({ domain, version: Number(version) });
        } else {
          const { key, value } = fromBinary(StringStringEntryProtoSchema, bytes);
          structure.metadata.set(key, value);
        }
      });
    } else {
      if (number === field.model.functions) structure.functions++;
      await reader.skipValue(type, length);
    }
    structure.modelFields.push({ start, end: reader.position });
  }
  if (!hasGraph || structure.nodes.length === 0 || structure.opsets.length === 0) {
    throw new ForetuneError(
      'corrupt',
      `${file} holds no ONNX graph (${source.size} bytes); it is empty, truncated or another kind of file.`,
    );
  }
  // Before IR version 4 every initializer was listed among the inputs too.
  structure.inputs = structure.inputs.filter(({ name }) => !structure.initializers.has(name));
  return structure;
}
