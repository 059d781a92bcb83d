import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { parseManifest, readManifest } from '#main/formats/manifest.ts';

const folder = mkdtempSync(join(tmpdir(), 'foretune-manifest-'));
afterAll(() => rmSync(folder, { recursive: true }));

const parse = (text: string, name = 'x.csv') => parseManifest(new TextEncoder().encode(text), name);

describe('CSV and TSV', () => {
  it('reads commas, quotes, a byte order mark and CRLF', () => {
    const { format, columns, rows, problems } = parse(
      '\ufeffpath,word\r\na.wav,"yes, ""sir"""\r\n\r\nb.wav,"two\r\nlines"\r\nc.wav,\r\n',
    );
    expect({ format, columns, problems }).toEqual({ format: 'csv', columns: ['path', 'word'], problems: [] });
    expect(rows).toEqual([
      { row: 2, values: { path: 'a.wav', word: 'yes, "sir"' } },
      { row: 4, values: { path: 'b.wav', word: 'two\nlines' } },
      { row: 6, values: { path: 'c.wav', word: '' } },
    ]);
  });

  it('finds semicolons', () => {
    expect(parse('path;"a,b";c\nx.wav;1,5;2\n').rows).toEqual([{ row: 2, values: { path: 'x.wav', 'a,b': '1,5', c: '2' } }]);
  });

  it('takes bare quotes of Common Voice as text', () => {
    const { format, rows } = parse('client_id\tpath\tsentence\n1\ta.mp3\t"Quoted\n2\tb.mp3\tHe said "no".\n', 'validated.tsv');
    expect(format).toBe('tsv');
    expect(rows.map(({ values }) => values.sentence)).toEqual(['"Quoted', 'He said "no".']);
  });

  it('names unnamed and repeated columns', () => {
    expect(parse(',path,path\n0,a.wav,b\n').columns).toEqual(['column 1', 'path', 'path (2)']);
  });

  it('reports ragged rows and keeps the rest', () => {
    const { rows, problems } = parse('path,word\na.wav\nb.wav,yes\nc.wav,no,3\n');
    expect(rows.map(({ row }) => row)).toEqual([3]);
    expect(problems).toEqual([
      { row: 2, message: 'has 1 fields where the header has 2' },
      { row: 4, message: 'has 3 fields where the header has 2' },
    ]);
  });

  it('loses only its row to a quote that is never closed', () => {
    const { rows, problems } = parse('path,word\na.wav,yes\n\n"b.wav,no\nc.wav,go\nd.wav,up\n');
    expect(rows.map(({ row, values }) => [row, values.path])).toEqual([
      [2, 'a.wav'],
      [5, 'c.wav'],
      [6, 'd.wav'],
    ]);
    expect(problems).toEqual([{ row: 4, message: 'a quote is opened and never closed' }]);
  });

  it('reads UTF-16, and other bytes as Windows-1252 with a word about it', () => {
    const utf16 = Buffer.from('\ufeffpath,word\na.wav,né\n', 'utf16le');
    expect(parseManifest(utf16, 'x.csv').rows[0].values.word).toBe('né');
    const latin = parseManifest(Buffer.from('path,word\na.wav,né\n', 'latin1'), 'x.csv');
    expect(latin.rows[0].values.word).toBe('né');
    expect(latin.problems).toEqual([{ row: 0, message: 'the file is not UTF-8; it was read as Windows-1252' }]);
  });

  it.each([
    ['an empty file', ' \n', 'invalid-data', 'x.csv is empty (2 bytes)'],
    ['zero bytes', 'a\0b', 'unreadable', 'x.csv is no text: byte 1 is zero'],
    ['too many columns', 'a,'.repeat(2000), 'invalid-data', 'more than a manifest can have'],
  ])('refuses %s', (_, text, code, sentence) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(sentence) as string }));
  });
});

describe('JSON lines', () => {
  it('reads NeMo rows, with nested values as JSON', () => {
    const text =
      '{"audio_filepath": "a.wav", "duration": 1.5, "text": "yes", "meta": {"x": [1]}}\n\n{"audio_filepath": "b.wav", "flag": true, "text": null}\n';
    const { format, columns, rows } = parse(text, 'train.json');
    expect(format).toBe('jsonl');
    expect(columns).toEqual(['audio_filepath', 'duration', 'text', 'meta', 'flag']);
    expect(rows).toEqual([
      { row: 1, values: { audio_filepath: 'a.wav', duration: '1.5', text: 'yes', meta: '{"x":[1]}', flag: '' } },
      { row: 3, values: { audio_filepath: 'b.wav', duration: '', text: '', meta: '', flag: 'true' } },
    ]);
  });

  it('reports lines that are no objects', () => {
    const { rows, problems } = parse('{"a": "x.wav"}\n[1]\n{"a": \n', 'x.jsonl');
    expect(rows.length).toBe(1);
    expect(problems.map(({ row }) => row)).toEqual([2, 3]);
    expect(problems[0].message).toBe('is no JSON object');
  });

  it('reads one list of objects', () => {
    expect(parse('[{"a": 1}, {"a": 2}]', 'x.json').rows.map(({ row, values }) => [row, values.a])).toEqual([
      [1, '1'],
      [2, '2'],
    ]);
  });

  it('refuses a file without any object', () => {
    expect(() => parse('nothing', 'x.jsonl')).toThrow('has no row that is a JSON object with a field (1 other rows)');
  });
});

describe('readManifest', () => {
  it('reads a folder per class', async () => {
    const root = join(folder, 'classes');
    for (const file of ['yes/b.wav', 'yes/deep/a.flac', 'no/c.MP3', 'no/notes.txt', '.hidden/d.wav', 'loose.wav']) {
      mkdirSync(join(root, file, '..'), { recursive: true });
      writeFileSync(join(root, file), 'x');
    }
    const { path, format, columns, rows, problems } = await readManifest(root);
    expect({ path, format, columns }).toEqual({ path: root, format: 'folders', columns: ['path', 'label'] });
    expect(rows.map(({ values }) => [values.path, values.label])).toEqual([
      ['no/c.MP3', 'no'],
      ['yes/b.wav', 'yes'],
      ['yes/deep/a.flac', 'yes'],
    ]);
    expect(problems).toEqual([{ row: 1, message: 'loose.wav lies in no class folder' }]);
  });

  it('follows linked folders, but not round in circles', async () => {
    const root = join(folder, 'linked');
    mkdirSync(join(root, 'yes'), { recursive: true });
    mkdirSync(join(folder, 'target'));
    writeFileSync(join(root, 'yes', 'a.wav'), 'x');
    writeFileSync(join(folder, 'target', 'b.wav'), 'x');
    symlinkSync(join(folder, 'target'), join(root, 'no'), 'junction');
    symlinkSync(root, join(root, 'yes', 'circle'), 'junction');
    expect((await readManifest(root)).rows.map(({ values }) => values.path)).toEqual(['no/b.wav', 'yes/a.wav']);
  });

  it('refuses a folder without classes', async () => {
    const root = join(folder, 'bare');
    mkdirSync(root);
    await expect(readManifest(root)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('no class folders') as string,
    });
  });

  it('reads the demo manifests', async () => {
    const demo = resolve(import.meta.dirname, '../../../resources/demo');
    const { rows, columns, problems } = await readManifest(join(demo, 'manifest.csv'));
    expect({ n: rows.length, columns, problems }).toEqual({
      n: 240,
      columns: ['path', 'word', 'speaker', 'split'],
      problems: [],
    });
    expect((await readManifest(join(demo, 'sentences.csv'))).rows.length).toBe(48);
  });
});
