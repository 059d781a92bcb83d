import { createHash } from 'node:crypto';
import { constants, copyFile, link, mkdir, open, readdir, realpath, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';

let builds = 0;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * A folder of this process's own for one build. A graph is made in milliseconds, so folders are not shared: another build's
 * `dispose` could remove what is about to be loaded. Folders of processes that died on this machine are removed on the way.
 * @param kind begins the folder's name
 * @param key what is built, as a hexadecimal hash
 * @throws ForetuneError `no-space`, `not-found` or `unreadable`.
 */
export async function newBuildFolder(cacheDir: string, kind: string, key: string): Promise<string> {
  const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  const folder = join(cacheDir, `${kind}-${key}-${host}-${process.pid}-${builds++}`);
  const ours = new RegExp(`^${kind}-[0-9a-f]+-${host}-(\\d+)-\\d+$`);
  try {
    await mkdir(cacheDir, { recursive: true });
    for (const name of await readdir(cacheDir)) {
      const pid = Number(ours.exec(name)?.[1] ?? NaN);
      if (Number.isInteger(pid) && !isRunning(pid)) await rm(join(cacheDir, name), { recursive: true, force: true });
    }
    // What an earlier process with this number left behind.
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
  } catch (error) {
    throw writeError(folder, error);
  }
  return folder;
}

/**
 * Gives a file a second name in the cache, or copies it where the file systems differ or do not link. onnxruntime reads
 * weights only from the graph's own folder, and takes no symbolic link that leaves it.
 * @returns how it came there
 */
export async function linkOrCopy(from: string, to: string): Promise<'linked' | 'copied'> {
  try {
    // A hard link of a symbolic link would be a symbolic link.
    const file = await realpath(from);
    await mkdir(dirname(to), { recursive: true });
    try {
      await link(file, to);
      return 'linked';
    } catch {
      await copyFile(file, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      return 'copied';
    }
  } catch (error) {
    throw writeError(to, error);
  }
}

/** Values as their file's tensor type has them; bytes where they are not numbers of this machine's. */
type SideValues = Float32Array | Int8Array | Uint8Array;

/** A tensor to be written into a side file; its values are asked for when it is its turn. */
export interface SideTensor {
  name: string;
  values: () => SideValues | Promise<SideValues>;
}

const alignment = 64;

/** Writes tensors, as they are given, into a new file, one after the other. @returns each one's byte range */
export async function writeSideFile(
  path: string,
  tensors: Iterable<SideTensor>,
): Promise<Map<string, { offset: number; length: number }>> {
  const places = new Map<string, { offset: number; length: number }>();
  try {
    await using handle = await open(path, 'wx');
    let end = 0;
    for (const { name, values } of tensors) {
      const { buffer, byteOffset, byteLength } = await values();
      const offset = Math.ceil(end / alignment) * alignment;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      // One call writes at most 2 GiB and may write less than asked.
      for (let done = 0; done < byteLength;) {
        done += (await handle.write(bytes, done, Math.min(byteLength - done, 1 << 30), offset + done)).bytesWritten;
      }
      places.set(name, { offset, length: byteLength });
      end = offset + byteLength;
    }
  } catch (error) {
    throw writeError(path, error);
  }
  return places;
}
