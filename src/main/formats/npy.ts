import { ForetuneError } from '#shared/errors.ts';

import { createAtomicFile } from './atomicFile.ts';
import { type ByteSource, openFile } from './bytes.ts';
import { decodeHalf } from './halfFloat.ts';
import { elementCount } from './tensors.ts';

/**
 * NumPy's .npy: a magic, a version, a header that is a Python dictionary, then the array's bytes.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

/** Values by the array's type: floats up to 32 bits, 64-bit floats, whole numbers and booleans, strings. */
export type NpyData = Float32Array | Float64Array | Int32Array | string[];

export interface NpyArray {
  shape: number[];
  /** As in the file: `<f4`, `|b1`, `<U5`, ... */
  dtype: string;
  /** Row-major (C order), whatever the file's order. Whole numbers that do not fit in 32 bits come as Float64Array. */
  data: NpyData;
}

const magic = '\x93NUMPY';
const maxHeaderBytes = 1 << 20;
const maxStringUnits = 1 << 20;

interface NpyHeader {
  shape: number[];
  dtype: string;
  fortranOrder: boolean;
  /** First byte of the data. */
  dataStart: number;
}

async function readHeader(source: ByteSource): Promise<NpyHeader> {
  const { name, size } = source;
  const refuse = (why: string) => new ForetuneError('corrupt', `${name} ${why}.`);
  if (size < 10) throw refuse(`has ${size} bytes, too few for an .npy file; it is truncated`);
  const start = await source.read(0, Math.min(size, 12));
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (String.fromCharCode(...start.subarray(0, 6)) !== magic) throw refuse('is no .npy file: it does not begin with \\x93NUMPY');
  const version = start[6];
  if (version < 1 || version > 3)
    throw new ForetuneError('unsupported', `${name} is .npy version ${version}; Foretune reads versions 1 to 3.`);
  const lengthBytes = version === 1 ? 2 : 4;
  if (size < 8 + lengthBytes) throw refuse(`has ${size} bytes, too few for an .npy file; it is truncated`);
  const headerLength = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataStart = 8 + lengthBytes + headerLength;
  if (dataStart > size)
    throw refuse(`has a header that says ${headerLength} bytes but the file has ${size}; it is truncated or corrupt`);
  if (headerLength > maxHeaderBytes)
    throw refuse(`has a header of ${headerLength} bytes, more than an array needs (${maxHeaderBytes})`);
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(await source.read(8 + lengthBytes, headerLength));

  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1];
  const axes = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (order === undefined || axes === undefined) throw refuse('has a header without shape and order; it is corrupt');
  const dtype = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(text)?.[1];
  if (dtype === undefined)
    throw new ForetuneError('unsupported', `${name} holds records or an unnamed type; Foretune reads arrays of one simple type.`);
  const shape = axes
    .split(',')
    .filter((axis) => axis.trim() !== '')
    .map((axis) => Number(axis.replace('L', '')));
  if (!shape.every((axis) => Number.isSafeInteger(axis))) throw refuse(`has a header with the impossible shape (${axes})`);
  return { shape, dtype, fortranOrder: order === 'True', dataStart };
}

/** Reverses the bytes of each element in place: big-endian to little-endian or back. */
function swapBytes(bytes: Uint8Array, itemSize: number): void {
  for (let begin = 0; begin < bytes.length; begin += itemSize) bytes.subarray(begin, begin + itemSize).reverse();
}

/** 64-bit or unsigned values as Int32Array where they all fit, or else as Float64Array. Undefined if one exceeds 2^53. */
function wholeNumbers(values: BigInt64Array | BigUint64Array | Uint32Array): Int32Array | Float64Array | undefined {
  const numbers = new Float64Array(values.length);
  let fits = true;
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (!Number.isSafeInteger(value)) return undefined;
    if (value !== (value | 0)) fits = false;
    numbers[i] = value;
  }
  return fits ? Int32Array.from(numbers) : numbers;
}

/** UTF-32 strings of fixed width, padded with NUL. Undefined if one holds what is no character. */
function unicodeStrings(units: Uint32Array, width: number, count: number): string[] | undefined {
  const strings: string[] = [];
  for (let i = 0; i < count; i++) {
    let end = (i + 1) * width;
    while (end > i * width && units[end - 1] === 0) end--;
    let text = '';
    for (let at = i * width; at < end; at++) {
      if (units[at] > 0x10ffff) return undefined;
      text += String.fromCodePoint(units[at]);
    }
    strings.push(text);
  }
  return strings;
}

function byteStrings(bytes: Uint8Array, width: number, count: number): string[] {
  const decoder = new TextDecoder('latin1');
  return Array.from({ length: count }, (_, i) => decoder.decode(bytes.subarray(i * width, (i + 1) * width)).replace(/\0+$/, ''));
}

/** Fortran order to C order. */
function toRowMajor<Data extends NpyData>(data: Data, shape: readonly number[]): Data {
  const ordered = data.slice() as Data;
  const index = new Array<number>(shape.length).fill(0);
  const steps = shape.map((_, axis) => elementCount(shape.slice(0, axis)));
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    ordered[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < shape[axis]) break;
      from -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return ordered;
}

