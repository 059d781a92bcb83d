import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import * as z from 'zod';

import { readNpy, writeNpy } from '#main/formats/npy.ts';
import { scoreColumns, scoreRowSchema } from '#shared/score.ts';

import demoLogme from '../golden/scoring/demo_logme.json' with { type: 'json' };
import golden from '../golden/scoring/reference.json' with { type: 'json' };
import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const cache = join(folder.path, 'cache');
afterAll(folder.remove);
const run = (...args: string[]) => foretune(args, { cache, cwd: folder.path });
const json = (text: string): unknown => JSON.parse(text);

const tinyHubert = join(demo, 'models', 'tiny-hubert');

describe('foretune score', () => {
  it('prints the rows of the contract, and writes the same to CSV', async () => {
    const csv = join(folder.path, 'scores.csv');
    const { code, stdout } = await run(
      ...['score', '--model', tinyHubert, '--data', join(demo, 'manifest.csv'), '--label', 'word', '--unit', 'utterance'],
      ...['--sample', '60', '--layers', '0,6', '--out', csv, '--json'],
    );
    expect(code).toBe(0);
    const { rows } = z.strictObject({ rows: z.array(z.strictObject(scoreRowSchema.shape)) }).parse(json(stdout));
    expect(rows.map(({ layer, control }) => `${layer} ${control}`).sort()).toEqual(
      ['', 'random-weights', 'shuffled-labels'].flatMap((control) => [`0 ${control}`, `6 ${control}`]).sort(),
    );
    for (const row of rows) {
      expect(row).toMatchObject({ model: 'tiny-hubert', label: 'word', unit: 'utterance', metric: 'logme', n: 60, d: 96 });
      expect(row.ci_low!).toBeLessThan(row.value);
      expect(row.ci_high!).toBeGreaterThan(row.value);
    }
    const lines = readFileSync(csv, 'utf8').trim().split(/\r?\n/);
    expect(lines[0]).toBe(scoreColumns.join(','));
    expect(lines).toHaveLength(1 + rows.length);
  });

  it('gives LogME as NumPy computes it from the stacked features, for both units and labels', async () => {
    const { code, stdout } = await run(
      ...['score', '--model', tinyHubert, '--data', join(demo, 'manifest.csv'), '--label', 'word', '--label', 'speaker'],
      ...['--unit', 'frame', '--unit', 'utterance', '--layers', '0,4', '--controls', 'none', '--json'],
    );
    expect(code).toBe(0);
    const { rows } = z.object({ rows: z.array(scoreRowSchema) }).parse(json(stdout));
    expect(rows).toHaveLength(demoLogme.length);
    for (const { layer, label, unit, value } of demoLogme) {
      const row = rows.find((candidate) => candidate.layer === layer && candidate.label === label && candidate.unit === unit);
      // A full SVD and an independent maximiser on features of this machine: other processors' float32 encoders differ by 1e-6.
      expect(row!.value).toBeCloseTo(value, 5);
    }
  });

  it('prints a table for people, with nothing but the table on stdout', async () => {
    const { code, stdout, stderr } = await run(
      ...[
        'score',
        '--model',
        tinyHubert,
        '--data',
        join(demo, 'manifest.csv'),
        '--label',
        'speaker',
        '--sample',
        '40',
        '--layers',
        '3',
        '--controls',
        'none',
      ],
    );
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toMatch(/^label\s+unit\s+metric\s+model\s+layer\s+value/);
    expect(stdout.trim().split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/7 layers|1 layers/);
  });
});

describe('foretune extract', () => {
  it('writes float32 [frames, width] per layer under the stem of each file', async () => {
    const clips = ['yes_s0_0', 'go_s2_0'].map((stem) => join(demo, 'audio', `${stem}.flac`));
    const { code, stdout } = await run(
      'extract',
      '--model',
      tinyHubert,
      '--audio',
      ...clips,
      '--layers',
      '0,6',
      '--out',
      'features',
      '--json',
    );
    expect(code).toBe(0);
    expect(json(stdout)).toMatchObject({ files: [{ width: 96, layers: [0, 6] }, { width: 96 }] });
    const { shape, dtype } = await readNpy(join(folder.path, 'features', 'yes_s0_0', 'layer_06.npy'));
    expect(dtype).toBe('<f4');
    expect(shape[1]).toBe(96);
    expect(existsSync(join(folder.path, 'features', 'go_s2_0', 'layer_00.npy'))).toBe(true);
    expect(existsSync(join(folder.path, 'features', 'go_s2_0', 'layer_01.npy'))).toBe(false);
  });
});

describe('foretune metrics', () => {
  it('gives the golden LogME of features and labels in NumPy files', async () => {
    const features = golden.F;
    await writeNpy(join(folder.path, 'F.npy'), [features.length, features[0].length], Float32Array.from(features.flat()));
    await writeNpy(join(folder.path, 'Y.npy'), [golden.y.length], Float32Array.from(golden.y));
    const { code, stdout } = await run('metrics', '--features', 'F.npy', '--labels', 'Y.npy', '--metrics', 'logme', '--json');
    expect(code).toBe(0);
    const { metrics } = z.object({ metrics: z.object({ logme: z.number() }) }).parse(json(stdout));
    // Features of three decimals lose 1e-8 in float32; the golden value stops iterating at a relative 1e-3 of alpha/beta.
    expect(metrics.logme).toBeCloseTo(-0.45959553, 5);
  });
});

describe('the command line', () => {
  it('has --help on every command', async () => {
    for (const command of [[], ['demo'], ['score'], ['extract'], ['metrics'], ['report'], ['check']]) {
      const { code, stdout } = await run(...command, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain('Usage: foretune');
    }
  });

  it.each([
    ['no such command', ['frobnicate']],
    ['no such option', ['score', '--frobnicate']],
    ['a missing option', ['score', '--model', 'x']],
    ['an unknown unit', ['score', '--model', 'x', '--data', 'y', '--label', 'z', '--unit', 'hour']],
    ['an unknown score', ['score', '--model', 'x', '--data', 'y', '--label', 'z', '--metrics', 'magic']],
    ['nothing to score against', ['metrics', '--features', 'F.npy']],
    ['nothing to write', ['report', 'x.foretune']],
    ['layers that are no numbers', ['extract', '--model', 'x', '--audio', 'y', '--out', 'z', '--layers', 'last']],
  ])('exits with 2 on wrong usage: %s', async (_, args) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toBe('');
  });
});

describe('a reader who goes before the end', () => {
  it('is no failure of the work', async () => {
    const { child, finished } = start(['studies', '--json'], { cache });
    child.stdout.destroy();
    expect(await finished).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});
