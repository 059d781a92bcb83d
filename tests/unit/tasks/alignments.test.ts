import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { collectAlignments, openAlignments } from '#main/tasks/alignments/alignments.ts';
import { openDataset } from '#main/tasks/dataset.ts';
import { openLabels } from '#main/tasks/openLabels.ts';
import { type AlignmentChoice } from '#shared/experiment.ts';

const folder = mkdtempSync(join(tmpdir(), 'foretune-alignments-'));
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
/** A folder with these files; gives its path. */
function files(contents: Record<string, string>): string {
  const root = join(folder, `set${made++}`);
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

function textGrid(tiers: Record<string, [number, number, string][]>): string {
  const body = Object.entries(tiers).map(
    ([name, intervals]) =>
      `"IntervalTier" "${name}" 0 9 ${intervals.length} ${intervals.map(([start, end, label]) => `${start} ${end} "${label}"`).join(' ')}`,
  );
  return `File type = "ooTextFile"\n"TextGrid"\n0 9 <exists> ${body.length} ${body.join('\n')}`;
}

async function collect(root: string, choice: AlignmentChoice, labels: string[], manifest = 'm.csv') {
  const dataset = await openDataset(join(root, manifest));
  const source = await openAlignments(dataset, choice);
  return collectAlignments(dataset, source, choice, labels);
}

const audio = { 'a.wav': 'audio', 'b.wav': 'audio', 'c.wav': 'audio' };
const manifest = 'path,word\na.wav,x\nb.wav,y\nc.wav,x\n';

describe('alignments', () => {
  it('of a folder become label columns, tier by tier, with what is missing', async () => {
    const root = files({
      ...audio,
      'm.csv': manifest,
      'tg/a.TextGrid': textGrid({
        words: [[0, 1, 'yes']],
        phones: [
          [0, 0.4, 'Y'],
          [0.4, 0.5, ''],
          [0.5, 1, 'S'],
        ],
      }),
      'tg/deep/b.textgrid': textGrid({
        words: [
          [0, 1, 'no'],
          [1, 2, 'sil'],
        ],
        phones: [[0, 1, 'N']],
      }),
    });
    const { columns, report } = await collect(root, { path: join(root, 'tg'), without: ['sil'] }, ['phones', 'words']);
    expect(columns[0]).toEqual({
      name: 'phones',
      kind: 'classification',
      classes: ['N', 'S', 'Y'],
      k: 3,
      values: [
        { starts: Float64Array.of(0, 0.5), ends: Float64Array.of(0.4, 1), classes: Int32Array.of(2, 1) },
        { starts: Float64Array.of(0), ends: Float64Array.of(1), classes: Int32Array.of(0) },
        null,
      ],
      counts: [1, 1, 1],
      unlabelled: 1,
      seconds: [1, 0.5, 0.4],
    });
    expect(columns[1].classes).toEqual(['no', 'yes']);
    expect(report).toMatchObject({ formats: ['TextGrid'], found: 2, missing: 1, problems: [], notes: [] });
    expect(report.tiers).toEqual([
      { name: 'words', kind: 'intervals', utterances: 2, intervals: 3 },
      { name: 'phones', kind: 'intervals', utterances: 2, intervals: 3 },
    ]);
  });

  it('of one table for all are found by path, file name or stem', async () => {
    const table = 'file,start,end,label\na.wav,0,1,x\nb,0,1,y\nc,0.5,1,x\n';
    const faulty = `${table}c,0,0.75,z\nd,0,1,x\n`;
    const root = files({
      ...audio,
      'm.csv': manifest,
      'faulty.csv': faulty,
      'all.csv': table,
      'all.ctm': 'a 1 0 1 x\nb 1 0 1 y\n',
    });
    expect((await collect(root, { path: join(root, 'all.csv') }, ['tag'])).report).toMatchObject({ found: 3, formats: ['CSV'] });
    // A fault in one recording is that recording's.
    const { report: left } = await collect(root, { path: join(root, 'faulty.csv') }, ['tag']);
    expect([left.found, left.problems.map(({ row }) => row)]).toEqual([2, [4]]);
    const { columns, report } = await collect(root, { path: join(root, 'all.ctm') }, ['words']);
    expect([report.found, report.missing, columns[0].classes]).toEqual([2, 1, ['x', 'y']]);
  });

  it('of a table refuse two recordings that its name fits', async () => {
    const root = files({
      'p/a.wav': 'x',
      'q/a.wav': 'x',
      'm.csv': 'path\np/a.wav\nq/a.wav\n',
      'x.ctm': 'a 1 0 1 x\na 1 1 1 y\n',
    });
    const { report } = await collect(root, { path: join(root, 'x.ctm') }, ['words']);
    expect(report.problems).toEqual([
      { row: 3, file: 'q/a.wav', message: expect.stringContaining('would take what it says of "a"') as string },
    ]);
  });

  it('of TIMIT are told apart by speaker folder, both tiers, folded', async () => {
    const root = files({
      'data/DR1/FCJF0/SA1.WAV': 'x',
      'data/DR1/FDAW0/SA1.WAV': 'x',
      'm.csv': 'path\ndata/DR1/FCJF0/SA1.WAV\ndata/DR1/FDAW0/SA1.WAV\n',
      'timit/dr1/fcjf0/sa1.phn': '0 1600 h#\n1600 3200 ix\n3200 4000 q\n',
      'timit/dr1/fcjf0/sa1.wrd': '1600 3200 in\n',
      'timit/dr1/fdaw0/sa1.phn': '0 1600 pau\n1600 3200 zh\n',
      'timit/dr1/fdaw0/sa1.wrd': '1600 3200 she\n',
    });
    const { columns, report } = await collect(root, { path: join(root, 'timit'), fold: '39' }, ['phones']);
    expect(columns[0].classes).toEqual(['ih', 'sh', 'sil']);
    expect(columns[0].values.map((value) => [...value!.classes])).toEqual([
      [2, 0],
      [2, 1],
    ]);
    expect(report.tiers.map(({ name }) => name)).toEqual(['phones', 'words']);
    const words = await collect(root, { path: join(root, 'timit') }, ['words']);
    expect(words.columns[0].classes).toEqual(['in', 'she']);
  });

  it('named in a column are looked for beside the manifest', async () => {
    const root = files({
      ...audio,
      'm.csv': 'path,grid\na.wav,x/one.TextGrid\nb.wav,\nc.wav,x/gone.TextGrid\n',
      'x/one.TextGrid': textGrid({
        phones: [
          [0, 1, 'Y'],
          [1, 2, 'S'],
        ],
      }),
    });
    const { report } = await collect(root, { column: 'grid' }, ['phones']);
    expect(report).toMatchObject({ found: 1, missing: 1 });
    expect(report.problems).toEqual([{ row: 4, file: 'c.wav', message: `${join(root, 'x/gone.TextGrid')} does not exist` }]);
  });

  it('of a part of a file count from its beginning', async () => {
    const rows = [
      { audio_filepath: 'a.wav', offset: 1, duration: 1 },
      { audio_filepath: 'a.wav', offset: 2.5, duration: 1 },
    ];
    const root = files({
      ...audio,
      'm.json': rows.map((row) => JSON.stringify(row)).join('\n'),
      'a.TextGrid': textGrid({
        phones: [
          [0, 1.5, 'Y'],
          [1.5, 3, 'S'],
        ],
      }),
    });
    const { columns } = await collect(root, { path: join(root, 'a.TextGrid') }, ['phones'], 'm.json');
    expect(columns[0].values).toEqual([
      { starts: Float64Array.of(0, 0.5), ends: Float64Array.of(0.5, 1), classes: Int32Array.of(1, 0) },
      { starts: Float64Array.of(0), ends: Float64Array.of(0.5), classes: Int32Array.of(0) },
    ]);
  });

  it('leave out what cannot be used and say why', async () => {
    const root = files({
      ...audio,
      'm.csv': manifest,
      'tg/a.TextGrid': textGrid({
        phones: [
          [0, 1, 'Y'],
          [1, 2, 'S'],
        ],
      }),
      'tg/b.TextGrid': textGrid({
        phones: [
          [0, 1.5, 'Y'],
          [1, 2, 'S'],
        ],
      }),
      'tg/c.TextGrid': textGrid({ words: [[0, 1, 'yes']] }),
    });
    const { report } = await collect(root, { path: join(root, 'tg') }, ['phones']);
    expect(report.found).toBe(1);
    expect(report.problems.map(({ row, message }) => [row, message.slice(message.indexOf(root) + root.length)])).toEqual([
      [
        3,
        '/tg/b.TextGrid, tier 1 ("phones"): the intervals "Y" (0.000 to 1.500 s) and "S" (from 1.000 s) overlap; a frame has one label',
      ],
      [4, '/tg/c.TextGrid has no tier "phones"; it has "words": choose one by its name or number'],
    ]);
  });

  it('change their fingerprint with their content only', async () => {
    const make = (label: string) => files({ ...audio, 'm.csv': manifest, 'x.ctm': `a 1 0 1 x\nb 1 0 1 ${label}\n` });
    const print = async (root: string) => (await collect(root, { path: join(root, 'x.ctm') }, ['w'])).report.fingerprint;
    expect(await print(make('y'))).toBe(await print(make('y')));
    expect(await print(make('z'))).not.toBe(await print(make('y')));
  });

  const one = textGrid({ phones: [[0, 1, 'Y']], words: [[0, 1, 'yes']] });
  it.each<[string, Record<string, string>, AlignmentChoice, string, string]>([
    ['an empty folder', { 'tg/x.txt': '' }, { path: 'tg' }, 'not-found', 'holds no alignment file'],
    ['other files', { 'tg/z.TextGrid': one }, { path: 'tg' }, 'not-found', 'has no alignment of any of the 3 files of m.csv'],
    ['a missing path', {}, { path: 'tg' }, 'not-found', 'does not exist'],
    ['another kind of file', { 'x.txt': 'hello' }, { path: 'x.txt' }, 'unsupported', 'is no alignment that is known'],
    [
      'a missing tier',
      { 'tg/a.TextGrid': one },
      { path: 'tg', tier: 'tones' },
      'not-found',
      'has no tier "tones"; it has "phones", "words"',
    ],
    ['one class', { 'tg/a.TextGrid': one }, { path: 'tg' }, 'invalid-data', 'one class ("Y", 1 intervals) as "phones"'],
    ['a missing column', {}, { column: 'grid' }, 'not-found', 'm.csv has no column "grid"'],
    [
      'a fold of other phones',
      { 'tg/a.TextGrid': one },
      { path: 'tg', tier: 'words', fold: '39' },
      'invalid-data',
      `none of TIMIT's 61 phones`,
    ],
  ])('refuse %s', async (_, contents, choice, code, sentence) => {
    const root = files({ ...audio, 'm.csv': manifest, ...contents });
    const placed = choice.path === undefined ? choice : { ...choice, path: join(root, choice.path) };
    await expect(collect(root, placed, ['phones'])).rejects.toMatchObject({
      code,
      message: expect.stringContaining(sentence) as string,
    });
  });
});

describe('openLabels', () => {
  const root = files({ ...audio, 'm.csv': manifest, 'x.ctm': 'a 1 0 1 x\nb 1 0 1 y\n' });
  const choice = { path: join(root, 'x.ctm') };

  it('takes columns from the manifest and everything else from the alignments', async () => {
    const dataset = await openDataset(join(root, 'm.csv'));
    const { columns } = await openLabels(dataset, ['spoken', 'word'], { alignments: choice });
    expect(columns.map(({ name, classes }) => [name, ...classes])).toEqual([
      ['spoken', 'x', 'y'],
      ['word', 'x', 'y'],
    ]);
    expect(columns[1].values).toEqual([0, 1, 0]);
  });

  it('tells a tier from a column of its name', async () => {
    const grids = { 'tg/a.TextGrid': textGrid({ word: [[0, 1, 'p']] }), 'tg/b.TextGrid': textGrid({ word: [[0, 1, 'q']] }) };
    const both = files({ ...audio, 'm.csv': manifest, ...grids });
    const dataset = await openDataset(join(both, 'm.csv'));
    const { columns } = await openLabels(dataset, ['word', 'word (alignment)'], { alignments: { path: join(both, 'tg') } });
    expect(columns.map(({ classes }) => classes)).toEqual([
      ['x', 'y'],
      ['p', 'q'],
    ]);
  });

  it('refuses alignments that nothing comes from, and one tier for two labels', async () => {
    const dataset = await openDataset(join(root, 'm.csv'));
    await expect(openLabels(dataset, ['word'], { alignments: choice })).rejects.toThrow(
      'Alignments were given, but "word" is a column of m.csv: ask for a label that is none',
    );
    await expect(openLabels(dataset, ['p', 'q'], { alignments: { ...choice, tier: 'phones' } })).rejects.toThrow(
      'The labels "p" and "q" would all come from the tier "phones"',
    );
  });
});
