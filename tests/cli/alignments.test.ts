import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readNpy } from '#main/formats/npy.ts';
import { frameTime } from '#main/models/frames.ts';
import { logmeFromSamples } from '#main/scoring/logme.ts';
import { type ScoreRow } from '#shared/score.ts';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const cache = at('cache');
afterAll(folder.remove);

const model = join(demo, 'models', 'tiny-hubert');
const clips = readdirSync(join(demo, 'audio'))
  .filter((_, i) => i % 12 === 0)
  .map((name) => name.replace('.flac', ''));

/** What stands for phones: stretches of each clip, with gaps, different from clip to clip. */
function stretches(clip: number): { start: number; end: number; label: string }[] {
  return ['a', 'b', 'c'].map((label, i) => ({
    start: 0.05 + 0.12 * i,
    end: 0.05 + 0.12 * i + 0.05 + 0.01 * ((clip + i) % 5),
    label: (clip + i) % 4 === 3 ? 'd' : label,
  }));
}

function textGrid(clip: number): string {
  const items = stretches(clip).map(({ start, end, label }) => `${start} ${end} "${label}"`);
  return `File type = "ooTextFile"\n"TextGrid"\n0 1 <exists> 1 "IntervalTier" "phones" 0 1 ${items.length} ${items.join('\n')}\n`;
}

beforeAll(() => {
  const rows = clips.map((name, i) => {
    const tags = [i % 2 === 0 ? 'even' : '', i % 3 === 0 ? 'third' : 'rest'].filter((tag) => tag !== '').join(';');
    return `${join(demo, 'audio', `${name}.flac`)},${Math.sin(i)},${Math.cos(3 * i) * 40},${tags},w${i % 3}`;
  });
  writeFileSync(at('m.csv'), `path,f0,energy,tags,word\n${rows.join('\n')}\n`);
  mkdirSync(at('grids'));
  for (const [i, name] of clips.entries()) writeFileSync(at('grids', `${name}.TextGrid`), textGrid(i));
});

const score = (...args: string[]) =>
  foretune(['score', '--model', model, '--data', at('m.csv'), '--layers', '2', '--groups', '4', ...args], { cache });

/** Layer 2 of every clip, as `extract` writes it. */
async function extracted(): Promise<{ data: Float32Array; frames: number }[]> {
  const audio = clips.map((name) => join(demo, 'audio', `${name}.flac`));
  const { code } = await foretune(['extract', '--model', model, '--audio', ...audio, '--layers', '2', '--out', at('features')], {
    cache,
  });
  expect(code).toBe(0);
  return Promise.all(
    clips.map(async (name) => {
      const { shape, data } = await readNpy(at('features', name, 'layer_02.npy'));
      return { data: data as Float32Array, frames: shape[0] };
    }),
  );
}

const width = 96;
const frontEnd = { kernels: [10, 3, 3, 3, 3, 2, 2], strides: [5, 2, 2, 2, 2, 2, 2] };

