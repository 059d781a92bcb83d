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
} from '#main/onnx/schema/onnx_pb.js';

import { valueInfo } from './gram.ts';
import { sessionOptions } from './providers.ts';

/** Computes (X - s)'(Y - t) of two sets of rows in float64, through onnxruntime's GEMM. */
export interface CrossGramKernel {
  /** Adds to `cross` [dx, dy]; x is [rows, dx], y [rows, dy], as encoders write them. */
  addTo(
    cross: Float64Array,
    x: Float32Array,
    y: Float32Array,
    rows: number,
    shiftX: Float64Array,
    shiftY: Float64Array,
  ): Promise<void>;
  close(): Promise<void>;
}

const { FLOAT: float, DOUBLE: double } = TensorProto_DataType;

function crossGraph(): Uint8Array {
  const int = (name: string, value: number) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  const shifted = (side: 'x' | 'y') => [
    create(NodeProtoSchema, { opType: 'Cast', input: [side], output: [`${side}.wide`], attribute: [int('to', double)] }),
    create(NodeProtoSchema, { opType: 'Sub', input: [`${side}.wide`, `${side}.shift`], output: [`${side}.shifted`] }),
  ];
  const product = create(NodeProtoSchema, {
    opType: 'Gemm',
    input: ['x.shifted', 'y.shifted'],
    output: ['cross'],
    attribute: [int('transA', 1)],
  });
  const graph = create(GraphProtoSchema, {
    name: 'crossGram',
    node: [...shifted('x'), ...shifted('y'), product],
    input: [
      valueInfo('x', ['rows', 'dx'], float),
      valueInfo('y', ['rows', 'dy'], float),
      valueInfo('x.shift', ['dx']),
      valueInfo('y.shift', ['dy']),
    ],
    output: [valueInfo('cross', ['dx', 'dy'])],
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph }));
}

export async function openCrossGramKernel(threads: number): Promise<CrossGramKernel> {
  const session = await InferenceSession.create(crossGraph(), sessionOptions('cpu', threads));
  return {
    async addTo(cross, x, y, rows, shiftX, shiftY) {
      const [dx, dy] = [shiftX.length, shiftY.length];
      const results = await session.run({
        x: new Tensor('float32', x.subarray(0, rows * dx), [rows, dx]),
        y: new Tensor('float32', y.subarray(0, rows * dy), [rows, dy]),
        'x.shift': new Tensor('float64', shiftX, [dx]),
        'y.shift': new Tensor('float64', shiftY, [dy]),
      });
      const product = results.cross.data as Float64Array;
      for (let i = 0; i < product.length; i++) cross[i] += product[i];
    },
    close: () => session.release(),
  };
}
