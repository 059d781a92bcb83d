/** TensorProto.DataType (onnx.proto) of the types this program looks at. */
export const dataType = { float: 1, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10, double: 11, bfloat16: 16 } as const;

const names: Record<number, string> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
};

const sizes: Record<number, number> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  12: 4,
  13: 8,
  14: 8,
  15: 16,
  16: 2,
};

/** The type's name for sentences. */
export function dataTypeName(type: number): string {
  return names[type] ?? `type ${type}`;
}

/** Bytes of one element, or undefined for packed and unknown types. */
export function elementBytes(type: number): number | undefined {
  return sizes[type];
}

/** Is it one of the four floating-point types that weights come in? */
export function isFloat(type: number): boolean {
  return type === dataType.float || type === dataType.float16 || type === dataType.double || type === dataType.bfloat16;
}
