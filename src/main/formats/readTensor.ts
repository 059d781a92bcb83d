import { type ByteSource, openFile } from './bytes.ts';
import { decodeBfloat16, decodeHalf } from './halfFloat.ts';
import { type Dtype, dtypeBytes, elementCount, elementSpan, type TensorRecord } from './tensors.ts';

/** Little-endian elements as float32. F64 and 64-bit integers are rounded. */
export function decodeValues(bytes: Uint8Array, dtype: Dtype): Float32Array {
  const size = dtypeBytes[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const range = [aligned.buffer, aligned.byteOffset, aligned.byteLength / size] as const;
  switch (dtype) {
    case 'F32':
      return new Float32Array(...range);
    case 'F16':
      return decodeHalf(new Uint16Array(...range));
    case 'BF16':
      return decodeBfloat16(new Uint16Array(...range));
    case 'F64':
      return Float32Array.from(new Float64Array(...range));
    case 'I64':
      return Float32Array.from(new BigInt64Array(...range), Number);
    case 'I32':
      return Float32Array.from(new Int32Array(...range));
    case 'I16':
      return Float32Array.from(new Int16Array(...range));
    case 'I8':
      return Float32Array.from(new Int8Array(...range));
    case 'U8':
      return Float32Array.from(new Uint8Array(...range));
    case 'BOOL':
      return Float32Array.from(new Uint8Array(...range), (byte) => (byte ? 1 : 0));
  }
}

/** Strided elements in row-major order. `values` starts at the tensor's first element; strides in elements. */
export function gatherStrided(values: Float32Array, shape: readonly number[], strides: readonly number[]): Float32Array {
  const count = elementCount(shape);
  const gathered = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < count; to++) {
    gathered[to] = values[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return gathered;
}

/**
 * Reads one tensor as float32 in row-major order, [product of its shape].
 * `source` is the opened `record.file`, for a caller that reads many tensors; else the file is opened and closed here.
 * Throws what opening and reading the file throws: `not-found`, `unreadable`, `corrupt`.
 */
export async function readTensor(record: TensorRecord, source?: ByteSource): Promise<Float32Array> {
  const { dtype, shape, strides, offset, length } = record;
  const opened = source ?? (await openFile(record.file));
  try {
    if (strides === undefined) return decodeValues(await opened.read(offset, length), dtype);
    const values = decodeValues(await opened.read(offset, elementSpan(shape, strides) * dtypeBytes[dtype]), dtype);
    return gatherStrided(values, shape, strides);
  } finally {
    if (source === undefined) await opened.close();
  }
}
