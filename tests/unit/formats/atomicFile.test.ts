import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createAtomicFile } from '#main/formats/atomicFile.ts';

const part = 16 * 2 ** 20;

describe('a file that appears when it is complete', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'foretune-atomic-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('is sent to the disk on the way, and whole under its name', async () => {
    const path = join(folder, 'weights');
    const file = await createAtomicFile(path);
    const flush = vi.spyOn(file.handle, 'datasync');
    for (let i = 0; i < 3; i++) await file.write(new Uint8Array(part).fill(i + 1), i * part);
    expect(flush).toHaveBeenCalledTimes(1);
    expect(readdirSync(folder)).not.toContain('weights');
    await file.commit();
    const bytes = readFileSync(path);
    expect([bytes.length, bytes[0], bytes[part], bytes[3 * part - 1]]).toEqual([3 * part, 1, 2, 3]);
    expect(readdirSync(folder)).toEqual(['weights']);
  });

  test('does not appear where the disk failed on the way', async () => {
    const file = await createAtomicFile(join(folder, 'weights'));
    vi.spyOn(file.handle, 'datasync').mockRejectedValueOnce(Object.assign(new Error('i/o error, fdatasync'), { code: 'EIO' }));
    await file.write(new Uint8Array(2 * part), 0);
    await file.write(new Uint8Array(part), 2 * part);
    await expect(file.commit()).rejects.toThrow(/weights cannot be written: i\/o error/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
