import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { parseAlignmentCsv } from '#main/formats/alignments/alignmentCsv.ts';
import { parseTextGrid } from '#main/formats/alignments/textGrid.ts';
import { type ScoreRow } from '#shared/score.ts';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const cache = at('cache');
afterAll(folder.remove);

const recogniser = join(demo, 'models', 'tiny-hubert-ft-asr');
const sentences = join(demo, 'sentences.csv');
const transcripts = readFileSync(sentences, 'utf8')
  .trim()
  .split(/\r?\n/)
  .slice(1)
  .map((line) => line.split(','));

const align = (...args: string[]) =>
  foretune(['align', '--model', recogniser, '--text', 'transcription', '--provider', 'cpu', ...args], { cache });

describe('foretune align', () => {
  it('spells every transcript in time, as a table and as TextGrids, which scoring reads', { timeout: 120_000 }, async () => {
    const csv = at('aligned.csv');
    const { code, stdout } = await align('--data', sentences, '--out', csv, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ utterances: 48, words: 196, skipped: [], files: [csv] });
    const table = parseAlignmentCsv(readFileSync(csv), csv);
    const grids = at('grids');
    expect((await align('--data', sentences, '--out', grids)).code).toBe(0);
    expect(readdirSync(grids)).toHaveLength(48);
    let frames = 0;
    for (const [path, text] of transcripts) {
      const [words, characters] = table.get(path)!.tiers;
      expect(words.intervals.map(({ label }) => label).join(' ')).toBe(text);
      expect(characters.intervals.map(({ label }) => label).join('')).toBe(text.replaceAll(' ', ''));
      const [grid] = parseTextGrid(readFileSync(join(grids, `${basename(path, '.flac')}.TextGrid`)), path).tiers;
      expect(grid.intervals.map(({ label }) => label)).toEqual(words.intervals.map(({ label }) => label));
      grid.intervals.forEach(({ start, end }, i) => {
        expect(Math.abs(start - words.intervals[i].start)).toBeLessThan(1e-4);
        expect(Math.abs(end - words.intervals[i].end)).toBeLessThan(1e-4);
      });
      // Bounds lie half a hop around centres of frames: every 20 ms, or the audio's beginning and end.
      frames += words.intervals.reduce((sum, { start, end }) => sum + Math.round((end - start) / 0.02), 0);
    }
    const scored = await foretune(
      [
        ...[
          'score',
          '--model',
          join(demo, 'models', 'tiny-hubert'),
          '--data',
          sentences,
          '--alignments',
          csv,
          '--label',
          'words',
        ],
        ...['--layers', '3', '--controls', 'none', '--json'],
      ],
      { cache },
    );
    expect(scored.code).toBe(0);
    const [row] = (JSON.parse(scored.stdout) as { rows: ScoreRow[] }).rows;
    expect(row).toMatchObject({ label: 'words', unit: 'frame', n: frames, classes: 10 });
  });

  it('leaves out what the vocabulary lacks, and says in one sentence which characters', { timeout: 60_000 }, async () => {
    cpSync(join(demo, 'sentences'), at('sentences'), { recursive: true });
    const rows = [
      'sentences/00.flac,"Yes, right UP down!"',
      'sentences/01.flac,été 日本 no',
      'sentences/02.flac,',
      `sentences/03.flac,${'yes right up down '.repeat(40)}`,
    ];
    writeFileSync(at('mixed.csv'), `path,transcription\n${rows.join('\n')}\n`);
    const { code, stdout, stderr } = await align('--data', at('mixed.csv'), '--out', at('mixed-aligned.csv'));
    expect(code).toBe(0);
    expect(stdout).toContain('yes right up down');
    expect(stderr).toContain(
      'note: 1 of 3 transcripts in column "transcription" of mixed.csv have characters that the vocabulary of tiny-hubert-ft-asr lacks ("é" 2, "日" 1, "本" 1); they are left out.',
    );
    expect(stderr).toContain('01.flac: the transcript has "é" 2, "日" 1, "本" 1');
    expect(stderr).toContain('02.flac: there is no transcript');
    expect(stderr).toMatch(/03\.flac: the transcript needs at least \d+ frames .* but the audio gives \d+\./);
  });

  it.each<[string, string[], number, string]>([
    ['no such column', ['--text', 'words'], 1, 'sentences.csv has no column "words"'],
    ['a model without a head', ['--model', join(demo, 'models', 'tiny-hubert')], 1, 'tiny-hubert is an encoder without a head'],
  ])('refuses %s', { timeout: 30_000 }, async (_, args, expected, sentence) => {
    const { code, stderr } = await align('--data', sentences, '--out', at('never.csv'), ...args);
    expect(code).toBe(expected);
    expect(stderr).toContain(sentence);
  });

  it('refuses transcripts of which none can be spelled', { timeout: 30_000 }, async () => {
    writeFileSync(at('other.csv'), 'path,transcription\nsentences/00.flac,да\nsentences/01.flac,нет да\n');
    const { code, stderr } = await align('--data', at('other.csv'), '--audio-root', demo, '--out', at('never.csv'));
    expect(code).toBe(1);
    expect(stderr).toContain('2 of 2 transcripts in column "transcription" of other.csv have characters');
    expect(stderr).toContain('("а" 2, "д" 2, "е" 1, "н" 1, "т" 1), so that none can be aligned');
  });
});
