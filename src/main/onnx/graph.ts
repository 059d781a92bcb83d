import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import { type AddedInitializer, tensorMessage } from './append.ts';
import { dataType } from './dataTypes.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from './schema/onnx_pb.js';

/** A whole number, whole numbers, or a float (as onnx tells them apart by type, not by value). */
export type Attribute = number | readonly number[] | { float: number };

/** A dimension: a size, or a name where it is only known at run time. */
export type Dimension = number | string;

function attributeMessage(name: string, value: Attribute) {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
}

function valueMessage(name: string, elementType: number, dims: readonly Dimension[]) {
  const dim = dims.map((size) => ({
    value:
      typeof size === 'number' ? { case: 'dimValue' as const, value: BigInt(size) } : { case: 'dimParam' as const, value: size },
  }));
  return {
    name,
    type: { value: { case: 'tensorType' as const, value: { elemType: elementType, shape: { dim } } } },
  } satisfies MessageInitShape<typeof ValueInfoProtoSchema>;
}

/** Bytes of float32 values, little-endian. */
export function floatBytes(values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** Bytes of int64 values, little-endian. */
export function integerBytes(values: readonly number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

/**
 * Writes an ONNX graph operator by operator. Values are known by their names; every call that makes one returns its name.
 * Equal constants are stored once.
 */
export class GraphBuilder {
  readonly #nodes: MessageInitShape<typeof NodeProtoSchema>[] = [];
  readonly #initializers: MessageInitShape<typeof TensorProtoSchema>[] = [];
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #constants = new Map<string, string>();
  /** The type of floating-point values between inputs and outputs, which are float32 in any case. */
  readonly floatType: number;
  #scope = '';

  constructor({ float = 'float' }: { float?: 'float' | 'float16' } = {}) {
    this.floatType = dataType[float];
  }

  /** Prefixes the names of everything that `emit` adds: `encoder/layers.0/Gemm_7`. */
  scoped<T>(scope: string, emit: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${scope}/`;
    try {
      return emit();
    } finally {
      this.#scope = outer;
    }
  }

  /** An operator with several outputs. */
  nodes(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
    outputCount: number,
  ): string[] {
    const name = `${this.#scope}${opType}_${this.#nodes.length}`;
    const output = outputCount === 1 ? [name] : Array.from({ length: outputCount }, (_, index) => `${name}.${index}`);
    const attribute = Object.entries(attributes).map(([key, value]) => attributeMessage(key, value));
    this.#nodes.push({ opType, name, input: [...inputs], output, attribute });
    return output;
  }

  /** An operator with one output. */
  node(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.nodes(opType, inputs, attributes, 1)[0];
  }

  /** A tensor stored in the graph, or a byte range of another file in its folder. */
  initializer(tensor: AddedInitializer): string {
    this.#initializers.push(tensorMessage(tensor));
    return tensor.name;
  }

  #constant(kind: string, type: number, dims: readonly number[], data: Uint8Array): string {
    const key = `${kind}[${dims.join(',')}] ${Buffer.from(data).toString('base64')}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.initializer({ name: `constant_${this.#constants.size}`, dataType: type, dims, data });
    this.#constants.set(key, name);
    return name;
  }

  /** A floating-point constant: a scalar, or [n]. */
  floats(values: number | ArrayLike<number>): string {
    const value =
      typeof values === 'number'
        ? this.#constant('float', dataType.float, [], floatBytes([values]))
        : this.#constant('float', dataType.float, [values.length], floatBytes(values));
    return this.floatType === dataType.float ? value : this.node('Cast', [value], { to: this.floatType });
  }

  /** A float64 constant: a scalar. */
  double(value: number): string {
    return this.#constant('double', dataType.double, [], new Uint8Array(Float64Array.of(value).buffer));
  }

  /** An int64 constant: a scalar, or [n]. */
  integers(values: number | readonly number[]): string {
    return typeof values === 'number'
      ? this.#constant('int64', dataType.int64, [], integerBytes([values]))
      : this.#constant('int64', dataType.int64, [values.length], integerBytes(values));
  }

  /** A float32 input of the graph. */
  input(name: string, dims: readonly Dimension[]): string {
    this.#inputs.push(valueMessage(name, dataType.float, dims));
    return this.floatType === dataType.float ? name : this.node('Cast', [name], { to: this.floatType });
  }

  /** Makes `value` (float32) an output of the graph under a name of its own. */
  output(name: string, value: string, dims: readonly Dimension[]): string {
    const isCast = this.floatType !== dataType.float;
    const opType = isCast ? 'Cast' : 'Identity';
    const attribute = isCast ? [attributeMessage('to', dataType.float)] : [];
    this.#nodes.push({ opType, name: `${name}/${opType}`, input: [value], output: [name], attribute });
    this.#outputs.push(valueMessage(name, dataType.float, dims));
    return name;
  }

  /** The serialised model. Operators are those of opset 17 (LayerNormalization is its newest). */
  toModel(name: string): Uint8Array {
    const model = create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: 'foretune',
      opsetImport: [{ domain: '', version: 17n }],
      graph: {
        name,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }
}
