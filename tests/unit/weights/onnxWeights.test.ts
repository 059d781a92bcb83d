import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { openEncoder, probeClip } from '#main/inference/encoder.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { compareModels } from '#main/weights/compareModels.ts';
import { openMember } from '#main/weights/member.ts';
import { mergeModels, outlineMerge } from '#main/weights/mergeModels.ts';
import { openWeights } from '#main/weights/open.ts';

import { golden, request, temporaryFolder, tensorValues } from './models.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const onnx = join(golden, '..', 'onnx');
/** One with its weights inside, one with most of them in a file beside it. */
const exported = { inside: ['hubert-plain.onnx'], beside: ['hubert-named.onnx', 'hubert.bin', 'hubert-named.bin'] };

/** The same graph with every float weight moved a little: as if fine-tuned and exported in the same way. */
async function tunedCopy(kind: keyof typeof exported): Promise<{ base: string; tuned: string }> {
  const place = join(folder.path, kind);
  mkdirSync(place);
  const [base] = exported[kind].map((name) => join(onnx, name));
  for (const name of exported[kind]) copyFileSync(join(onnx, name), join(place, name));
  const tuned = join(place, exported[kind][0]);
  const { tensors } = await openWeights(tuned);
  for (const { file, offset, length, dtype } of tensors.values()) {
    if (dtype !== 'F32') continue;
    const bytes = readFileSync(file);
    for (let at = offset; at < offset + length; at += 4) bytes.writeFloatLE(bytes.readFloatLE(at) * 1.0625 + 0.001, at);
    writeFileSync(file, bytes);
  }
  return { base, tuned };
}

async function featuresOf(model: EncoderModel) {
  const built = await buildEncoder(model, { cacheDir: join(folder.path, 'cache'), weights: 'own' });
  const encoder = await openEncoder(built, { providers: ['cpu'], threads: 1 });
  const { layers } = await encoder.run(probeClip(400));
  await encoder.close();
  await built.dispose();
  return layers;
}

const settings = { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 };

describe.each(['inside', 'beside'] as const)('an ONNX graph with its weights %s', (kind) => {
  const models = tunedCopy(kind);

  it('is merged into a graph of the same kind, equal to the equation, and to the inputs at the ends', async () => {
    const { base, tuned } = await models;
    const out = join(folder.path, `${kind}-out`);
    const { outline } = await mergeModels({
      ...request({ base, finetuned: [tuned], alphas: [0, 0.25, 1].map((value) => ({ value })) }),
      out,
    });
    expect(outline).toMatchObject({ missing: [], extra: [] });
    expect(outline.merged).toBeGreaterThan(30);
    expect(outline.files).toContain(exported[kind][0]);
    const used = (await openWeights(base)).onnx!.external.map(({ location }) => location);
    for (const [member, path] of [
      ['alpha-0', base],
      ['alpha-1', tuned],
    ] as const) {
      for (const name of [exported[kind][0], ...used])
        expect(readFileSync(join(out, member, name)).equals(readFileSync(join(path, '..', name)))).toBe(true);
      expect(readdirSync(join(out, member)).filter((name) => name.endsWith('.part'))).toEqual([]);
    }
    const [a, b, merged] = await Promise.all([base, tuned, join(out, 'alpha-0.25')].map(tensorValues));
    for (const [name, values] of merged) {
      const [from, to] = [a.get(name)!, b.get(name)!];
      expect(values).toEqual(from.map((value, i) => value + 0.25 * (to[i] - value)));
    }
    expect(readFileSync(join(out, 'alpha-0.25', 'README.md'), 'utf8')).toContain('library_name: onnx');
  });

  it('can be run and compared as a merge that is not written', async () => {
    const { base, tuned } = await models;
    const member = await openMember(base, { finetuned: [tuned], method: 'linear', alpha: { value: 0.25 }, settings });
    expect(await featuresOf(member)).toEqual(await featuresOf(await openModel(join(folder.path, `${kind}-out`, 'alpha-0.25'))));
    expect(readdirSync(join(folder.path, 'cache'))).toEqual([]);
    const { total } = await compareModels(base, [tuned]);
    expect(total[0].relative_l2).toBeGreaterThan(0.05);
  });
});

describe('graphs that do not fit', () => {
  it('are refused, naming the first operator that differs', async () => {
    const [plain, named, other] = ['hubert-plain', 'hubert-named', 'stable-opset14'].map((name) => join(onnx, `${name}.onnx`));
    for (const tuned of [named, other])
      await expect(outlineMerge(request({ base: plain, finetuned: [tuned] }))).rejects.toThrow(
        /has another graph than .*: (operator \d+ is|a constant)/,
      );
    await expect(outlineMerge(request({ base: plain, finetuned: [join(golden, 'base')] }))).rejects.toThrow(
      /is no ONNX graph, but/,
    );
    await expect(outlineMerge(request({ base: plain, finetuned: [plain], dtype: 'F16' }))).rejects.toThrow(
      'merged in the types it has',
    );
    await expect(outlineMerge(request({ base: plain, finetuned: [plain], heads: 'finetuned' }))).rejects.toThrow(
      'whose head is part of it',
    );
  });
});
