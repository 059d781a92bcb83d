import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import * as z from 'zod';

import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const cache = join(folder.path, 'cache');
afterAll(folder.remove);
const run = (...args: string[]) => foretune(args, { cache, cwd: folder.path });
const json = (text: string): unknown => JSON.parse(text);

const model = (name: string): string => join(demo, 'models', name);
const both = ['--base', model('tiny-hubert'), '--finetuned', model('tiny-hubert-ft-asr')];

describe('foretune merge', () => {
  it('writes a model folder and prints where', async () => {
    const { code, stdout, stderr } = await run('merge', ...both, '--method', 'linear', '--alpha', '0.25', '--out', 'merged');
    expect([code, stdout]).toEqual([0, `${join(folder.path, 'merged')}\n`]);
    expect(stderr).toContain('The conv encoder of tiny-hubert-ft-asr is that of the base (9 tensors)');
    expect(readdirSync(join(folder.path, 'merged')).sort()).toEqual([
      'README.md',
      'config.json',
      'foretune_merge.json',
      'model.safetensors',
      'preprocessor_config.json',
    ]);

    const again = await run('merge', ...both, '--out', 'merged');
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^foretune: .*merged exists already; nothing was overwritten/);
  });

  it('prints the plan and writes nothing with --dry-run', async () => {
    const { code, stdout } = await run(
      'merge',
      ...both,
      '--finetuned',
      model('tiny-hubert-ft-speaker'),
      '--method',
      'ties',
      '--dry-run',
      '--out',
      'planned',
      '--json',
    );
    expect(code).toBe(0);
    expect(json(stdout)).toMatchObject({
      plan: { method: 'ties', matched: 115, merged: 115, dtype: 'F16', parameters: 817856, warnings: [] },
    });
    expect(existsSync(join(folder.path, 'planned'))).toBe(false);
  });

  it('makes a sweep, with alphas by module and by name', async () => {
    const { code, stdout, stderr } = await run(
      'merge',
      ...both,
      '--alpha',
      '0,0.5,1.5',
      '--alpha-module',
      'ffn=0:0.1,6:0.9',
      '--alpha-rule',
      '*.k_proj.*=0',
      '--density',
      '0.5',
      '--out',
      'sweep',
      '--json',
    );
    expect(code).toBe(0);
    const { results } = z.object({ results: z.array(z.object({ path: z.string(), alpha: z.number() })) }).parse(json(stdout));
    expect(results.map(({ path, alpha }) => [path, alpha])).toEqual(
      [0, 0.5, 1.5].map((alpha) => [join(folder.path, 'sweep', `alpha-${alpha}`), alpha]),
    );
    expect(stderr).toContain('warning: linear has no density');
    expect(stderr).toContain('warning: alpha 1.5 lies outside 0 to 1');
    const recipe = JSON.parse(readFileSync(join(results[1].path, 'foretune_merge.json'), 'utf8')) as unknown;
    expect(recipe).toMatchObject({
      alpha: {
        value: 0.5,
        modules: {
          ffn: [
            [0, 0.1],
            [6, 0.9],
          ],
        },
        rules: [{ pattern: '*.k_proj.*', alpha: 0 }],
      },
    });
  });

  it('makes a sweep of methods', async () => {
    const { code, stdout } = await run(
      'merge',
      ...both,
      '--method',
      'ties,sequential,soup',
      '--alpha',
      '0.5,1',
      '--out',
      'methods',
    );
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(
      ['ties-alpha-0.5', 'ties-alpha-1', 'sequential-alpha-0.5', 'sequential-alpha-1', 'soup'].map((name) =>
        join(folder.path, 'methods', name),
      ),
    );
  });

  it('refuses models that do not fit in one sentence, with the tensor and both shapes', async () => {
    const { code, stdout, stderr } = await run(
      'merge',
      '--base',
      model('tiny-hubert'),
      '--finetuned',
      join(demo, '..', '..', 'tests', 'golden', 'merging', 'bare.safetensors'),
      '--out',
      'misfit',
    );
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^foretune: Tensor ".+" has shape \[[\d, ]+\] in .+, but the shape \[[\d, ]+\] in .+\n$/);
    expect(existsSync(join(folder.path, 'misfit'))).toBe(false);
  });

  it.each([
    ['an unknown method', ['--method', 'magic', '--out', 'x']],
    ['nowhere to write', []],
    ['an alpha that is no number', ['--alpha', 'half', '--out', 'x']],
    ['a density of 0', ['--method', 'ties', '--density', '0', '--out', 'x']],
    ['an unknown module', ['--alpha-module', 'ears=1', '--out', 'x']],
    ['an unknown type', ['--dtype', 'int4', '--out', 'x']],
    ['a sweep and an alpha', ['--sweep', '3', '--alpha', '1', '--out', 'x']],
    ['two models for SLERP', ['--finetuned', model('tiny-hubert-ft-speaker'), '--method', 'slerp', '--out', 'x']],
  ])('exits with 2 on wrong usage: %s', async (_, args) => {
    const { code, stdout, stderr } = await run('merge', ...both, ...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
    expect(existsSync(join(folder.path, 'x'))).toBe(false);
  });

  it('killed in the middle leaves nothing that looks like a model, and can be done again', async () => {
    const { child, finished } = start(['merge', ...both, '--sweep', '101', '--out', 'killed'], { cache, cwd: folder.path });
    const parts = () => readdirSync(folder.path).filter((name) => name.startsWith('killed.') && name.endsWith('.part'));
    const isWriting = () => parts().some((name) => readdirSync(join(folder.path, name)).length > 50);
    while (!isWriting() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
    child.kill('SIGKILL');
    expect((await finished).code).toBeNull();
    expect(existsSync(join(folder.path, 'killed'))).toBe(false);
    const [part] = parts();
    const left = readdirSync(join(folder.path, part), { recursive: true, encoding: 'utf8' }).map((name) =>
      name.split('/').at(-1),
    );
    expect(left.filter((name) => name === 'config.json' || name === 'model.safetensors')).toEqual([]);

    const again = await run('merge', ...both, '--out', 'killed');
    expect(again.code).toBe(0);
    expect(again.stderr).toContain(`${part} is left of an interrupted merge`);
  });
});

