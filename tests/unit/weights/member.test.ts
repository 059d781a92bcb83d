import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { openEncoder, probeClip } from '#main/inference/encoder.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { openMember } from '#main/weights/member.ts';
import { mergeModels } from '#main/weights/mergeModels.ts';
import { alphaOfMember, inputAt, sweepModels } from '#main/weights/judgeSpec.ts';
import { type Member } from '#shared/merge.ts';

import { demoModel, golden, request, temporaryFolder } from './models.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const cacheDir = join(folder.path, 'cache');
const base = demoModel('tiny-hubert');
const settings = { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 };
const [asr, speaker] = ['tiny-hubert-ft-asr', 'tiny-hubert-ft-speaker'].map(demoModel);

async function featuresOf(model: EncoderModel, weights: 'own' | { randomSeed: number } = 'own') {
  const built = await buildEncoder(model, { cacheDir, weights });
  const encoder = await openEncoder(built, { providers: ['cpu'], threads: 1 });
  const { layers } = await encoder.run(probeClip(400));
  await encoder.close();
  await built.dispose();
  return layers;
}

const member = (options: Partial<Member>): Member => ({
  finetuned: [asr],
  method: 'linear',
  alpha: { value: 0.3 },
  settings,
  ...options,
});

describe('a merge that is not written', () => {
  it.each<[string, string, Partial<Member>]>([
    ['interpolated in its graph', base, {}],
    [
      'by module, rule and curve',
      base,
      {
        alpha: {
          value: [
            [0, 0],
            [6, 1],
          ],
          modules: { attention: 0.2 },
          rules: [{ pattern: '*layers.1.*', alpha: 1 }],
        },
      },
    ],
    ['of two models by TIES', base, { finetuned: [asr, speaker], method: 'ties', alpha: { value: 0.25 } }],
    ['by SLERP', base, { method: 'slerp' }],
    ['with a base without a head and a pickled checkpoint', join(golden, 'base'), { finetuned: [join(golden, 's3prl.ckpt')] }],
  ])('gives the features of the written one: %s', async (_, from, options) => {
    const asked = member(options);
    const out = join(folder.path, `written-${readdirSync(folder.path).length}`);
    await mergeModels({
      ...request({ base: from, finetuned: asked.finetuned, method: asked.method, alphas: [asked.alpha], heads: 'drop' }),
      out,
    });
    const [unwritten, written] = [await featuresOf(await openMember(from, asked)), await featuresOf(await openModel(out))];
    expect(unwritten).toHaveLength(written.length);
    // Both are the equation in float64, rounded once to the base's type: equal, not only within 1e-6.
    expect(unwritten).toEqual(written);
    expect(existsSync(cacheDir) ? readdirSync(cacheDir) : []).toEqual([]);
  });

  it('is told from others by its name and fingerprint, and is no file', async () => {
    const some = await Promise.all(
      [{}, { alpha: { value: 0.4 } }, { method: 'slerp' }, { finetuned: [speaker] }, { alpha: { value: 1 } }].map((options) =>
        openMember(base, member(options)),
      ),
    );
    expect(some.map(({ name }) => name)).toEqual([
      'tiny-hubert-ft-asr at alpha 0.3',
      'tiny-hubert-ft-asr at alpha 0.4',
      'slerp of tiny-hubert-ft-asr at alpha 0.3',
      'tiny-hubert-ft-speaker at alpha 0.3',
      'tiny-hubert-ft-asr',
    ]);
    expect(new Set(some.map(({ fingerprint }) => fingerprint)).size).toBe(5);
    expect(some[0]).toMatchObject({ path: base, head: null, merge: { method: 'linear', base: { name: 'tiny-hubert' } } });
    expect(some.map(({ merge }) => alphaOfMember(merge!))).toEqual([0.3, 0.4, 0.3, 0.3, 1]);
  });

  it('has the random weights of its base', async () => {
    const random = { randomSeed: 3 };
    expect(await featuresOf(await openMember(base, member({})), random)).toEqual(await featuresOf(await openModel(base), random));
  });

  it('is refused where it cannot be', async () => {
    await expect(openMember(join(golden, '..', 'onnx', 'hubert-plain.onnx'), member({}))).rejects.toMatchObject({
      code: 'mismatch',
    });
    await expect(openMember(base, member({ method: 'ties', settings: { ...settings, density: 0 } }))).rejects.toThrow(
      'keeps nothing',
    );
    await expect(openMember(base, member({ finetuned: [join(golden, 'base')] }))).rejects.toMatchObject({ code: 'mismatch' });
  });
});

describe('the models that judge a sweep', () => {
  const alphas = [0, 0.5, 1].map((value) => ({ value }));
  const told = (finetuned: string[], ...methods: string[]) =>
    sweepModels({ base, settings, finetuned, methods, alphas }).map(({ merge }) =>
      merge ? `${merge.method} ${merge.finetuned.length} ${JSON.stringify(merge.alpha.value)}` : 'base',
    );

  it('are the pre-trained one, the members between, and each fine-tuned one', () => {
    expect(told([asr], 'linear')).toEqual(['base', 'linear 1 0.5', 'linear 1 1']);
    expect(told([asr, speaker], 'ties')).toEqual(['base', 'ties 2 0.5', 'ties 2 1', 'linear 1 1', 'linear 1 1']);
    expect(told([asr, speaker], 'soup')).toEqual(['base', 'soup 2 1', 'linear 1 1', 'linear 1 1']);
  });

  it('are those of several methods, without those that are an input anyway', () => {
    expect(told([asr], 'linear', 'slerp', 'ties', 'soup')).toEqual([
      'base',
      'linear 1 0.5',
      'slerp 1 0.5',
      'ties 1 0.5',
      'ties 1 1',
      'linear 1 1',
    ]);
    expect(inputAt(1, { method: 'sequential', settings, models: 2 })).toBe(1);
    expect(inputAt(1, { method: 'ties', settings: { density: 1 }, models: 1 })).toBe(0);
    expect(inputAt(0, { method: 'ties', settings, models: 2 })).toBe('base');
    expect(() => told([asr], 'ties', 'ties')).toThrow('the same method twice');
  });
});
