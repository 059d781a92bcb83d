import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { appendFile, copyFile, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildOnnxEncoder, openOnnxModel } from '#main/models/onnxModel.ts';
import type { BuiltEncoder, EncoderModel } from '#main/models/model.ts';

import { anonymise, decodeModel, encodeModel, exportBytes, externalise, goldenFolder } from '../onnx/models.ts';

const exportPath = (name: string) => join(goldenFolder, name);

let root: string;
let cacheDir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'foretune-onnx-'));
  cacheDir = join(root, 'cache');
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function place(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** The clip of tests/golden/make/onnx_encoders.py. */
const clip = Float32Array.from(
  { length: 3200 },
  (_, i) => 0.3 * Math.sin(0.05 * i) + 0.2 * Math.sin(0.31 * i + 1) * Math.cos(0.003 * i),
);

/** Hidden states of the clip, as a flat array per layer. */
async function run(built: BuiltEncoder): Promise<Map<number, Float32Array>> {
  const session = await InferenceSession.create(built.path, { logSeverityLevel: 3 });
  try {
    const feeds: Record<string, Tensor> = {
      [built.input.name]: new Tensor('float32', clip, built.input.rank === 3 ? [1, 1, 3200] : [1, 3200]),
    };
    for (const { name } of built.extraInputs) feeds[name] = new Tensor('int64', new BigInt64Array(3200).fill(1n), [1, 3200]);
    const results = await session.run(
      feeds,
      built.outputs.map(({ name }) => name),
    );
    return new Map(
      built.outputs.map(({ layer, name }) => {
        expect(results[name].type).toBe('float32');
        expect(results[name].dims).toEqual([1, 9, 32]);
        return [layer, (results[name].data as Float32Array).slice()];
      }),
    );
  } finally {
    await session.release();
  }
}

/** Hugging Face's hidden_states for the clip. */
function golden(name: string): Float32Array[] {
  const bytes = readFileSync(exportPath(name));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return Array.from({ length: values.length / (9 * 32) }, (_, layer) => values.subarray(layer * 9 * 32, (layer + 1) * 9 * 32));
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

async function withBuilt<T>(
  model: EncoderModel,
  options: Omit<Parameters<typeof buildOnnxEncoder>[1], 'cacheDir'>,
  use: (built: BuiltEncoder) => Promise<T>,
): Promise<T> {
  const built = await buildOnnxEncoder(model, { cacheDir, ...options });
  try {
    return await use(built);
  } finally {
    await built.dispose();
  }
}

/** Float32 against float32 on another machine's kernels: 1e-6 is usual, 1e-4 is what the project promises. */
async function expectGolden(model: EncoderModel, name: string): Promise<void> {
  const wanted = golden(name);
  expect(model).toMatchObject({ layers: wanted.length, width: 32, family: 'onnx', dtype: 'F32' });
  const found = await withBuilt(model, { weights: 'own' }, run);
  expect([...found.keys()]).toEqual(wanted.map((_, layer) => layer));
  for (const [layer, values] of found) expect(relativeDifference(values, wanted[layer]), `layer ${layer}`).toBeLessThan(1e-4);
}

/** Adds 70 MB of unused weights, so that the model counts as large. */
function enlarge(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes);
  const [first] = model.graph?.initializer ?? [];
  model.graph?.initializer.unshift({
    ...first,
    name: 'ballast',
    dims: [70n, 2n ** 18n],
    rawData: new Uint8Array(70 * 2 ** 20).fill(1),
  });
  return encodeModel(model);
}

describe('openOnnxModel and buildOnnxEncoder', () => {
  it.each([
    ['hubert-plain.onnx', 'hubert.bin'],
    ['hubert-named.onnx', 'hubert-named.bin'],
    ['stable-opset14.onnx', 'stable.bin'],
    ['stable-dynamo.onnx', 'stable.bin'],
  ])('%s gives the hidden states of Hugging Face, with and without names', async (file, states) => {
    await expectGolden(await openOnnxModel(exportPath(file)), states);
    const bare = await place(`anonymous/${file}`, anonymise(exportBytes(file)));
    await expectGolden(await openOnnxModel(bare), states);
  });

  it('describes the model and says what it guessed', async () => {
    const model = await openOnnxModel(exportPath('hubert-plain.onnx'));
    expect(model).toMatchObject({
      name: 'hubert-plain.onnx',
      bytes: exportBytes('hubert-plain.onnx').length,
      preprocessing: { samplingRate: 16000, doNormalize: false, source: 'assumed' },
      frontEnd: { kernels: [10, 3, 3, 3, 3, 2, 2], strides: [5, 2, 2, 2, 2, 2, 2] },
      wholeUtteranceNorm: true,
    });
    const floats =
      decodeModel(exportBytes('hubert-plain.onnx')).graph?.initializer.filter(({ dataType }) => dataType === 1) ?? [];
    expect(model.parameters).toBe(floats.reduce((sum, { rawData }) => sum + rawData.length / 4, 0));
    expect(model.notes).toHaveLength(3);
    expect(model.notes[0]).toContain('3 blocks by the module names');
    expect(model.notes[1]).toContain('16000 Hz is assumed');
    expect((await openOnnxModel(exportPath('stable-dynamo.onnx'))).wholeUtteranceNorm).toBe(false);
  });

  it('takes preprocessing from the file beside the model or above onnx/, and the mapping before it', async () => {
    const file = await place('configured/onnx/model.onnx', exportBytes('hubert-plain.onnx'));
    await place('configured/preprocessor_config.json', Buffer.from('{"sampling_rate": 8000, "do_normalize": true}'));
    const model = await openOnnxModel(join(root, 'configured'));
    expect(model).toMatchObject({
      name: 'configured',
      preprocessing: { samplingRate: 8000, doNormalize: true, source: 'preprocessor_config.json' },
    });
    expect(model.notes).toHaveLength(1);
    const mapped = await openOnnxModel(file, { mapping: { doNormalize: false } });
    expect(mapped.preprocessing).toEqual({ samplingRate: 8000, doNormalize: false, source: 'mapping, preprocessor_config.json' });
    await place('configured/preprocessor_config.json', Buffer.from('{'));
    await expect(openOnnxModel(file)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('takes an explicit mapping', async () => {
    const layers = ['last_hidden_state', '/model/encoder/layers.0/final_layer_norm/LayerNormalization_output_0'];
    const model = await openOnnxModel(exportPath('hubert-plain.onnx'), { mapping: { layers, input: 'input_values' } });
    const [, first, , last] = golden('hubert.bin');
    const found = await withBuilt(model, { weights: 'own' }, run);
    expect(relativeDifference(found.get(0) ?? clip, last)).toBeLessThan(1e-4);
    expect(relativeDifference(found.get(1) ?? clip, first)).toBeLessThan(1e-4);
    await expect(openOnnxModel(exportPath('hubert-plain.onnx'), { mapping: { layers: ['nowhere'] } })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('"nowhere"') as string,
    });
    await expect(openOnnxModel(exportPath('hubert-plain.onnx'), { mapping: { input: 'wav' } })).rejects.toMatchObject({
      code: 'usage',
    });
  });

  it('gives chosen layers only', async () => {
    const model = await openOnnxModel(exportPath('stable-opset14.onnx'));
    const found = await withBuilt(model, { weights: 'own', layers: [2, 0] }, run);
    expect([...found.keys()]).toEqual([2, 0]);
    await expect(buildOnnxEncoder(model, { cacheDir, weights: 'own', layers: [3] })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('runs models with external data in sub-folders', async () => {
    const { model, data } = externalise(exportBytes('hubert-plain.onnx'), 'data/weights.bin');
    const path = await place('external/model.onnx', model);
    await place('external/data/weights.bin', data);
    const opened = await openOnnxModel(path);
    expect(opened.bytes).toBe(model.length + data.length);
    await expectGolden(opened, 'hubert.bin');
    await withBuilt(opened, { weights: 'own' }, (built) => {
      const linked = statSync(join(dirname(built.path), 'data/weights.bin'));
      expect(linked.ino).toBe(statSync(join(root, 'external/data/weights.bin')).ino);
      return Promise.resolve();
    });
  });

  it('runs a model out of a Hugging Face cache, whose files are links', async () => {
    const { model, data } = externalise(exportBytes('hubert-plain.onnx'), 'model.onnx_data');
    await place('models--a--b/blobs/aaaa', model);
    await place('models--a--b/blobs/bbbb', data);
    const snapshot = join(root, 'models--a--b/snapshots/0123');
    await mkdir(snapshot, { recursive: true });
    await symlink('../../blobs/aaaa', join(snapshot, 'model.onnx'));
    await symlink('../../blobs/bbbb', join(snapshot, 'model.onnx_data'));
    await expectGolden(await openOnnxModel(snapshot), 'hubert.bin');
  });

  it('does not copy a large model: the graph points into a hard link of it', async () => {
    const path = await place('large/model.onnx', enlarge(exportBytes('stable-opset14.onnx')));
    const model = await openOnnxModel(path);
    await withBuilt(model, { weights: 'own' }, (built) => {
      const files = readdirSync(dirname(built.path));
      expect(files.sort()).toEqual(['graph.onnx', 'weights.onnx']);
      expect(statSync(built.path).size).toBeLessThan(200_000);
      expect(statSync(join(dirname(built.path), 'weights.onnx')).ino).toBe(statSync(path).ino);
      return Promise.resolve();
    });
    await expectGolden(model, 'stable.bin');
  });

  it('removes what it built', async () => {
    const model = await openOnnxModel(exportPath('hubert-plain.onnx'));
    const first = await buildOnnxEncoder(model, { cacheDir, weights: 'own' });
    const second = await buildOnnxEncoder(model, { cacheDir, weights: 'own' });
    await first.dispose();
    expect(existsSync(first.path)).toBe(false);
    expect(existsSync(second.path)).toBe(true);
    await second.dispose();
    await second.dispose();
    expect(readdirSync(cacheDir)).toEqual([]);
  });

  it('removes what a dead process left of the same build', async () => {
    const model = await openOnnxModel(exportPath('hubert-plain.onnx'));
    const built = await buildOnnxEncoder(model, { cacheDir, weights: 'own' });
    // No process has this number: it is above every system's limit.
    const left = dirname(built.path).replace(/\d+-\d+$/, '99999999-0');
    await mkdir(left);
    await (await buildOnnxEncoder(model, { cacheDir, weights: 'own' })).dispose();
    expect(existsSync(left)).toBe(false);
    expect(existsSync(built.path)).toBe(true);
    await built.dispose();
  });

  it('has a fingerprint that follows weights and structure, not the file name', async () => {
    const bytes = exportBytes('hubert-plain.onnx');
    const { fingerprint } = await openOnnxModel(exportPath('hubert-plain.onnx'));
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await openOnnxModel(await place('same.onnx', bytes))).fingerprint).toBe(fingerprint);
    const model = decodeModel(bytes);
    const weight = model.graph?.initializer.at(-1);
    if (!weight) throw new Error('no initializer');
    weight.rawData = weight.rawData.slice();
    weight.rawData[0] ^= 1;
    expect((await openOnnxModel(await place('other.onnx', encodeModel(model)))).fingerprint).not.toBe(fingerprint);
  });

  it('refuses to build a model that changed after it was opened', async () => {
    const path = await place('changing.onnx', exportBytes('hubert-plain.onnx'));
    const model = await openOnnxModel(path);
    await copyFile(exportPath('stable-opset14.onnx'), path);
    await expect(buildOnnxEncoder(model, { cacheDir, weights: 'own' })).rejects.toMatchObject({ code: 'mismatch' });
  });
});

describe('random weights', () => {
  const statistics = (values: Float32Array) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return { mean, deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) };
  };

  it('replace matrices by Gaussian values of the same mean and spread, repeatably, and keep vectors', async () => {
    for (const path of [exportPath('hubert-plain.onnx'), join(root, 'external/model.onnx')]) {
      const model = await openOnnxModel(path);
      const own = await withBuilt(model, { weights: 'own' }, run);
      const [one, again] = [
        await withBuilt(model, { weights: { randomSeed: 1 } }, run),
        await withBuilt(model, { weights: { randomSeed: 1 } }, run),
      ];
      const other = await withBuilt(model, { weights: { randomSeed: 2 } }, run);
      expect(again).toEqual(one);
      for (const layer of own.keys()) {
        expect(relativeDifference(one.get(layer) ?? clip, own.get(layer) ?? clip)).toBeGreaterThan(0.1);
        expect(relativeDifference(one.get(layer) ?? clip, other.get(layer) ?? clip)).toBeGreaterThan(0.1);
      }
      await withBuilt(model, { weights: { randomSeed: 1 } }, (built) => {
        const before = decodeModel(exportBytes('hubert-plain.onnx')).graph?.initializer ?? [];
        const after = new Map(
          decodeModel(new Uint8Array(readFileSync(built.path))).graph?.initializer.map((tensor) => [tensor.name, tensor]),
        );
        const random = readFileSync(join(dirname(built.path), 'random.bin'));
        const floats = (bytes: Uint8Array) => new Float32Array(new Uint8Array(bytes).buffer);
        for (const tensor of before) {
          const place = new Map(after.get(tensor.name)?.externalData.map(({ key, value }) => [key, value]));
          if (place.get('location') !== 'random.bin') {
            expect(tensor.dims.length, tensor.name).toBeLessThan(2);
            continue;
          }
          const [offset, length] = [Number(place.get('offset')), Number(place.get('length'))];
          const [is, was] = [statistics(floats(random.subarray(offset, offset + length))), statistics(floats(tensor.rawData))];
          // Five standard errors of a mean and a standard deviation of n Gaussian values.
          const n = length / 4;
          expect(Math.abs(is.mean - was.mean)).toBeLessThanOrEqual((5 * was.deviation) / Math.sqrt(n) + 1e-6);
          expect(Math.abs(is.deviation - was.deviation)).toBeLessThanOrEqual((5 * was.deviation) / Math.sqrt(2 * n) + 1e-6);
        }
        return Promise.resolve();
      });
    }
  });
});

describe('bad input', () => {
  it.each<[string, () => Promise<string>, string, string]>([
    ['a missing path', () => Promise.resolve(join(root, 'nowhere.onnx')), 'not-found', 'does not exist'],
    ['an empty file', () => place('empty.onnx', new Uint8Array(0)), 'corrupt', 'holds no ONNX graph (0 bytes)'],
    ['another kind of file', () => place('text.onnx', Buffer.from('{"model_type": "hubert"}')), 'corrupt', 'corrupt'],
    [
      'a folder without a model',
      () => mkdir(join(root, 'none')).then(() => join(root, 'none')),
      'not-found',
      'holds no .onnx file',
    ],
    [
      'a folder with two models',
      async () =>
        dirname(
          (await Promise.all(['two/a.onnx', 'two/b.onnx'].map((name) => place(name, exportBytes('hubert-plain.onnx')))))[0],
        ),
      'usage',
      'holds 2 ONNX files (a.onnx, b.onnx)',
    ],
    [
      'a truncated file',
      async () => {
        const path = await place('cut.onnx', exportBytes('hubert-plain.onnx'));
        await truncate(path, 100_000);
        return path;
      },
      'corrupt',
      'truncated',
    ],
    [
      'external data above the folder',
      () => place('outside/model.onnx', externalise(exportBytes('hubert-plain.onnx'), '../x').model),
      'unsafe',
      '"../x"',
    ],
    [
      'missing external data',
      () => place('lost/model.onnx', externalise(exportBytes('hubert-plain.onnx'), 'w.bin').model),
      'not-found',
      'w.bin does not exist',
    ],
  ])('%s: one sentence', async (_, make, code, part) => {
    await expect(openOnnxModel(await make())).rejects.toMatchObject({
      name: 'ForetuneError',
      code,
      message: expect.stringContaining(part) as string,
    });
  });

  it('ignores bytes that a later tool appended as unknown fields', async () => {
    const path = await place('extended.onnx', exportBytes('hubert-plain.onnx'));
    await appendFile(path, Uint8Array.of(0xfa, 0x07, 3, 1, 2, 3));
    await expectGolden(await openOnnxModel(path), 'hubert.bin');
  });
});
