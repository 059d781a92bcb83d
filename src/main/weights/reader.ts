import { type FileHandle, open } from 'node:fs/promises';

import { decodeBfloat16, decodeHalf } from '#main/formats/halfFloat.ts';
import { type Dtype, dtypeBytes, elementCount, elementSpan, type TensorRecord } from '#main/formats/tensors.ts';
import { type Values } from '#main/merging/method.ts';
import { type FloatDtype } from '#main/merging/rounding.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

/** A tensor whose values do not lie in row-major order is put in order in memory, if it is no larger. */
const maxStridedBytes = 256e6;

/** Reads elements of tensors into memory that is used again and again; keeps the files open meanwhile. */
export class TensorReader {
  private readonly handles = new Map<string, Promise<FileHandle>>();
  /** The strided tensor that was put in order last. */
  private ordered: { record: TensorRecord; bytes: Promise<Uint8Array> } | undefined;

  private handle(path: string): Promise<FileHandle> {
    let handle = this.handles.get(path);
    if (!handle) {
      handle = open(path, 'r').catch((error: unknown) => {
        const { code, message } = toErrorValue(error);
        throw new ForetuneError(code, `${path} cannot be read: ${message}.`, { cause: error });
      });
      this.handles.set(path, handle);
    }
    return handle;
  }

  private async readBytes(path: string, offset: number, into: Uint8Array): Promise<void> {
    const handle = await this.handle(path);
    let done = 0;
    while (done < into.byteLength) {
      const { bytesRead } = await handle.read(into, done, Math.min(into.byteLength - done, 1 << 30), offset + done);
      if (bytesRead === 0)
        throw new ForetuneError(
          'corrupt',
          `${path}: expected ${into.byteLength - done} more bytes after byte ${offset + done}; the file is truncated or was changed.`,
        );
      done += bytesRead;
    }
  }

  /** `count` elements from `start`, in row-major order, into the first bytes of `into`. */
  async read(record: TensorRecord, start: number, count: number, into: Uint8Array): Promise<void> {
    const size = dtypeBytes[record.dtype];
    if (record.strides === undefined) {
      await this.readBytes(record.file, record.offset + start * size, into.subarray(0, count * size));
      return;
    }
    if (this.ordered?.record !== record) this.ordered = { record, bytes: this.readStrided(record) };
    into.set((await this.ordered.bytes).subarray(start * size, (start + count) * size));
  }

  private async readStrided(record: TensorRecord): Promise<Uint8Array> {
    const { name, file, dtype, shape, offset, length } = record;
    const strides = record.strides!;
    const size = dtypeBytes[dtype];
    const span = elementSpan(shape, strides) * size;
    if (Math.max(span, length) > maxStridedBytes) {
      throw new ForetuneError(
        'unsupported',
        `${file}: tensor "${name}" of ${length} bytes is not stored in row-major order; save the checkpoint again with .contiguous() tensors.`,
      );
    }
    const from = new Uint8Array(span);
    await this.readBytes(file, offset, from);
    const to = new Uint8Array(length);
    const index = new Array<number>(shape.length).fill(0);
    let at = 0;
    for (let element = 0, count = elementCount(shape); element < count; element++) {
      for (let byte = 0; byte < size; byte++) to[element * size + byte] = from[at * size + byte];
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        at += strides[axis];
        if (++index[axis] < shape[axis]) break;
        at -= strides[axis] * shape[axis];
        index[axis] = 0;
      }
    }
    return to;
  }

  async close(): Promise<void> {
    for (const handle of this.handles.values()) await handle.then((opened) => opened.close()).catch(() => undefined);
    this.handles.clear();
  }
}

/** The first `count` elements of little-endian bytes as numbers; float32 and float64 are looked at where they lie. */
export function viewValues(bytes: Uint8Array, count: number, dtype: FloatDtype): Values {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    case 'F64':
      return new Float64Array(bytes.buffer, bytes.byteOffset, count);
    case 'F16':
      return decodeHalf(new Uint16Array(bytes.buffer, bytes.byteOffset, count));
    case 'BF16':
      return decodeBfloat16(new Uint16Array(bytes.buffer, bytes.byteOffset, count));
  }
}

/** Memory for `count` elements, aligned for any type. */
export function allocate(count: number, dtype: Dtype): Uint8Array {
  return new Uint8Array(count * dtypeBytes[dtype]);
}