function decode(bytes: Uint8Array, kind: string, itemSize: number, count: number): NpyData | undefined {
  const { buffer } = bytes;
  switch (`${kind}${kind === 'U' || kind === 'S' ? '' : itemSize}`) {
    case 'f2':
      return decodeHalf(new Uint16Array(buffer));
    case 'f4':
      return new Float32Array(buffer);
    case 'f8':
      return new Float64Array(buffer);
    case 'i1':
      return Int32Array.from(new Int8Array(buffer));
    case 'i2':
      return Int32Array.from(new Int16Array(buffer));
    case 'i4':
      return new Int32Array(buffer);
    case 'i8':
      return wholeNumbers(new BigInt64Array(buffer));
    case 'u1':
      return Int32Array.from(bytes);
    case 'u2':
      return Int32Array.from(new Uint16Array(buffer));
    case 'u4':
      return wholeNumbers(new Uint32Array(buffer));
    case 'u8':
      return wholeNumbers(new BigUint64Array(buffer));
    case 'b1':
      return Int32Array.from(bytes, (byte) => (byte ? 1 : 0));
    case 'U':
      return unicodeStrings(new Uint32Array(buffer), itemSize / 4, count);
    default:
      return byteStrings(bytes, itemSize, count);
  }
}

const numberTypes = /^[<>|=](f[248]|[iu][1248]|b1)$/;
const stringTypes = /^[<>|=]([US])(\d{1,9})$/;

/** Reads an .npy array from a byte source. Errors as `readNpy`. */
export async function readNpySource(source: ByteSource): Promise<NpyArray> {
  const { shape, dtype, fortranOrder, dataStart } = await readHeader(source);
  const { name, size } = source;
  const string = stringTypes.exec(dtype);
  if (!numberTypes.test(dtype) && !string) {
    const what = dtype.endsWith('O') ? 'Python objects (a pickle)' : `the type "${dtype}"`;
    throw new ForetuneError('unsupported', `${name} holds ${what}; Foretune reads floats, whole numbers, booleans and strings.`);
  }
  const kind = dtype[1];
  const units = Number(dtype.slice(2));
  if (string && (units === 0 || units > maxStringUnits))
    throw new ForetuneError('unsupported', `${name} holds strings of ${units} characters.`);
  const itemSize = kind === 'U' ? 4 * units : units;
  const count = elementCount(shape);
  const length = count * itemSize;
  if (length !== size - dataStart) {
    throw new ForetuneError(
      'corrupt',
      `${name}: header says ${length} bytes (${dtype}, shape [${shape.join(', ')}]) but the file has ${size - dataStart} after it; it is truncated or corrupt.`,
    );
  }
  const bytes = await source.read(dataStart, length);
  if (dtype.startsWith('>') && kind !== 'S') swapBytes(bytes, kind === 'U' ? 4 : itemSize);
  const data = decode(bytes, kind, itemSize, count);
  if (data === undefined) {
    const why =
      kind === 'U' ? 'holds a string that is no Unicode text' : 'holds whole numbers beyond 2^53, which cannot be kept exactly';
    throw new ForetuneError(kind === 'U' ? 'corrupt' : 'unsupported', `${name} ${why}.`);
  }
  return { shape, dtype, data: fortranOrder && shape.length > 1 ? toRowMajor(data, shape) : data };
}

/**
 * Reads an .npy file: floats (16 to 64 bits), whole numbers, booleans and strings of either byte order, in C or Fortran order.
 * Throws `not-found`, `unreadable`, `corrupt` or `unsupported` (other types; whole numbers beyond 2^53).
 */
export async function readNpy(path: string): Promise<NpyArray> {
  const source = await openFile(path);
  try {
    return await readNpySource(source);
  } finally {
    await source.close();
  }
}

/** Version 1 header for float32 in C order. Always 128 bytes or more by 64, so that a longer shape fits in later. */
function encodeHeader(shape: readonly number[]): Uint8Array {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${axes}), }`;
  const length = Math.max(128, Math.ceil((10 + text.length + 1) / 64) * 64);
  const header = new Uint8Array(length).fill(0x20);
  header.set(Uint8Array.from(`${magic}\x01\x00`, (character) => character.charCodeAt(0)));
  new DataView(header.buffer).setUint16(8, length - 10, true);
  header.set(new TextEncoder().encode(text), 10);
  header[length - 1] = 0x0a;
  return header;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * Writes float32 values of a shape, row-major. The file appears when it is complete.
 * Throws `mismatch` (values do not fill the shape), `no-space`, `not-found` (no such folder) or `unreadable`.
 */
export async function writeNpy(path: string, shape: readonly number[], values: Float32Array): Promise<void> {
  if (elementCount(shape) !== values.length) {
    throw new ForetuneError('mismatch', `${path}: ${values.length} values do not fill the shape [${shape.join(', ')}].`);
  }
  const file = await createAtomicFile(path);
  try {
    const header = encodeHeader(shape);
    await file.write(header, 0);
    await file.write(bytesOf(values), header.length);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** A float32 [T, width] array written row by row, whose T is known at the end. */
export interface NpyWriter {
  /** Appends rows: float32 [n, width], row-major. */
  append(rows: Float32Array): Promise<void>;
  /** Writes the header and gives the file its name; returns T. */
  finish(): Promise<number>;
  /** Removes what was written; nothing to remove after `finish`. */
  discard(): Promise<void>;
}

/** Begins an .npy file of `width` columns. The file appears under its name at `finish`. Errors as `writeNpy`. */
export async function createNpyWriter(path: string, width: number): Promise<NpyWriter> {
  const file = await createAtomicFile(path);
  const headerLength = encodeHeader([0, width]).length;
  let rowCount = 0;
  return {
    async append(rows) {
      if (rows.length % width !== 0) {
        throw new ForetuneError('mismatch', `${path}: ${rows.length} values are no whole rows of ${width} columns.`);
      }
      await file.write(bytesOf(rows), headerLength + 4 * width * rowCount);
      rowCount += rows.length / width;
    },
    async finish() {
      await file.write(encodeHeader([rowCount, width]), 0);
      await file.commit();
      return rowCount;
    },
    discard: () => file.discard(),
  };
}
