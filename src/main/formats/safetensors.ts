import { resolve } from 'node:path';

import { ForetuneError } from '#shared/errors.ts';

import { type ByteSource, openFile } from './bytes.ts';
import { isJsonObject, parseJson } from './json.ts';
import { openShards } from './shardIndex.ts';
import { type Checkpoint, type Dtype, dtypeBytes, elementCount, type TensorRecord } from './tensors.ts';

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then
 * the tensors' bytes without holes. https://huggingface.co/docs/safetensors
 */
const maxHeaderBytes = 100_000_000;

const unreadDtypes = new Set(['U16', 'U32', 'U64', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F4', 'F6_E2M3', 'F6_E3M2', 'C64']);

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isDtype(value: string): value is Dtype {
  return Object.hasOwn(dtypeBytes, value);
}

/** One header entry as a record, checked against the `dataLength` bytes that follow the header. */
function tensorRecord(file: string, name: string, entry: unknown, dataStart: number, dataLength: number): TensorRecord {
  const refuse = (why: string) => new ForetuneError('corrupt', `${file}: tensor "${name}" ${why}; the header is corrupt.`);
  if (!isJsonObject(entry)) throw refuse('has no description');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') throw refuse('has no dtype');
  if (unreadDtypes.has(dtype)) {
    throw new ForetuneError('unsupported', `${file}: tensor "${name}" has type ${dtype}, which Foretune does not read.`);
  }
  if (!isDtype(dtype)) throw refuse(`has the unknown type "${dtype}"`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw refuse('has no shape of whole numbers');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw refuse('has no data_offsets of two whole numbers');
  const [begin, end] = offsets;
  const length = elementCount(shape) * dtypeBytes[dtype];
  if (!Number.isSafeInteger(length)) throw refuse(`has the impossible shape [${shape.join(', ')}]`);
  if (end - begin !== length) {
    throw refuse(`spans ${end - begin} bytes where ${dtype} [${shape.join(', ')}] needs ${length}`);
  }
  if (end > dataLength) {
    throw new ForetuneError(
      'corrupt',
      `${file}: tensor "${name}" ends ${end - dataLength} bytes after the end of the file (${dataStart + dataLength} bytes); the file is truncated or corrupt.`,
    );
  }
  return { name, dtype, shape, file, offset: dataStart + begin, length };
}

/** The tensors of one safetensors source, in the order of their bytes. Throws `corrupt` or `unsupported`. */
export async function readSafetensorsHeader(source: ByteSource): Promise<TensorRecord[]> {
  const { name: file, size } = source;
  if (size < 8) throw new ForetuneError('corrupt', `${file} has ${size} bytes, too few for a safetensors file; it is truncated.`);
  const headerLength = Number(new DataView((await source.read(0, 8)).buffer).getBigUint64(0, true));
  if (headerLength > size - 8) {
    throw new ForetuneError(
      'corrupt',
      `${file}: header says ${headerLength} bytes but the file has ${size}; it is truncated or not a safetensors file.`,
    );
  }
  if (headerLength > maxHeaderBytes) {
    throw new ForetuneError(
      'corrupt',
      `${file}: header says ${headerLength} bytes, more than the format allows (${maxHeaderBytes}).`,
    );
  }
  const header = parseJson(await source.read(8, headerLength), `${file}: the header of ${headerLength} bytes`);
  if (!isJsonObject(header)) throw new ForetuneError('corrupt', `${file}: the header is not a JSON object.`);

  const dataStart = 8 + headerLength;
  const dataLength = size - dataStart;
  const records = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => tensorRecord(file, name, entry, dataStart, dataLength))
    .sort((a, b) => a.offset - b.offset || a.length - b.length);

  let end = dataStart;
  let previous = 'the header';
  for (const record of records) {
    if (record.offset < end) {
      throw new ForetuneError(
        'corrupt',
        `${file}: tensor "${record.name}" overlaps ${previous} by ${end - record.offset} bytes; the header is corrupt.`,
      );
    }
    if (record.offset > end) {
      throw new ForetuneError(
        'corrupt',
        `${file}: ${record.offset - end} bytes before tensor "${record.name}" belong to no tensor; the header is corrupt.`,
      );
    }
    end = record.offset + record.length;
    previous = `tensor "${record.name}"`;
  }
  if (end < size) {
    throw new ForetuneError(
      'corrupt',
      `${file}: the last ${size - end} bytes belong to no tensor; header says ${end} bytes but the file has ${size}.`,
    );
  }
  return records;
}

async function openSafetensorsFile(path: string): Promise<Checkpoint> {
  const source = await openFile(path);
  try {
    const records = await readSafetensorsHeader(source);
    return { format: 'safetensors', files: [path], tensors: new Map(records.map((record) => [record.name, record])) };
  } finally {
    await source.close();
  }
}

/**
 * Opens a `.safetensors` file, or the `*.safetensors.index.json` of a sharded one; reads headers only.
 * Throws `not-found`, `corrupt`, `unsupported` (a type Foretune does not read), `mismatch` (tensors missing from their shard)
 * or `unsafe` (a shard outside the folder).
 */
export async function openSafetensors(path: string): Promise<Checkpoint> {
  const file = resolve(path);
  return file.endsWith('.json') ? openShards(file, openSafetensorsFile) : openSafetensorsFile(file);
}

/** What the header needs to know of a tensor to be written. */
export interface TensorLayout {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

/**
 * The first bytes of a safetensors file whose tensors follow in the order given, and where each will lie in the file.
 * Padded with spaces so that the data start at a multiple of 8. Throws `mismatch` for a name given twice.
 */
export function encodeSafetensorsHeader(
  layouts: readonly TensorLayout[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): { header: Uint8Array; offsets: Map<string, number>; fileSize: number } {
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  const begins = new Map<string, number>();
  let end = 0;
  for (const { name, dtype, shape } of layouts) {
    if (begins.has(name) || name === '__metadata__') {
      throw new ForetuneError('mismatch', `tensor "${name}" cannot be written twice into one safetensors file.`);
    }
    const begin = end;
    begins.set(name, begin);
    end += elementCount(shape) * dtypeBytes[dtype];
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const dataStart = 8 + Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(dataStart).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  header.set(json, 8);
  const offsets = new Map([...begins].map(([name, begin]) => [name, dataStart + begin]));
  return { header, offsets, fileSize: dataStart + end };
}
