import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';

import { ForetuneError, toErrorValue } from '#shared/errors.ts';

/** A failed write as a sentence: `no-space` for a full or read-only disk, `unreadable` for a place that may not be written. */
export function writeError(path: string, error: unknown): ForetuneError {
  if (error instanceof ForetuneError) return error;
  const { code, message } = toErrorValue(error);
  const sentence =
    code === 'no-space'
      ? `${path} cannot be written: the disk is full or read-only (${message}); free some space or choose another folder.`
      : `${path} cannot be written: ${message}.`;
  return new ForetuneError(code, sentence, { cause: error });
}

/** A file that appears under its name only when it is complete: until then it is written beside it, under a temporary name. */
export interface AtomicFile {
  readonly handle: FileHandle;
  /** Writes all the bytes at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Makes the file durable and gives it its name, replacing what was there. */
  commit(): Promise<void>;
  /** Removes what was written. After `commit` it does nothing. */
  discard(): Promise<void>;
}

/** Bytes after which what was written so far is sent to the disk while more is being made, so that `commit` need not wait for all. */
const flushEvery = 32 * 2 ** 20;

/** One file at a time is flushed in the background: a sweep that writes many would fill the thread pool with waiting. */
let someFlushes = false;

/** Begins a file atomically. Throws `no-space`, `not-found` (no such folder) or `unreadable`; so do its methods. */
export async function createAtomicFile(path: string): Promise<AtomicFile> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.part`;
  const handle = await open(temporary, 'wx').catch((error: unknown) => {
    throw writeError(path, error);
  });
  let ended = false;
  let unflushed = 0;
  let flushing = Promise.resolve();

  async function flush(): Promise<void> {
    someFlushes = true;
    unflushed = 0;
    await handle.datasync().finally(() => {
      someFlushes = false;
    });
  }

  const file: AtomicFile = {
    handle,
    async write(bytes, position) {
      try {
        let done = 0;
        // One call writes at most 2 GiB and may write less than asked.
        while (done < bytes.byteLength) {
          const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.byteLength - done, 1 << 30), position + done);
          done += bytesWritten;
        }
        unflushed += bytes.byteLength;
        if (unflushed < flushEvery || someFlushes) return;
        // A system tells of a failed flush once only: `commit` must hear of this one.
        flushing = Promise.all([flushing, flush()]).then(() => undefined);
        flushing.catch(() => undefined);
      } catch (error) {
        throw writeError(path, error);
      }
    },
    async commit() {
      if (ended) return;
      try {
        await flushing;
        await handle.sync();
        await handle.close();
        await rename(temporary, path);
        ended = true;
      } catch (error) {
        await file.discard();
        throw writeError(path, error);
      }
    },
    async discard() {
      if (ended) return;
      ended = true;
      await flushing.catch(() => undefined);
      await handle.close().catch(() => undefined);
      await rm(temporary, { force: true });
    },
  };
  return file;
}
