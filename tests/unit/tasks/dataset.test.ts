import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { openDataset, parseNumber } from '#main/tasks/dataset.ts';

const demo = resolve(import.meta.dirname, '../../../resources/demo');
const folder = mkdtempSync(join(tmpdir(), 'foretune-dataset-'));
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
/** A folder with files (text, or the manifest itself) and the manifest's path. */
function dataset(manifest: string, text: string, files: string[]): string {
  const root = join(folder, `set${made++}`);
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), file.includes('empty') ? '' : 'audio');
  }
  mkdirSync(dirname(join(root, manifest)), { recursive: true });
  writeFileSync(join(root, manifest), text);
  return join(root, manifest);
}

describe('openDataset', () => {
  it('describes the demo', async () => {
    const { name, audioColumn, columns, utterances, problems, fingerprint } = await openDataset(join(demo, 'manifest.csv'));
    expect({ name, audioColumn, problems, n: utterances.length }).toEqual({
      name: 'manifest.csv',
      audioColumn: 'path',
      problems: [],
      n: 240,
    });
    expect(columns).toEqual([
      { name: 'path', kind: 'audio', distinct: 240, filled: 240 },
      { name: 'word', kind: 'category', distinct: 10, filled: 240 },
      { name: 'speaker', kind: 'category', distinct: 8, filled: 240 },
      { name: 'split', kind: 'category', distinct: 2, filled: 240 },
    ]);
    expect(utterances[0]).toEqual({
      id: 'audio/yes_s0_0.flac',
      path: join(demo, 'audio/yes_s0_0.flac'),
      values: { path: 'audio/yes_s0_0.flac', word: 'yes', speaker: 's0', split: 'train' },
      row: 2,
    });
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const sentences = await openDataset(join(demo, 'sentences.csv'));
    expect(sentences.columns.map(({ kind }) => kind)).toEqual(['audio', 'text', 'category']);
  });

  it('finds the audio column by its content', async () => {
    const path = dataset('m.csv', 'id,recording,note\n1,a.wav,x\n2,b.WAV,y\n', ['a.wav', 'b.WAV']);
    expect((await openDataset(path)).audioColumn).toBe('recording');
    // A usual name whose values are no audio files gives way to a column whose values are.
    const other = dataset('m.csv', 'path,clip_name\n/x/1,a.wav\n/x/2,b.wav\n', ['a.wav', 'b.wav']);
    expect((await openDataset(other)).audioColumn).toBe('clip_name');
  });

  it('looks beside the manifest, in the root, in clips and one folder up, in that order', async () => {
    const text = 'path\nbeside.wav\nclip.mp3\nup.wav\nroot.wav\n';
    const path = dataset('lists/m.tsv', text, [
      'lists/beside.wav',
      'beside.wav',
      'lists/clips/clip.mp3',
      'up.wav',
      'elsewhere/root.wav',
      'elsewhere/up.wav',
    ]);
    const top = dirname(dirname(path));
    const { utterances } = await openDataset(path, { root: join(top, 'elsewhere') });
    expect(utterances.map(({ path }) => path)).toEqual([
      join(top, 'lists/beside.wav'),
      join(top, 'lists/clips/clip.mp3'),
      join(top, 'elsewhere/up.wav'),
      join(top, 'elsewhere/root.wav'),
    ]);
  });

  it('leaves out and reports rows without usable audio', async () => {
    const path = dataset('m.csv', 'path,word\na.wav,yes\ngone.wav,no\n,up\nempty.wav,go\nragged\n', ['a.wav', 'empty.wav']);
    const { utterances, problems } = await openDataset(path);
    expect(utterances.map(({ id }) => id)).toEqual(['a.wav']);
    const at = (file: string) => join(dirname(path), file);
    expect(problems).toEqual([
      { row: 3, file: 'gone.wav', message: `${at('gone.wav')} does not exist` },
      { row: 4, message: 'the column "path" is empty' },
      { row: 5, file: 'empty.wav', message: `${at('empty.wav')} is empty (0 bytes)` },
      { row: 6, message: 'has 1 fields where the header has 2' },
    ]);
  });

  it('takes parts of files from NeMo offsets', async () => {
    const rows = [
      { audio_filepath: 'a.wav', offset: 1.5, duration: 2 },
      { audio_filepath: 'a.wav', offset: 4, duration: 0.25 },
      { audio_filepath: 'b.wav', duration: 3 },
      { audio_filepath: 'b.wav', offset: -1, duration: 3 },
    ];
    const path = dataset('m.json', rows.map((row) => JSON.stringify(row)).join('\n'), ['a.wav', 'b.wav']);
    const { utterances, problems } = await openDataset(path);
    expect(utterances.map(({ id, start, end }) => ({ id, start, end }))).toEqual([
      { id: 'a.wav#1', start: 1.5, end: 3.5 },
      { id: 'a.wav#2', start: 4, end: 4.25 },
      { id: 'b.wav#3', start: undefined, end: undefined },
    ]);
    expect(problems).toEqual([{ row: 4, file: 'b.wav', message: 'offset "-1" is no number of seconds' }]);
  });

  it('keeps its fingerprint when moved, and changes it with a label or a file', async () => {
    const first = dataset('m.csv', 'path,word\na.wav,yes\n', ['a.wav']);
    const moved = dataset('other.csv', 'path,word\na.wav,yes\n', ['a.wav']);
    const relabelled = dataset('m.csv', 'path,word\na.wav,no\n', ['a.wav']);
    const print = async (path: string) => (await openDataset(path)).fingerprint;
    expect(await print(moved)).toBe(await print(first));
    expect(await print(relabelled)).not.toBe(await print(first));
    const before = await print(moved);
    copyFileSync(first, join(dirname(moved), 'a.wav'));
    expect(await print(moved)).not.toBe(before);
  });

  const refusals: [string, string, object, string, string][] = [
    ['all files missing', 'path\ngone.wav\nlost.wav\n', {}, 'not-found', 'None of the 2 audio files of'],
    [
      'an unknown audio column',
      'path\na.wav\n',
      { audioColumn: 'wave' },
      'not-found',
      'm.csv has no column "wave"; it has path.',
    ],
    ['no audio column', 'x,y\n1,2\n', {}, 'not-found', 'm.csv has no column that names audio files; it has x, y'],
    ['a header alone', 'path,word\n', {}, 'invalid-data', 'there is nothing below its header'],
    ['ragged rows alone', 'path,word\na.wav\n', {}, 'invalid-data', 'row 2: has 1 fields where the header has 2'],
  ];
  it.each(refusals)('refuses %s', async (_, text, options, code, sentence) => {
    const path = dataset('m.csv', text, ['a.wav']);
    await expect(openDataset(path, options)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(sentence) as string,
    });
  });
});

describe('parseNumber', () => {
  it.each([
    ['1', 1],
    [' -2.5e3 ', -2500],
    ['.5', 0.5],
    ['', undefined],
    ['0x10', undefined],
    ['1,5', undefined],
    ['nan', undefined],
    ['1e999', undefined],
  ])('reads "%s"', (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });
});
