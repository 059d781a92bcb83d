import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { memorySource } from '#main/formats/bytes.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { openTorchCheckpoint, readTorchCheckpoint } from '#main/formats/torchCheckpoint.ts';
import { readTorchPickle } from '#main/formats/torchPickle.ts';

// Values as torch 2.13 reads them (tests/golden/make/checkpoints.py); conversions to float32 are exact, so nothing may differ.
import goldenJson from '../../golden/checkpoints/expected.json' with { type: 'json' };

const expected: Record<string, { section: string; tensors: Record<string, { shape: number[]; values: number[] }> }> = goldenJson;
const golden = (name: string) => resolve(import.meta.dirname, '../../golden/checkpoints', name);
const folder = mkdtempSync(join(tmpdir(), 'foretune-torch-'));
afterAll(() => rmSync(folder, { recursive: true }));

const pickle = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe('openTorchCheckpoint', () => {
  it.each(Object.keys(expected).filter((name) => name.endsWith('.pt')))('reads %s as torch does', async (name) => {
    const { section, tensors, format, files } = await openTorchCheckpoint(golden(name));
    expect({ section, format, files }).toEqual({ section: expected[name].section, format: 'torch', files: [golden(name)] });
    expect([...tensors.keys()]).toEqual(Object.keys(expected[name].tensors));
    for (const [key, { shape, values }] of Object.entries(expected[name].tensors)) {
      const record = tensors.get(key)!;
      expect(record.shape).toEqual(shape);
      expect([...(await readTensor(record))]).toEqual(values);
    }
  });

  it('gives row-major tensors as plain byte ranges and views with their strides', async () => {
    const { tensors } = await openTorchCheckpoint(golden('views.pt'));
    expect(tensors.get('whole')!.strides).toBeUndefined();
    expect(tensors.get('transposed')).toMatchObject({ shape: [6, 4], strides: [1, 6], length: 96 });
    const bytes = readFileSync(golden('views.pt'));
    const { offset } = tensors.get('whole')!;
    expect(bytes.readFloatLE(offset + 4 * 23)).toBe(23);
  });

  const refusals: [string, string, string][] = [
    [
      'os_system.pt',
      'unsafe',
      'wants to run `posix.system`; Foretune never runs code from a checkpoint; convert it to safetensors',
    ],
    ['eval.pt', 'unsafe', 'wants to run `__builtin__.eval`'],
    ['module.pt', 'unsafe', 'wants to run `torch.nn.modules.linear.Linear`'],
    ['legacy.pt', 'unsupported', 'before version 1.6'],
    ['script.pt', 'unsupported', 'TorchScript program'],
    ['deflated.pt', 'unsupported', 'is compressed'],
    ['complex.pt', 'unsupported', 'tensor "weight" has type ComplexFloatStorage'],
    ['tensor.pt', 'unsupported', 'holds a single tensor'],
    ['types.safetensors', 'corrupt', 'it is no zip archive'],
  ];
  it.each(refusals)('refuses %s', async (name, code, sentence) => {
    await expect(openTorchCheckpoint(golden(name))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(sentence) as string,
    });
  });

  it('refuses a truncated archive', async () => {
    const bytes = readFileSync(golden('types.pt'));
    const path = join(folder, 'truncated.bin');
    writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    await expect(openTorchCheckpoint(path)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining(`the file of ${Math.floor(bytes.length / 2)} bytes is truncated or corrupt`) as string,
    });
  });

  it('refuses an archive whose storage is shorter than the pickle says', async () => {
    const bytes = readFileSync(golden('tensor.pt').replace('tensor.pt', 's3prl.pt'));
    // BININT1 6, the length of the first storage (a 2 x 3 weight), to 200.
    const at = bytes.indexOf(Buffer.from([0x4b, 6, 0x74]));
    expect(at).toBeGreaterThan(0);
    bytes[at + 1] = 200;
    await expect(readTorchCheckpoint(memorySource('lying.bin', bytes))).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('lies in a storage of 800 bytes, but') as string,
    });
  });

  it('joins shards and names a missing one', async () => {
    for (const name of ['s3prl.pt', 'types.pt']) writeFileSync(join(folder, name), readFileSync(golden(name)));
    const index = join(folder, 'pytorch_model.bin.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: { '0.weight': 's3prl.pt', float32: 'types.pt' } }));
    const { tensors, files, format } = await openTorchCheckpoint(index);
    expect(format).toBe('torch');
    expect(files.length).toBe(3);
    expect(tensors.get('0.weight')!.file).toBe(join(folder, 's3prl.pt'));
    writeFileSync(index, JSON.stringify({ weight_map: { float32: 'gone.bin' } }));
    await expect(openTorchCheckpoint(index)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('gone.bin is missing') as string,
    });
  });
});

describe('readTorchPickle', () => {
  it.each(['os', 'posix', 'nt', 'builtins', 'subprocess', 'torch.hub', 'torch.storage'])('refuses names of %s', (module) => {
    expect(() => readTorchPickle(pickle(`c${module}\nload\n(S'x'\ntR.`), 'x.bin')).toThrow(`wants to run \`${module}.load\``);
  });

  it('does not go round in circles on a negative length', () => {
    // BINBYTES with length -5 would step back onto itself.
    expect(() => readTorchPickle(pickle('\x80\x03B\xfb\xff\xff\xff.'), 'x.bin')).toThrow('a length of -5');
  });

  it('bounds the number of objects', () => {
    expect(() => readTorchPickle(new Uint8Array(2_100_000).fill(0x7d), 'x.bin')).toThrow('more than 2000000 steps');
  });

  it('says that a pickle ends too early', () => {
    expect(() => readTorchPickle(pickle('\x80\x02}q\x00'), 'x.bin')).toThrow(
      /x\.bin: its pickle of 5 bytes cannot be read .*the file is corrupt\.$/,
    );
  });

  it('cannot be led to change a prototype', () => {
    readTorchPickle(pickle("ccollections\nOrderedDict\n)R}S'__proto__'\n}S'polluted'\nI1\nssb."), 'x.bin');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
