import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { confineExternalData, relativeSteps } from '#main/onnx/externalData.ts';

import { exportBytes, externalise, structureOf } from './models.ts';

const bytes = exportBytes('hubert-plain.onnx');
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foretune-external-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A folder `name` with model.onnx pointing at `location`; its data lie in `dataAt` (relative to the folder). */
async function place(name: string, location: string, dataAt: string | null): Promise<{ file: string; data: Uint8Array }> {
  const folder = join(root, name);
  const { model, data } = externalise(bytes, location);
  await mkdir(join(folder, 'sub'), { recursive: true });
  await writeFile(join(folder, 'model.onnx'), model);
  if (dataAt !== null) await writeFile(join(folder, dataAt), data);
  return { file: join(folder, 'model.onnx'), data };
}

const confine = async (file: string, location: string) =>
  confineExternalData(file, await structureOf(externalise(bytes, location).model));

describe('confineExternalData', () => {
  it('finds files beside and below the model', async () => {
    const { file, data } = await place('plain', 'sub/weights.bin', 'sub/weights.bin');
    const files = await confine(file, 'sub/weights.bin');
    expect([...files.values()]).toEqual([
      { location: 'sub/weights.bin', path: join(root, 'plain/sub/weights.bin'), size: data.length },
    ]);
  });

  it('refuses locations that leave the folder', async () => {
    const { file } = await place('escape', 'x', null);
    await writeFile(join(root, 'x'), externalise(bytes, 'x').data);
    const locations = [
      '../x',
      'sub/../../x',
      join(root, 'x'),
      '/etc/passwd',
      'C:\\x',
      'C:x',
      '\\\\host\\share\\x',
      '..\\x',
      'a\0b',
      '',
      '.',
      './',
      '~/../../x',
    ];
    for (const location of locations) {
      await expect(confine(file, location), location).rejects.toMatchObject({ code: 'unsafe' });
    }
  });

  it('refuses a link out of the folder, allows one that stays inside', async () => {
    const { file } = await place('link', 'w.bin', 'sub/real.bin');
    await symlink(join(root, 'x'), join(root, 'link', 'w.bin'));
    await expect(confine(file, 'w.bin')).rejects.toMatchObject({ code: 'unsafe' });
    await symlink('sub/real.bin', join(root, 'link', 'inside.bin'));
    expect((await confine(file, 'inside.bin')).size).toBe(1);
    await symlink('..', join(root, 'link', 'up'));
    await expect(confine(file, 'up/x')).rejects.toMatchObject({ code: 'unsafe' });
  });

  it('judges a linked model by the folder it really lies in', async () => {
    const { file } = await place('real', 'w.bin', 'w.bin');
    await mkdir(join(root, 'elsewhere'));
    await symlink(file, join(root, 'elsewhere', 'model.onnx'));
    const files = await confine(join(root, 'elsewhere', 'model.onnx'), 'w.bin');
    expect(files.get('w.bin')?.path).toBe(join(root, 'real', 'w.bin'));
  });

  it('follows the links of a Hugging Face cache, and only into its blobs', async () => {
    const repository = join(root, 'models--a--b');
    const snapshot = join(repository, 'snapshots', '0123', 'onnx');
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(repository, 'blobs'));
    const { model, data } = externalise(bytes, 'model.onnx_data');
    await writeFile(join(repository, 'blobs', 'aaaa'), model);
    await writeFile(join(repository, 'blobs', 'bbbb'), data);
    await symlink('../../../blobs/aaaa', join(snapshot, 'model.onnx'));
    await symlink('../../../blobs/bbbb', join(snapshot, 'model.onnx_data'));
    await symlink(join(root, 'x'), join(snapshot, 'bad'));
    const file = join(snapshot, 'model.onnx');
    expect((await confine(file, 'model.onnx_data')).get('model.onnx_data')?.path).toBe(join(repository, 'blobs', 'bbbb'));
    await expect(confine(file, 'bad')).rejects.toMatchObject({ code: 'unsafe' });
    await expect(confine(file, '../model.onnx')).rejects.toMatchObject({ code: 'unsafe' });
  });

  it('names a missing file and a short one', async () => {
    const { file, data } = await place('missing', 'w.bin', null);
    await expect(confine(file, 'w.bin')).rejects.toMatchObject({
      code: 'not-found',
      message: `${file}: its weights file ${join(root, 'missing', 'w.bin')} does not exist; put it beside the model.`,
    });
    await writeFile(join(root, 'missing', 'w.bin'), data.subarray(0, 1000));
    await expect(confine(file, 'w.bin')).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('which has 1000 bytes') as string,
    });
    await expect(confine(file, 'sub')).rejects.toMatchObject({ code: 'unreadable' });
  });
});

describe('relativeSteps', () => {
  it('splits a plain relative path', () => {
    expect(relativeSteps('./a//b.bin')).toEqual(['a', 'b.bin']);
    expect(relativeSteps('..a/b')).toEqual(['..a', 'b']);
  });
});
