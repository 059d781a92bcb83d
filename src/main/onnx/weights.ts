import { fromBinary } from '@bufbuild/protobuf';

import { type ByteSource } from '#main/formats/bytes.ts';
import { encodeBfloat16, encodeHalf } from '#main/formats/halfFloat.ts';
import { decodeValues } from '#main/formats/readTensor.ts';
import { createRandom } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { dataType } from './dataTypes.ts';
import { TensorProtoSchema } from './schema/onnx_pb.js';
import { type OnnxInitializer } from './structure.ts';

const dtypes = {
  [dataType.float]: 'F32',
  [dataType.float16]: 'F16',
  [dataType.bfloat16]: 'BF16',
  [dataType.double]: 'F64',
} as const;

type FloatType = keyof typeof dtypes;

/** An initializer's values as float32 (float64 is rounded). `source` is the file that holds its payload, the model's own for encoded ones. */
export async function readFloats(
  source: ByteSource,
  { name, dataType: type, payload, message, elements }: OnnxInitializer,
): Promise<Float32Array> {
  const dtype = dtypes[type as FloatType];
  if (payload.kind === 'encoded') {
    const bytes = await source.read(message.start, message.end - message.start);
    let tensor;
    try {
      tensor = fromBinary(TensorProtoSchema, bytes);
    } catch (error) {
      throw new ForetuneError('corrupt', `${source.name}: the values of "${name}" cannot be decoded; the ONNX file is corrupt.`, {
        cause: error,
      });
    }
    const { floatData, doubleData, int32Data } = tensor;
    const values =
      dtype === 'F32' || dtype === 'F64'
        ? Float32Array.from(dtype === 'F32' ? floatData : doubleData)
        : decodeValues(new Uint8Array(Uint16Array.from(int32Data).buffer), dtype);
    if (values.length !== elements) {
      throw new ForetuneError(
        'corrupt',
        `${source.name}: "${name}" should hold ${elements} values but holds ${values.length}; the ONNX file is corrupt.`,
      );
    }
    return values;
  }
  return decodeValues(
    await source.read(payload.offset, payload.length ?? elements * { F32: 4, F16: 2, BF16: 2, F64: 8 }[dtype]),
    dtype,
  );
}

/**
 * Gaussian values with the mean and the (population) standard deviation of a tensor's own: the random-weights control keeps the
 * scale of every weight. A tensor with infinite values, such as a mask, stays as it is.
 * @param seed together with the tensor's name it decides the values
 */
export function gaussianLike(values: Float32Array, seed: number, name: string): Float32Array {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  if (!Number.isFinite(mean) || !Number.isFinite(deviation)) return values;
  const random = createRandom(`${seed}:${name}`);
  const result = new Float32Array(values.length);
  for (let i = 0; i < result.length; i++) result[i] = mean + deviation * random.normal();
  return result;
}

/** Float32 values as little-endian elements of a float type. */
export function encodeFloats(values: Float32Array, type: number): Uint8Array {
  const encode = {
    F32: () => values,
    F16: () => encodeHalf(values),
    BF16: () => encodeBfloat16(values),
    F64: () => Float64Array.from(values),
  };
  const encoded = encode[dtypes[type as FloatType]]();
  return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}