describe('labels of stretches, numbers and several labels', () => {
  it('score as the same targets on extracted features do, in one pass', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await score(
      ...['--alignments', at('grids'), '--label', 'phones', '--label', 'word', '--label', 'f0+energy', '--label', 'tags'],
      ...['--controls', 'shuffled-labels', '--json'],
    );
    expect(code, stderr).toBe(0);
    const { rows } = JSON.parse(stdout) as { rows: ScoreRow[] };
    const features = await extracted();

    /** LogME of the frames that have a row of k numbers. */
    const expected = (k: number, target: (clip: number, frame: number) => number[] | null) => {
      const kept: number[][] = [];
      const samples: number[] = [];
      for (const [clip, { data, frames }] of features.entries()) {
        for (let frame = 0; frame < frames; frame++) {
          const y = target(clip, frame);
          if (!y) continue;
          kept.push(y);
          samples.push(...data.subarray(frame * width, (frame + 1) * width));
        }
      }
      const n = kept.length;
      const targets = Float64Array.from({ length: k * n }, (_, e) => kept[e % n][Math.floor(e / n)]);
      return { n, value: logmeFromSamples(Float64Array.from(samples), n, width, targets, k).value };
    };
    const oneHot = (index: number, k: number) => Array.from({ length: k }, (_, i) => Number(i === index));
    const phones = expected(4, (clip, frame) => {
      const time = frameTime(frontEnd, frame, 16_000);
      const found = stretches(clip).find(({ start, end }) => start <= time && time < end);
      return found ? oneHot('abcd'.indexOf(found.label), 4) : null;
    });
    const all = {
      phones,
      word: expected(3, (clip) => oneHot(clip % 3, 3)),
      'f0+energy': expected(2, (clip) => [Math.sin(clip), Math.cos(3 * clip) * 40]),
      tags: expected(3, (clip) => [Number(clip % 2 === 0), Number(clip % 3 !== 0), Number(clip % 3 === 0)]),
    };
    for (const [label, { n, value }] of Object.entries(all)) {
      const row = rows.find((other) => other.label === label && other.control === '')!;
      expect(row.n).toBe(n);
      // Both are float64 sums of the same float32 features, in another order.
      expect(Math.abs(row.value - value)).toBeLessThan(1e-9);
      const shuffled = rows.find((other) => other.label === label && other.control === 'shuffled-labels')!;
      expect(shuffled.n).toBe(n);
      expect(shuffled.value).not.toBe(row.value);
    }
    expect(rows.map(({ label, classes }) => [label, classes])).toEqual(
      expect.arrayContaining([
        ['phones', 4],
        ['tags', 3],
        ['f0+energy', 0],
      ]),
    );
    const dropped = all.word.n - phones.n;
    expect(stderr).toContain(`phones: ${phones.n} frames have a label, ${dropped} lie in no interval and were dropped.`);
  });

  it('leaves out a file whose alignment goes on after the audio', { timeout: 60_000 }, async () => {
    mkdirSync(at('long'));
    for (const [i, name] of clips.entries()) writeFileSync(at('long', `${name}.TextGrid`), textGrid(i));
    writeFileSync(
      at('long', `${clips[1]}.TextGrid`),
      textGrid(1)
        .replace('1 "IntervalTier"', '1 "IntervalTier"')
        .replace(/[\d.]+ "\w"\n$/, '7.5 "b"\n'),
    );
    const { code, stderr } = await score('--alignments', at('long'), '--label', 'phones', '--controls', 'none');
    expect(code).toBe(0);
    expect(stderr).toMatch(
      new RegExp(
        `warning: .*${clips[1]}\\.flac its alignment goes on for \\d\\.\\d{3} s after the audio ends \\(\\d\\.\\d{3} s\\)`,
      ),
    );
  });

  const grids = () => ['--alignments', at('grids')];
  it.each<[string, () => string[], number, string]>([
    [
      'means over utterances',
      () => [...grids(), '--label', 'phones', '--unit', 'utterance'],
      2,
      'The label "phones" comes from alignments, which label frames: score it with the unit "frame" alone',
    ],
    ['a tier without alignments', () => ['--label', 'phones', '--tier', 'phones'], 2, '--tier needs --alignments'],
    [
      'alignments that no label uses',
      () => [...grids(), '--label', 'word'],
      2,
      'Alignments were given, but "word" is a column of m.csv',
    ],
    ['a tier that is not there', () => [...grids(), '--label', 'tones'], 1, 'has no tier "tones"; it has "phones"'],
    ['a fold of other phones', () => [...grids(), '--label', 'phones', '--fold', '39'], 1, '"a" is none of TIMIT\'s 61 phones'],
    [
      'classes of numbers',
      () => ['--label', 'f0+energy', '--metrics', 'hscore'],
      1,
      'hscore needs one class per sample, which "f0+energy" does not hold',
    ],
    ['classes of several labels', () => ['--label', 'tags', '--metrics', 'hscore'], 1, 'which "tags" does not hold'],
    [
      'a folder that is not there',
      () => ['--alignments', at('nowhere'), '--label', 'phones'],
      1,
      `${at('nowhere')} does not exist.`,
    ],
  ])('refuses %s', { timeout: 30_000 }, async (_, args, code, sentence) => {
    const finished = await score(...args());
    expect(finished.stderr).toContain(sentence);
    expect(finished.stderr.trim().split('\n').at(-1)).toMatch(/^foretune: .*\.$/);
    expect(finished.code).toBe(code);
  });
});
