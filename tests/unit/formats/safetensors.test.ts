import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { readTensor } from '#main/formats/readTensor.ts';
import { encodeSafetensorsHeader, openSafetensors, type TensorLayout } from '#main/formats/safetensors.ts';
import { type ForetuneError } from '#shared/errors.ts';

// Values as torch reads them (tests/golden/make/checkpoints.py); conversions to float32 are exact, so nothing may differ.
import expected from '../../golden/checkpoints/expected.json' with { type: 'json' };

const golden = resolve(import.meta.dirname, '../../golden/checkpoints/types.safetensors');
const demo = resolve(import.meta.dirname, '../../../resources/demo/models');
const folder = mkdtempSync(join(tmpdir(), 'foretune-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, header: unknown, data: Uint8Array, says?: number): string {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(says ?? text.length), true);
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([length, text, data]));
  return path;
}

const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

function writeTensors(name: string, tensors: Record<string, number[]>): string {
  const layouts = Object.entries(tensors).map(([name, values]): TensorLayout => ({ name, dtype: 'F32', shape: [values.length] }));
  const { header } = encodeSafetensorsHeader(layouts);
  const path = join(folder, name);
  writeFileSync(
    path,
    Buffer.concat([header, ...Object.values(tensors).map((values) => new Uint8Array(Float32Array.from(values).buffer))]),
  );
  return path;
}

