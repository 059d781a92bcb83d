import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { linkOrCopy, newBuildFolder, writeSideFile } from '#main/models/cacheFolder.ts';

const link = vi.hoisted(() => vi.fn<(from: string, to: string) => Promise<void>>());
vi.mock('node:fs/promises', async (load) => ({ ...(await load<Record<string, unknown>>()), link }));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foretune-cache-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('the cache', () => {
  it('copies where hard links cannot be made, and says so', async () => {
    link.mockRejectedValueOnce(Object.assign(new Error('cross-device link'), { code: 'EXDEV' }));
    await writeFile(join(root, 'weights'), 'abc');
    expect(await linkOrCopy(join(root, 'weights'), join(root, 'copy'))).toBe('copied');
    expect(await readFile(join(root, 'copy'), 'utf8')).toBe('abc');
    expect((await stat(join(root, 'copy'))).ino).not.toBe((await stat(join(root, 'weights'))).ino);
  });

  it('refuses in one sentence what it cannot write', async () => {
    link.mockResolvedValue();
    await expect(linkOrCopy(join(root, 'missing'), join(root, 'copy'))).rejects.toMatchObject({ code: 'not-found' });
    await expect(newBuildFolder(join(root, 'weights', 'below'), 'encoder', 'ab')).rejects.toMatchObject({
      name: 'ForetuneError',
    });
    await expect(writeSideFile(join(root, 'nowhere', 'x'), [])).rejects.toMatchObject({ code: 'not-found' });
  });

  it('lays tensors out one after the other, aligned', async () => {
    const path = join(root, 'side.bin');
    const places = await writeSideFile(path, [
      { name: 'a', values: () => Float32Array.of(1, 2, 3) },
      { name: 'b', values: () => Promise.resolve(Float32Array.of(4)) },
    ]);
    expect(places).toEqual(
      new Map([
        ['a', { offset: 0, length: 12 }],
        ['b', { offset: 64, length: 4 }],
      ]),
    );
    const bytes = await readFile(path);
    expect([bytes.readFloatLE(8), bytes.readFloatLE(64), bytes.length]).toEqual([3, 4, 68]);
  });
});
