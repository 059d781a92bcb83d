import { create, toBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '#main/onnx/schema/onnx_pb.js';

import { sessionOptions } from './providers.ts';

/** Rows of features that wait to be multiplied: capacity x width, row-major. */
export interface Rows {
  readonly data: Float32Array | Float64Array;
  readonly capacity: number;
  /** Rows filled so far. */
  rows: number;
}

/** Computes (X - s)'(X - s) through onnxruntime's GEMM, about forty times faster than loops in JavaScript (float64, two threads). */
export interface GramKernel {
  readonly width: number;
  /** Adds (X - s)'(X - s) of the filled rows to `gram` (packed upper triangle, row-major); s is the shift, one number per column. */
  addTo(gram: Float64Array, x: Rows, shift: Float64Array): Promise<void>;
  close(): Promise<void>;
}

const { FLOAT: float, DOUBLE: double, INT64: int64 } = TensorProto_DataType;
const { INT: integer } = AttributeProto_AttributeType;

export function valueInfo(name: string, dims: (string | number)[], elemType = double) {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === 'number' ? { case: 'dimValue', value: BigInt(size) } : { case: 'dimParam', value: size },
    }),
  );
  const tensorType = create(TypeProto_TensorSchema, { elemType, shape: create(TensorShapeProtoSchema, { dim }) });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}

/**
 * x (float32 or float64) is split into column blocks, each becomes float64 less its part of the shift, and one Gemm per upper block
 * gives g_ij = x_i' x_j: the features are read as the encoder wrote them, only the upper half is computed, and what a Gemm reads
 * still lies in the cache.
 */
function gramGraph(bounds: number[], type: typeof float | typeof double): Uint8Array {
  const count = bounds.length - 1;
  const width = bounds[count];
  const sizes = Array.from({ length: count }, (_, block) => bounds[block + 1] - bounds[block]);
  const int = (name: string, i: number | bigint) => create(AttributeProtoSchema, { name, type: integer, i: BigInt(i) });
  const names = (prefix: string) => sizes.map((_, block) => `${prefix}${block}`);
  const blocks = names('x');
  const split = (input: string, output: string[], axis: number) =>
    create(NodeProtoSchema, { opType: 'Split', input: [input, 'sizes'], output, attribute: [int('axis', axis)] });
  const nodes = [
    split('x', names('narrow'), 1),
    split('shift', names('shift'), 0),
    ...blocks.flatMap((block, i) => [
      create(NodeProtoSchema, { opType: 'Cast', input: [`narrow${i}`], output: [`wide${i}`], attribute: [int('to', double)] }),
      create(NodeProtoSchema, { opType: 'Sub', input: [`wide${i}`, `shift${i}`], output: [block] }),
    ]),
  ];
  const outputs = [];
  for (let i = 0; i < count; i++) {
    for (let j = i; j < count; j++) {
      const output = `g${i}_${j}`;
      nodes.push(
        create(NodeProtoSchema, {
          opType: 'Gemm',
          input: [blocks[i], blocks[j]],
          output: [output],
          attribute: [int('transA', 1)],
        }),
      );
      outputs.push(valueInfo(output, [sizes[i], sizes[j]]));
    }
  }
  const graph = create(GraphProtoSchema, {
    name: 'gram',
    node: nodes,
    initializer: [
      create(TensorProtoSchema, { name: 'sizes', dataType: int64, dims: [BigInt(count)], int64Data: sizes.map(BigInt) }),
    ],
    input: [valueInfo('x', ['rows', width], type), valueInfo('shift', [width])],
    output: outputs,
  });
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })],
      graph,
    }),
  );
}

/** Adds a block of X'X (rows bounds[i].., columns bounds[j]..) to the packed upper triangle of a d x d matrix. */
function addBlock(gram: Float64Array, d: number, block: Float64Array, bounds: number[], i: number, j: number): void {
  const columns = bounds[j + 1] - bounds[j];
  for (let r = bounds[i]; r < bounds[i + 1]; r++) {
    const from = i === j ? r - bounds[i] : 0;
    let target = r * d - (r * (r - 1)) / 2 + (bounds[j] + from - r);
    let source = (r - bounds[i]) * columns + from;
    for (let c = from; c < columns; c++) gram[target++] += block[source++];
  }
}

/** Rows of one type. Frames stay float32, as encoders give them; means over frames have digits that only float64 holds. */
export function createRows(kind: 'float32' | 'float64', capacity: number, width: number): Rows {
  const length = capacity * width;
  return { data: kind === 'float32' ? new Float32Array(length) : new Float64Array(length), capacity, rows: 0 };
}

/** Columns of a block, about: narrower ones save more of the lower half, but a Gemm of wider ones runs faster. */
const blockColumns = 128;

/** Opens the kernel for features of one width. */
export async function openGramKernel(width: number, threads: number): Promise<GramKernel> {
  const count = Math.max(1, Math.round(width / blockColumns));
  const bounds = Array.from({ length: count + 1 }, (_, i) => Math.round((i * width) / count));
  const open = (type: typeof float | typeof double) =>
    InferenceSession.create(gramGraph(bounds, type), sessionOptions('cpu', threads));
  const [ofFloat, ofDouble] = [await open(float), await open(double)];
  return {
    width,
    async addTo(gram, { data, rows }, shift) {
      if (rows === 0) return;
      const filled = data.subarray(0, rows * width);
      const isFloat = filled instanceof Float32Array;
      const x = isFloat ? new Tensor('float32', filled, [rows, width]) : new Tensor('float64', filled, [rows, width]);
      const results = await (isFloat ? ofFloat : ofDouble).run({ x, shift: new Tensor('float64', shift, [width]) });
      for (let i = 0; i < count; i++) {
        for (let j = i; j < count; j++) addBlock(gram, width, results[`g${i}_${j}`].data as Float64Array, bounds, i, j);
      }
    },
    async close() {
      await ofFloat.release();
      await ofDouble.release();
    },
  };
}
