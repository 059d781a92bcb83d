import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { writeError } from '#main/formats/atomicFile.ts';
import { createNpyWriter, readNpy, writeNpy } from '#main/formats/npy.ts';

// Written by NumPy 2.4 (tests/golden/make/npy.py); nothing is rounded, so nothing may differ.
import goldenJson from '../../golden/npy/expected.json' with { type: 'json' };

const expected: Record<string, { shape: number[]; dtype: string; values: unknown }> = goldenJson;
const golden = (name: string) => resolve(import.meta.dirname, '../../golden/npy', `${name}.npy`);
const folder = mkdtempSync(join(tmpdir(), 'foretune-npy-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('readNpy', () => {
  it.each(Object.keys(expected))('reads %s as NumPy wrote it', async (name) => {
    const { shape, dtype, values } = expected[name];
    const array = await readNpy(golden(name));
    expect(array.shape).toEqual(shape);
    expect(array.dtype).toBe(dtype);
    const wanted = [values].flat().map((value) => (typeof value === 'boolean' ? Number(value) : value));
    expect([...array.data]).toEqual(wanted);
  });

  it('gives whole numbers as Int32Array where they fit', async () => {
    expect((await readNpy(golden('int_i8_little'))).data).toBeInstanceOf(Int32Array);
    expect((await readNpy(golden('large_i8'))).data).toBeInstanceOf(Float64Array);
  });

  const refusals: [string, string, string][] = [
    ['object', 'unsupported', 'holds Python objects (a pickle)'],
    ['complex', 'unsupported', 'holds the type "<c16"'],
    ['records', 'unsupported', 'holds records'],
    ['too_large', 'unsupported', 'whole numbers beyond 2^53'],
  ];
  it.each(refusals)('refuses %s', async (name, code, sentence) => {
    await expect(readNpy(golden(name))).rejects.toMatchObject({ code, message: expect.stringContaining(sentence) as string });
  });

  const damages: [string, (bytes: Buffer) => Uint8Array, string][] = [
    [
      'a truncated file',
      (bytes) => bytes.subarray(0, -4),
      'header says 96 bytes (<f4, shape [2, 3, 4]) but the file has 92 after it',
    ],
    ['trailing bytes', (bytes) => Buffer.concat([bytes, bytes]), 'header says 96 bytes'],
    ['an empty file', () => new Uint8Array(0), 'has 0 bytes, too few'],
    ['another file', () => Buffer.from('hello, I am a text'), 'is no .npy file'],
    [
      'a huge shape',
      (bytes) => Buffer.from(bytes.toString('latin1').replace('(2, 3, 4)', '(9999999)'), 'latin1'),
      'header says 39999996 bytes',
    ],
    [
      'a lying header length',
      (bytes) => Buffer.concat([bytes.subarray(0, 8), Buffer.from([0xff, 0xff]), bytes.subarray(10)]),
      'says 65535 bytes but the file has 224',
    ],
  ];
  it.each(damages)('refuses %s', async (name, damage, sentence) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.npy`);
    writeFileSync(path, damage(readFileSync(golden('c_f4_little'))));
    await expect(readNpy(path)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining(sentence) as string });
  });
});

describe('writeNpy', () => {
  it('writes the bytes that NumPy writes', async () => {
    const path = join(folder, 'same.npy');
    const { shape, values } = expected.c_f4_little;
    await writeNpy(path, shape, Float32Array.from(values as number[]));
    expect(readFileSync(path).equals(readFileSync(golden('c_f4_little')))).toBe(true);
  });

  it('refuses values that do not fill the shape', async () => {
    await expect(writeNpy(join(folder, 'x.npy'), [2, 2], new Float32Array(3))).rejects.toMatchObject({ code: 'mismatch' });
  });

  it('says where it could not write', async () => {
    await expect(writeNpy(join(folder, 'none', 'x.npy'), [1], new Float32Array(1))).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('writeError', () => {
  it('says that the disk is full', () => {
    const error = writeError(
      '/out/x.npy',
      Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
    );
    expect(error.code).toBe('no-space');
    expect(error.message).toBe(
      '/out/x.npy cannot be written: the disk is full or read-only (ENOSPC: no space left on device, write); free some space or choose another folder.',
    );
  });
});

describe('createNpyWriter', () => {
  it('appends rows and shows the file only when it is finished', async () => {
    const path = join(folder, 'rows.npy');
    const writer = await createNpyWriter(path, 2);
    await writer.append(Float32Array.of(1, 2, 3, 4));
    await writer.append(new Float32Array(0));
    await writer.append(Float32Array.of(0, 5, 6).subarray(1));
    expect(readdirSync(folder)).not.toContain('rows.npy');
    expect(await writer.finish()).toBe(3);
    await writer.discard();
    const { shape, data } = await readNpy(path);
    expect(shape).toEqual([3, 2]);
    expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('leaves nothing behind when discarded', async () => {
    const before = readdirSync(folder);
    const writer = await createNpyWriter(join(folder, 'gone.npy'), 2);
    await expect(writer.append(new Float32Array(3))).rejects.toMatchObject({ code: 'mismatch' });
    await writer.discard();
    expect(readdirSync(folder)).toEqual(before);
  });
});
