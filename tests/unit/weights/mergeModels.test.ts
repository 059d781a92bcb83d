import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { halfToFloat } from '#main/formats/halfFloat.ts';
import { mergeMethod } from '#main/merging/registry.ts';
import { createModelFolders } from '#main/weights/folder.ts';
import { mergeModels, outlineMerge } from '#main/weights/mergeModels.ts';

import { runMethod } from '../merging/runMethod.ts';
import { demoModel, golden, request, temporaryFolder, tensorBytes, tensorValues, usualSettings, writeModel } from './models.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
let outputs = 0;
const newOut = (): string => join(folder.path, `out-${outputs++}`);
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
const layouts = ['sharded', 'bin', 'bare.safetensors', 's3prl.ckpt'];

describe('inputs', () => {
  it('of every layout give the same result: sharded, pickled with old weight-norm names, bare, and from s3prl', async () => {
    const results: Map<string, Uint8Array>[] = [];
    for (const layout of layouts) {
      const out = newOut();
      const { outline } = await mergeModels({ ...request({ finetuned: [join(golden, layout)] }), out });
      expect(outline).toMatchObject({ matched: 46, merged: 46, copied: [], missing: [], reshaped: [], warnings: [] });
      expect(outline.convEncoder).toEqual([{ model: join(golden, layout), tensors: 4, moved: 0, relative_l2: 0 }]);
      results.push(await tensorBytes(out));
    }
    for (const result of results) expect(result).toEqual(results[0]);
    const base = await tensorValues(join(golden, 'base'));
    const tuned = await tensorValues(join(golden, 'bare.safetensors'));
    const merged = await tensorValues(join(folder.path, 'out-0'));
    expect([...merged.keys()].sort()).toEqual([...base.keys()].sort());
    for (const [name, values] of merged) {
      const [from, to] = [base.get(name)!, tuned.get(name)!];
      expect(values).toEqual(from.map((value, i) => value + 0.25 * (to[i] - value)));
    }
  });

  it('without a configuration lend it from another, and take its names', async () => {
    const out = newOut();
    const { outline } = await mergeModels({
      ...request({ base: join(golden, 's3prl.ckpt'), finetuned: [join(golden, 'base')], alphas: [{ value: 1 }], heads: 'drop' }),
      out,
    });
    expect(outline.warnings).toEqual([expect.stringContaining('config.json and tensor names are as in base')]);
    expect(await tensorBytes(out)).toEqual(await tensorBytes(join(golden, 'base')));
    expect(existsSync(join(out, 'preprocessor_config.json'))).toBe(true);

    const bare = newOut();
    const files = await mergeModels({
      ...request({ base: join(golden, 'bare.safetensors'), finetuned: [join(golden, 's3prl.ckpt')] }),
      out: bare,
    });
    expect(files.outline.warnings).toContainEqual(expect.stringContaining('None of the models has a config.json'));
    expect(readdirSync(bare).sort()).toEqual(['README.md', 'foretune_merge.json', 'model.safetensors']);
  });
});