describe('openSafetensors', () => {
  it('reads every type as the reference library wrote it', async () => {
    const { tensors, files, format } = await openSafetensors(golden);
    expect({ files, format }).toEqual({ files: [golden], format: 'safetensors' });
    const wanted: Record<string, { shape: number[]; values: number[] }> = expected['types.safetensors'].tensors;
    expect([...tensors.keys()].sort()).toEqual(Object.keys(wanted).sort());
    for (const [name, { shape, values }] of Object.entries(wanted)) {
      const record = tensors.get(name)!;
      expect(record.shape).toEqual(shape);
      expect([...(await readTensor(record))]).toEqual(values);
    }
  });

  it.each(readdirSync(demo))('opens the demo model %s', async (model) => {
    const { tensors } = await openSafetensors(join(demo, model, 'model.safetensors'));
    expect(tensors.size).toBeGreaterThan(50);
    const [record] = tensors.values();
    expect((await readTensor(record)).every(Number.isFinite)).toBe(true);
  });

  const bytes8 = new Uint8Array(8);
  const lies: [string, () => string, string][] = [
    [
      'a header longer than the file',
      () => file('long', '{}', new Uint8Array(190), 123456),
      'header says 123456 bytes but the file has 200',
    ],
    ['a file without a header', () => file('short', '', new Uint8Array(0), 1), 'header says 1 bytes but the file has 8'],
    ['a header that is no JSON', () => file('json', '{"a"', bytes8), 'is not JSON'],
    ['a header that is a list', () => file('list', '[]', new Uint8Array(0)), 'the header is not a JSON object'],
    [
      'an unknown type',
      () => file('dtype', { a: { dtype: 'F99', shape: [2], data_offsets: [0, 8] } }, bytes8),
      'the unknown type "F99"',
    ],
    [
      'an unread type',
      () => file('f8', { a: { dtype: 'F8_E4M3', shape: [8], data_offsets: [0, 8] } }, bytes8),
      'has type F8_E4M3, which Foretune does not read',
    ],
    ['a negative size', () => file('negative', { a: f32([-2, -1], 0, 8) }, bytes8), 'no shape of whole numbers'],
    ['a huge size', () => file('huge', { a: f32([2 ** 40, 2 ** 40], 0, 8) }, bytes8), 'impossible shape'],
    [
      'a shape that does not match its bytes',
      () => file('bytes', { a: f32([3], 0, 8) }, bytes8),
      'spans 8 bytes where F32 [3] needs 12',
    ],
    ['bytes after the end', () => file('end', { a: f32([4], 0, 16) }, bytes8), 'ends 8 bytes after the end of the file'],
    [
      'an overlap',
      () => file('overlap', { a: f32([2], 0, 8), b: f32([1], 4, 8) }, bytes8),
      'tensor "b" overlaps tensor "a" by 4 bytes',
    ],
    ['a hole', () => file('hole', { b: f32([1], 4, 8) }, bytes8), '4 bytes before tensor "b" belong to no tensor'],
    ['trailing bytes', () => file('trailing', { a: f32([1], 0, 4) }, bytes8), 'the last 4 bytes belong to no tensor'],
  ];
  it.each(lies)('refuses %s', async (_, make, sentence) => {
    const path = make();
    const error = (await openSafetensors(path).catch((error: unknown) => error)) as ForetuneError;
    expect(error.name).toBe('ForetuneError');
    expect(['corrupt', 'unsupported']).toContain(error.code);
    expect(error.message).toContain(path);
    expect(error.message).toContain(sentence);
  });

  it('refuses a truncated file', async () => {
    const path = join(folder, 'truncated.safetensors');
    writeFileSync(path, readFileSync(golden).subarray(0, -3));
    await expect(openSafetensors(path)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('ends 3 bytes after') as string,
    });
  });

  it('names a file that is not there', async () => {
    await expect(openSafetensors(join(folder, 'none.safetensors'))).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('sharded safetensors', () => {
  writeTensors('model-1.safetensors', { a: [1, 2] });
  writeTensors('model-2.safetensors', { b: [3] });
  const index = (name: string, weightMap: unknown) => {
    const path = join(folder, `${name}.safetensors.index.json`);
    writeFileSync(path, JSON.stringify({ metadata: {}, weight_map: weightMap }));
    return path;
  };

  it('joins the tensors of its shards', async () => {
    const path = index('good', { a: 'model-1.safetensors', b: 'model-2.safetensors' });
    const { tensors, files } = await openSafetensors(path);
    expect(files).toEqual([path, join(folder, 'model-1.safetensors'), join(folder, 'model-2.safetensors')]);
    expect([...(await readTensor(tensors.get('a')!)), ...(await readTensor(tensors.get('b')!))]).toEqual([1, 2, 3]);
  });

  const refusals: [string, unknown, string, string][] = [
    [
      'a missing shard',
      { a: 'model-1.safetensors', c: 'model-3.safetensors' },
      'not-found',
      'model-3.safetensors is missing: it is shard 2 of 2',
    ],
    [
      'an absent tensor',
      { a: 'model-1.safetensors', c: 'model-2.safetensors' },
      'mismatch',
      'places tensor "c" in model-2.safetensors',
    ],
    ['a shard outside the folder', { a: '../model-1.safetensors' }, 'unsafe', 'lies outside the folder'],
    ['an absolute shard', { a: '/etc/passwd' }, 'unsafe', 'lies outside the folder'],
    ['no map', 3, 'corrupt', 'has no "weight_map"'],
    ['an empty map', {}, 'corrupt', '"weight_map" is empty'],
  ];
  it.each(refusals)('refuses %s', async (name, weightMap, code, sentence) => {
    await expect(openSafetensors(index(name.replaceAll(' ', '-'), weightMap))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(sentence) as string,
    });
  });
});

describe('encodeSafetensorsHeader', () => {
  it('says where each tensor lies, with the data at a multiple of 8', () => {
    const { header, offsets, fileSize } = encodeSafetensorsHeader([
      { name: 'a', dtype: 'F16', shape: [3] },
      { name: 'b', dtype: 'F32', shape: [] },
    ]);
    expect(header.length % 8).toBe(0);
    expect([...offsets]).toEqual([
      ['a', header.length],
      ['b', header.length + 6],
    ]);
    expect(fileSize).toBe(header.length + 10);
  });

  it('refuses a name given twice', () => {
    const layout: TensorLayout = { name: 'a', dtype: 'F16', shape: [3] };
    expect(() => encodeSafetensorsHeader([layout, layout])).toThrow('tensor "a" cannot be written twice');
  });
});
