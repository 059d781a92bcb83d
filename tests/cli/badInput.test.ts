import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { writeNpy } from '#main/formats/npy.ts';
import { applicationId } from '#main/project/migrations.ts';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const cache = at('cache');
afterAll(folder.remove);

const tinyHubert = join(demo, 'models', 'tiny-hubert');
const manifest = join(demo, 'manifest.csv');
const clip = join(demo, 'audio', 'yes_s0_0.flac');

/** A copy of the demo model, changed. */
function model(name: string, change: (path: string) => void): string {
  const path = at(name);
  cpSync(tinyHubert, path, { recursive: true });
  change(path);
  return path;
}

function editConfig(path: string, changes: Record<string, unknown>): void {
  const file = join(path, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes }));
}

const score = (changes: { model?: string; data?: string; label?: string }) => [
  ...[
    'score',
    '--model',
    changes.model ?? tinyHubert,
    '--data',
    changes.data ?? manifest,
    '--label',
    changes.label ?? 'word',
    '--controls',
    'none',
    '--sample',
    '20',
  ],
];

beforeAll(async () => {
  model('truncated', (path) => truncateSync(join(path, 'model.safetensors'), 100_000));
  model('lying', (path) => {
    const file = join(path, 'model.safetensors');
    const bytes = readFileSync(file);
    bytes.writeBigUInt64LE(9_000_000_000_000n, 0);
    writeFileSync(file, bytes);
  });
  model('unknown', (path) => editConfig(path, { model_type: 'mamba-speech' }));
  model('incomplete', (path) => editConfig(path, { num_hidden_layers: 9 }));
  model('pickle', (path) => {
    rmSync(join(path, 'model.safetensors'));
    cpSync(join(import.meta.dirname, '../golden/checkpoints/os_system.pt'), join(path, 'pytorch_model.bin'));
  });
  await writeNpy(at('features.npy'), [6, 2], Float32Array.of(1, 2, 3, 4, 5, 7, 1, 1, 2, 9, 4, 3));
  await writeNpy(at('half.npy'), [6], Float32Array.of(0, 1.5, 0, 1, 0, 1));
  await writeNpy(at('seven.npy'), [7], Float32Array.of(0, 1, 0, 1, 0, 1, 0));
  mkdirSync(at('empty'));
  writeFileSync(at('zero.wav'), '');
  writeFileSync(at('text.wav'), 'this is no audio at all, whatever its name says');
  writeFileSync(at('one-class.csv'), `path,word\n${clip},yes\n${join(demo, 'audio', 'yes_s0_1.flac')},yes\n`);
  writeFileSync(at('gone.csv'), 'path,word\nnowhere/a.wav,yes\nnowhere/b.wav,no\n');
  writeFileSync(at('noise.foretune'), 'not SQLite');
  const newer = new Database(at('newer.foretune'));
  newer.pragma(`application_id = ${applicationId}`);
  newer.pragma('user_version = 999999');
  newer.close();
  // float32 WAV with one NaN
  const wav = Buffer.alloc(44 + 4 * 4000);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(3, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(16000, 24);
  wav.writeUInt32LE(64000, 28);
  wav.writeUInt16LE(4, 32);
  wav.writeUInt16LE(32, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(16000, 40);
  wav.writeFloatLE(NaN, 44 + 4 * 77);
  writeFileSync(at('nan.wav'), wav);
});

describe('bad input', () => {
  it.each<[string, () => string[], RegExp]>([
    ['a truncated checkpoint', () => score({ model: at('truncated') }), /truncated.model\.safetensors.*\d/],
    ['a lying safetensors header', () => score({ model: at('lying') }), /lying.model\.safetensors.*9000000000000/],
    ['an unknown architecture', () => score({ model: at('unknown') }), /mamba-speech/],
    ['a model that misses tensors', () => score({ model: at('incomplete') }), /incomplete.*encoder\.layers\.6/],
    ['a folder that is no model', () => score({ model: at('empty') }), /empty/],
    ['a model that is not there', () => score({ model: at('nowhere') }), /nowhere/],
    ['a manifest that is not there', () => score({ data: at('nowhere.csv') }), /nowhere\.csv/],
    ['a manifest with one class', () => score({ data: at('one-class.csv') }), /one class.*yes/],
    ['a manifest whose files are all gone', () => score({ data: at('gone.csv') }), /nowhere/],
    ['a label that is no column', () => score({ label: 'emotion' }), /emotion.*word.*speaker/],
    ['a layer that does not exist', () => [...score({}), '--layers', '40'], /0 to 6.*40/],
    ['a project from a newer version', () => ['report', at('newer.foretune'), '--csv', at('csv')], /newer\.foretune.*999999/],
    ['a project that is no project', () => ['report', at('noise.foretune'), '--csv', at('csv')], /noise\.foretune/],
    ['an empty audio file', () => ['extract', '--model', tinyHubert, '--audio', at('zero.wav'), '--out', at('out')], /zero\.wav/],
    [
      'a file that is no audio',
      () => ['extract', '--model', tinyHubert, '--audio', at('text.wav'), '--out', at('out')],
      /text\.wav/,
    ],
    ['a checkpoint that wants to run code', () => score({ model: at('pickle') }), /pickle.pytorch_model\.bin.*posix\.system/],
    [
      'labels of which one is no class',
      () => ['metrics', '--features', at('features.npy'), '--labels', at('half.npy')],
      /half\.npy has 1\.5 at row 1/,
    ],
    [
      'labels for rows that the features do not have',
      () => ['metrics', '--features', at('features.npy'), '--labels', at('seven.npy')],
      /seven\.npy has 7 rows but .*features\.npy has 6/,
    ],
    ['NaN in audio', () => ['extract', '--model', tinyHubert, '--audio', at('nan.wav'), '--out', at('out')], /nan\.wav.*77/],
  ])('%s: one sentence, exit code 1', async (_, args, sentence) => {
    const { code, stdout, stderr } = await foretune(args(), { cache });
    expect(stderr.trim().split('\n').at(-1)).toMatch(sentence);
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^foretune: .*\.$/);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
    expect(stdout).toBe('');
  });

  it('a few bad rows and files are named, and the rest is scored', async () => {
    const rows = ['yes_s0_0', 'no_s0_0', 'yes_s0_1', 'no_s0_1', 'yes_s1_0', 'no_s1_0'].map(
      (stem) => `${join(demo, 'audio', `${stem}.flac`)},${stem.split('_')[0]}`,
    );
    writeFileSync(
      at('mixed.csv'),
      ['path,word', ...rows, `${at('text.wav')},yes`, `${at('nan.wav')},no`, 'missing.wav,no', ''].join('\n'),
    );
    const { code, stdout, stderr } = await foretune(
      [
        'score',
        '--model',
        tinyHubert,
        '--data',
        at('mixed.csv'),
        '--label',
        'word',
        '--controls',
        'none',
        '--unit',
        'utterance',
        '--json',
      ],
      { cache },
    );
    expect(code).toBe(0);
    for (const name of ['text.wav', 'nan.wav', 'missing.wav']) expect(stderr).toContain(name);
    expect((JSON.parse(stdout) as { rows: { n: number }[] }).rows.every(({ n }) => n === 6)).toBe(true);
  });
});