describe('results', () => {
  it('at alpha 0 and 1 are the inputs bit for bit, in float16 too', async () => {
    const out = newOut();
    await mergeModels({
      ...request({
        base: demoModel('tiny-hubert'),
        finetuned: [demoModel('tiny-hubert-ft-asr')],
        alphas: [{ value: 0 }, { value: 0.25 }, { value: 1 }],
      }),
      out,
    });
    expect(readdirSync(out).sort()).toEqual(['alpha-0', 'alpha-0.25', 'alpha-1']);
    const base = await tensorBytes(demoModel('tiny-hubert'));
    const tuned = await tensorBytes(demoModel('tiny-hubert-ft-asr'));
    expect(await tensorBytes(join(out, 'alpha-0'))).toEqual(base);
    for (const [name, bytes] of await tensorBytes(join(out, 'alpha-1'))) expect(bytes).toEqual(tuned.get(`hubert.${name}`));
  });

  it('are the equation in float64, rounded once to float16', async () => {
    const name = 'encoder.layers.3.attention.k_proj.weight';
    const base = (await tensorValues(demoModel('tiny-hubert'))).get(name)!;
    const tuned = (await tensorValues(demoModel('tiny-hubert-ft-asr'))).get(`hubert.${name}`)!;
    const out = newOut();
    await mergeModels({ ...request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert-ft-asr')] }), out });
    const merged = await tensorBytes(out);
    const bits = new Uint16Array(merged.get(name)!.buffer);
    bits.forEach((pattern, i) => {
      const exact = base[i] + 0.25 * (tuned[i] - base[i]);
      const error = Math.abs(halfToFloat(pattern) - exact);
      for (const other of [pattern - 1, pattern + 1]) expect(error).toBeLessThanOrEqual(Math.abs(halfToFloat(other) - exact));
    });
  });

  it('of a sweep are those of single merges', async () => {
    const sweep = newOut();
    const common = request({
      base: demoModel('tiny-hubert'),
      finetuned: [demoModel('tiny-hubert-ft-asr'), demoModel('tiny-hubert-ft-speaker')],
      method: 'ties',
    });
    await mergeModels({ ...common, alphas: [0.2, 0.7].map((value) => ({ value })), out: sweep });
    const single = newOut();
    await mergeModels({ ...common, alphas: [{ value: 0.7 }], out: single });
    expect(await tensorBytes(join(sweep, 'alpha-0.7'))).toEqual(await tensorBytes(single));
  });

  it('of a sweep of methods and alphas are those of single merges, from readings in common', async () => {
    const common = request({
      base: demoModel('tiny-hubert'),
      finetuned: [demoModel('tiny-hubert-ft-asr'), demoModel('tiny-hubert-ft-speaker')],
    });
    const alphas = [0, 0.4, 1].map((value) => ({ value }));
    const methods = ['linear', 'sequential', 'ties', 'dare', 'dare-ties', 'soup'];
    const [method, ...alsoBy] = methods;
    const out = newOut();
    const { results, outline } = await mergeModels({ ...common, method, alsoBy, alphas, out });
    expect(outline).toMatchObject({ method: methods.join(', '), results: 16 });
    expect(results.map(({ path }) => path.slice(out.length + 1))).toEqual(
      methods.flatMap((id) => (id === 'soup' ? ['soup'] : [`${id}-alpha-0`, `${id}-alpha-0.4`, `${id}-alpha-1`])),
    );
    for (const one of results) {
      const single = newOut();
      const { value } = one.alpha ?? { value: 1 };
      await mergeModels({ ...common, method: one.method, alphas: [{ value }], out: single });
      expect(await tensorBytes(one.path), one.path).toEqual(await tensorBytes(single));
      const { method: recorded, formula } = json(join(one.path, 'foretune_merge.json'));
      expect([recorded, formula]).toEqual([one.method, mergeMethod(one.method).formula]);
    }
    await expect(mergeModels({ ...common, method: 'ties', alsoBy: ['ties'], alphas, out: newOut() })).rejects.toThrow(
      'A sweep names the same method twice.',
    );
  });

  it('carry the configuration, how waveforms are prepared, a card and the recipe', async () => {
    const out = newOut();
    await mergeModels({
      ...request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert-ft-asr')], dtype: 'F32' }),
      out,
    });
    expect(readdirSync(out).sort()).toEqual([
      'README.md',
      'config.json',
      'foretune_merge.json',
      'model.safetensors',
      'preprocessor_config.json',
    ]);
    expect(json(join(out, 'foretune_merge.json'))).toMatchObject({
      method: 'linear',
      alpha: { value: 0.25 },
      heads: 'base',
      dtype: 'F32',
      base: { name: 'tiny-hubert', fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      finetuned: [{ name: 'tiny-hubert-ft-asr' }],
      tensors: { merged: 115, copied: 0, parameters: 817856, bytes: 4 * 817856 },
    });
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toMatch(
      /^---\nlibrary_name: transformers\nbase_model:\n- "tiny-hubert"\n[\s\S]*alpha \| 0\.25/,
    );
  });

  it('with the fine-tuned heads are called, configured and tokenised as that model', async () => {
    const out = newOut();
    await mergeModels({
      ...request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert-ft-asr')], heads: 'finetuned' }),
      out,
    });
    const merged = await tensorBytes(out);
    const tuned = await tensorBytes(demoModel('tiny-hubert-ft-asr'));
    expect([...merged.keys()].sort()).toEqual([...tuned.keys()].sort());
    expect(merged.get('lm_head.weight')).toEqual(tuned.get('lm_head.weight'));
    expect(existsSync(join(out, 'vocab.json'))).toBe(true);
    expect(json(join(out, 'config.json')).architectures).toEqual(['HubertForCTC']);
  });

  it('merged again keep the chain of recipes', async () => {
    const [first, second] = [newOut(), newOut()];
    await mergeModels({
      ...request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert-ft-asr')] }),
      out: first,
    });
    await mergeModels({ ...request({ base: first, finetuned: [demoModel('tiny-hubert-ft-speaker')] }), out: second });
    expect(json(join(second, 'foretune_merge.json'))).toMatchObject({
      base: { recipe: { method: 'linear', finetuned: [{ name: 'tiny-hubert-ft-asr' }] } },
    });
  });

  it('of tensors larger than a piece are those of the whole, for methods that look at tensors first', async () => {
    const size = (1 << 22) + 4321;
    const make = (factor: number) => Float32Array.from({ length: size }, (_, i) => ((i * factor) % 1009) / 512 - 1);
    const name = 'tensor 0'; // as the test's own run calls it, since DARE draws by name
    const values = [make(7), make(11), make(13)];
    const paths = values.map((array, i) =>
      writeModel(join(folder.path, `large-${i}.safetensors`), {
        [name]: array,
        'encoder.layer_norm.weight': Float32Array.of(1, 2 + i),
      }),
    );
    for (const [method, models] of [
      ['slerp', 1],
      ['ties', 2],
      ['dare', 2],
    ] as const) {
      const settings = { ...usualSettings, scope: 'tensor', rescale: 'l1', density: 0.3 } as const;
      const out = newOut();
      await mergeModels({
        ...request({ base: paths[0], finetuned: paths.slice(1, 1 + models), method, settings, alphas: [{ value: 0.5 }] }),
        out,
      });
      const [expected] = runMethod({
        method: mergeMethod(method),
        settings,
        alpha: 0.5,
        chunk: 1 << 18, // sums are added in the order of pieces
        base: [values[0]],
        tuned: values.slice(1, 1 + models).map((array) => [array]),
      });
      expect(
        Buffer.compare(
          new Uint8Array((await tensorValues(out)).get(name)!.buffer),
          new Uint8Array(Float32Array.from(expected).buffer),
        ),
      ).toBe(0);
    }
  });
});

describe('a merge that cannot be done', () => {
  const refuse = (options: Parameters<typeof request>[0]) => {
    const out = newOut();
    const files = () => readdirSync(folder.path).filter((name) => name.startsWith(out.slice(folder.path.length + 1)));
    return { attempt: mergeModels({ ...request({ finetuned: [join(golden, 'bin')], ...options }), out }), files };
  };

  it.each([
    ['no density', { method: 'ties', settings: { ...usualSettings, density: 0 } }, 'A density of 0 keeps nothing'],
    ['a density in percent', { method: 'dare', settings: { ...usualSettings, density: 20 } }, 'A density of 20 is no share'],
    [
      'two models for SLERP',
      { method: 'slerp', finetuned: [join(golden, 'bin'), join(golden, 'sharded')] },
      'slerp takes exactly 1 fine-tuned model, not 2',
    ],
    ['too few weights', { settings: { ...usualSettings, weights: [1, 2] } }, 'There are 2 weights for 1 fine-tuned models'],
    ['another architecture', { base: demoModel('tiny-hubert') }, 'is of another architecture than'],
    ['an unknown method', { method: 'magic' }, 'There is no merge method "magic"'],
    ['a model that is not there', { finetuned: ['/nowhere/model'] }, '/nowhere/model does not exist'],
    ['the same alpha twice', { alphas: [{ value: 0.5 }, { value: 0.5 }] }, 'names the same alpha twice'],
    ['a sweep of what has no alpha', { method: 'soup', alphas: [{ value: 0 }, { value: 1 }] }, 'nothing to sweep'],
  ])('is refused: %s', async (_, options, sentence) => {
    const { attempt, files } = refuse(options);
    await expect(attempt).rejects.toThrow(sentence);
    expect(files()).toEqual([]);
  });

  it('names the tensor with a value that is no number, and leaves nothing', async () => {
    for (const [method, bad] of [
      ['linear', NaN],
      ['ties', NaN],
      ['slerp', Infinity],
      ['dare', -Infinity],
      ['soup', NaN],
    ] as const) {
      const paths = [Float32Array.of(1, 2, 3), Float32Array.of(1, bad, 3)].map((values, i) =>
        writeModel(join(folder.path, `nan-${method}-${i}.safetensors`), { 'encoder.a': Float32Array.of(1), 'encoder.b': values }),
      );
      const { attempt, files } = refuse({ base: paths[0], finetuned: [paths[1]], method });
      await expect(attempt).rejects.toThrow(
        `nan-${method}-1.safetensors: tensor "encoder.b" [3] holds a value that is no finite number, at element 1`,
      );
      expect(files()).toEqual([]);
    }
  });

  it('says when the result does not fit its type', async () => {
    const paths = [60000, 65504].map((value) =>
      writeModel(join(folder.path, `wide-${value}.safetensors`), { 'encoder.a': Float32Array.of(value) }),
    );
    const { attempt } = refuse({ base: paths[0], finetuned: [paths[1]], alphas: [{ value: 2 }], dtype: 'F16' });
    await expect(attempt).rejects.toThrow('Tensor "encoder.a" of the result would be too large for F16 at element 0');
  });

  it('names a truncated shard', async () => {
    const broken = join(folder.path, 'broken');
    cpSync(join(golden, 'sharded'), broken, { recursive: true });
    truncateSync(join(broken, 'model-00002-of-00002.safetensors'), 3000);
    await expect(refuse({ finetuned: [broken] }).attempt).rejects.toThrow(/model-00002-of-00002\.safetensors.*truncated/);
  });

  it('does not touch a place that is taken', async () => {
    const out = newOut();
    mkdirSync(out);
    writeFileSync(join(out, 'precious'), 'x');
    for (const attempt of [
      mergeModels({ ...request({ finetuned: [join(golden, 'bin')] }), out }),
      outlineMerge({ ...request({ finetuned: [join(golden, 'bin')] }), out }),
    ]) {
      await expect(attempt).rejects.toThrow(`${out} exists already; nothing was overwritten`);
    }
    expect(readdirSync(out)).toEqual(['precious']);
  });

  it('leaves nothing when it is stopped', async () => {
    const abort = new AbortController();
    const out = newOut();
    const work = mergeModels(
      { ...request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert-ft-asr')] }), out },
      { signal: abort.signal, onProgress: () => abort.abort() },
    );
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(folder.path).filter((name) => name.startsWith(out.slice(folder.path.length + 1)))).toEqual([]);
  });

  it('is refused before writing where the disk is too small', async () => {
    const attempt = createModelFolders(newOut(), [''], [{ name: 'a', dtype: 'F32', shape: [2 ** 45] }]);
    await expect(attempt).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(/needs 140737488 MB, but only \d+ MB are free/) as string,
    });
  });
});

describe('the plan', () => {
  it('warns of what Speech-FT would not do', async () => {
    const outline = await outlineMerge(
      request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-random')], alphas: [{ value: 1.2 }] }),
    );
    expect(outline.convEncoder[0]).toMatchObject({ tensors: 9, moved: 9 });
    expect(outline.warnings).toEqual([
      expect.stringContaining('alpha 1.2 lies outside'),
      expect.stringContaining('The conv encoder of tiny-random moved (9 tensors'),
    ]);
    const same = await outlineMerge(request({ base: demoModel('tiny-hubert'), finetuned: [demoModel('tiny-hubert')] }));
    expect(same.warnings).toEqual(['tiny-hubert is the same model as the base.']);
  });
});
