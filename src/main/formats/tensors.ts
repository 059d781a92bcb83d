/** Element types of checkpoint tensors, in safetensors' names. */
export const dtypeBytes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

export type Dtype = keyof typeof dtypeBytes;

/** Where a tensor's values lie: nothing is read until it is asked for. */
export interface TensorRecord {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** The file that holds the bytes (absolute path). */
  file: string;
  /** First byte of the first element in that file. */
  offset: number;
  /** Bytes when contiguous: product of the shape times the element size. */
  length: number;
  /** Strides in elements, only where the values do not lie in row-major order (torch views). */
  strides?: number[];
}

/** An opened checkpoint: tensors by name, in the file's order. */
export interface Checkpoint {
  format: 'safetensors' | 'torch';
  /** The files it consists of (absolute paths), index file first if there is one. */
  files: string[];
  tensors: Map<string, TensorRecord>;
  /** Torch only: the dictionary the tensors were taken from, as dotted keys (`Upstream`); empty at the top level. */
  section?: string;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Row-major strides, in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** How many elements lie between the first and the last one a strided tensor touches, both included; 0 if it has none. */
export function elementSpan(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((last, size, axis) => last + (size - 1) * strides[axis], 1);
}