describe('foretune compare', () => {
  it('prints the distance by module and layer', async () => {
    const { code, stdout } = await run(
      'compare',
      '--a',
      model('tiny-hubert'),
      '--b',
      model('tiny-hubert-ft-asr'),
      '--b',
      model('tiny-hubert-ft-speaker'),
      '--json',
    );
    expect(code).toBe(0);
    const row = z.object({
      b: z.string(),
      module: z.string(),
      layer: z.number(),
      relative_l2: z.number(),
      cosine: z.number(),
      parameters: z.number(),
    });
    const { rows, pairs } = z
      .object({ rows: z.array(row), pairs: z.array(z.object({ b1: z.string(), b2: z.string(), conflict: z.number() })) })
      .parse(json(stdout));
    expect(rows.find(({ module }) => module === 'conv')).toMatchObject({ layer: 0, relative_l2: 0, cosine: 1 });
    expect(pairs).toEqual([
      { b1: 'tiny-hubert-ft-asr', b2: 'tiny-hubert-ft-speaker', conflict: expect.closeTo(0.498, 2) as number },
    ]);
    const table = await run('compare', '--a', model('tiny-hubert'), '--b', model('tiny-hubert-ft-asr'), '--density', '0.2');
    expect(table.stdout.split('\n')[0]).toMatch(
      /^layer\s+module\s+parameters\s+relative change\s+cosine\s+largest\s+changed %\s+TIES keeps %$/,
    );
  });
});

describe('foretune superb', () => {
  it('scores a table of results', async () => {
    writeFileSync(
      join(folder.path, 'results.csv'),
      'run,pr_per,sid_acc,er_acc,sf_f1,sf_cer\nPre-trained HuBERT,5.17,81.86,64.99,88.54,24.70\n',
    );
    const { code, stdout } = await run('superb', '--results', 'results.csv', '--json');
    expect(code).toBe(0);
    expect(json(stdout)).toMatchObject({ rows: [{ run: 'Pre-trained HuBERT', score: expect.closeTo(870.2, 2) as number }] });
  });

  it('flags the misprint of the published table', async () => {
    const { stdout, stderr } = await run('superb', '--published');
    expect(stdout.trim().split('\n')).toHaveLength(43);
    expect(stderr).toContain('warning: "ASR Libri Stable-FT" is printed as 805.33, but its metrics give 805.529.');
  });

  it.each([
    ['nothing to score', [], 2],
    ['a file that is not there', ['--results', 'nothing.csv'], 1],
    ['a task without results', ['--published', '--tasks', 'asr'], 1],
  ])('refuses %s', async (_, args, expected) => {
    const { code, stdout, stderr } = await run('superb', ...args);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(/^foretune: /);
  });
});
