import { type FileHandle, open } from 'node:fs/promises';

import { ForetuneError, toErrorValue } from '#shared/errors.ts';

/** A read-only run of bytes that is opened lazily: a file, a part of one, or memory (in tests and fuzzing). */
export interface ByteSource {
  /** What error sentences call it: usually the file's path. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`, in a buffer of their own that has nothing else in it. Throws `corrupt` if the source is shorter. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new ForetuneError(
      'corrupt',
      `${source.name}: asked for ${length} bytes at ${offset}, which is no byte range; the file is corrupt.`,
    );
  }
  const missing = offset + length - source.size;
  if (missing > 0) {
    throw new ForetuneError(
      'corrupt',
      `${source.name}: expected ${missing} more bytes after byte ${source.size}; the file is truncated or corrupt.`,
    );
  }
}

/** Opens a file for positional reads. Throws `not-found` or `unreadable`. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle;
  let size: number;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) {
      await handle.close();
      throw new ForetuneError('unreadable', `${path} is not a file.`);
    }
    size = stat.size;
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    const { code, message } = toErrorValue(error);
    throw new ForetuneError(code, code === 'not-found' ? `${path} does not exist.` : `${path} cannot be read: ${message}.`, {
      cause: error,
    });
  }
  const source: ByteSource = {
    name: path,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(length);
      let done = 0;
      // One call reads at most 2 GiB and may return less than asked.
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), offset + done);
        if (bytesRead === 0) checkRange(source, size, length - done);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
  return source;
}

/** Memory as a byte source. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.byteLength,
    read: (offset, length) =>
      Promise.resolve().then(() => {
        checkRange(source, offset, length);
        return new Uint8Array(bytes.subarray(offset, offset + length));
      }),
    close: () => Promise.resolve(),
  };
  return source;
}
