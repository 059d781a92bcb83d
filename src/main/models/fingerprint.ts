import { createHash } from 'node:crypto';

import { type ByteSource, openFile } from '#main/formats/bytes.ts';
import { dtypeBytes, elementSpan, type TensorRecord } from '#main/formats/tensors.ts';

const sampleBytes = 1024;

/** First bytes of the samples of a run of `length` bytes: at its beginning, its middle and its end. */
function sampleStarts(length: number): number[] {
  const last = Math.max(0, length - sampleBytes);
  return [...new Set([0, Math.floor(last / 2), last])];
}

/**
 * SHA-256, in hexadecimal, over texts that describe a model and over name, type, shape and three kilobytes of each of its tensors.
 * The order of tensors and the files they lie in do not matter; weights are sampled, never read as a whole.
 */
export async function fingerprintOf(texts: readonly Uint8Array[], tensors: ReadonlyMap<string, TensorRecord>): Promise<string> {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.byteLength}\0`).update(text);
  const sources = new Map<string, ByteSource>();
  try {
    for (const [name, { dtype, shape, strides, file, offset, length }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
      let source = sources.get(file);
      if (!source) sources.set(file, (source = await openFile(file)));
      hash.update(`${name}\0${dtype}\0${shape.join(',')}\0${strides?.join(',') ?? ''}\0`);
      const span = strides ? elementSpan(shape, strides) * dtypeBytes[dtype] : length;
      for (const start of sampleStarts(span)) hash.update(await source.read(offset + start, Math.min(sampleBytes, span - start)));
    }
  } finally {
    for (const source of sources.values()) await source.close();
  }
  return hash.digest('hex');
}
