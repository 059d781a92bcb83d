import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
const cache = join(folder.path, 'cache');
afterAll(folder.remove);
const run = (...args: string[]) => foretune(args, { cache, cwd: folder.path });
const recogniser = join(demo, 'models', 'tiny-hubert-ft-asr');

describe('foretune macs', () => {
  it('prints total and stages as the contract has them', async () => {
    const { code, stdout } = await run('macs', '--model', recogniser, '--seconds', '2', '--json');
    expect(code).toBe(0);
    const { macs } = JSON.parse(stdout) as { macs: { total: number; stages: Record<string, number> } };
    expect(Object.keys(macs.stages)).toEqual([
      'conv_front_end',
      'projection',
      'positional_conv',
      'attention',
      'feed_forward',
      'heads',
    ]);
    expect(Object.values(macs.stages).reduce((sum, count) => sum + count, 0)).toBe(macs.total);
    // 100 frames, 96 wide, 30 characters.
    expect(macs.stages.heads).toBe(100 * 96 * 30);
    const thop = await run('macs', '--model', recogniser, '--seconds', '2', '--convention', 'thop');
    expect(thop.stdout).toMatch(/attention +0\.000/);
  });

  it.each([
    [['--seconds', '-1'], 2, 'Give a number of seconds above 0'],
    [
      ['--seconds', '0.01'],
      1,
      '0.01 s are 160 samples at 16000 Hz, but one frame of tiny-hubert-ft-asr sees 400; give more seconds.',
    ],
    [['--seconds', '1', '--convention', 'other'], 2, 'Allowed choices are full, thop'],
  ])('refuses %j', async (args, expected, sentence) => {
    const { code, stderr } = await run('macs', '--model', recogniser, ...args);
    expect(code).toBe(expected);
    expect(stderr).toContain(sentence);
  });
});

describe('foretune transcribe', () => {
  const data = ['--model', recogniser, '--data', join(demo, 'sentences.csv'), '--text', 'transcription', '--provider', 'cpu'];

  it('counts errors, and writes transcripts with theirs', async () => {
    const csv = join(folder.path, 'transcripts.csv');
    const { code, stdout } = await run('transcribe', ...data, '--out', csv, '--json');
    expect(code).toBe(0);
    const { rates } = JSON.parse(stdout) as { rates: { wer: { errors: number }; cer: { errors: number } } };
    // truth_asr.csv
    expect([rates.wer.errors, rates.cer.errors]).toEqual([21, 23]);
    const lines = readFileSync(csv, 'utf8').trim().split(/\r?\n/);
    expect(lines).toHaveLength(1 + 48);
    expect(lines[1]).toBe('sentences/00.flac,1.6793125,yes right up down,yes right up down,0,0,0,4,0,0,0,17');
  });

  it.each([
    [['--alpha', '1'], 2, 'Greedy decoding has no --alpha and --beta'],
    [['--lm', 'none.arpa'], 1, 'none.arpa does not exist.'],
  ])('refuses %j', async (args, expected, sentence) => {
    const { code, stderr } = await run('transcribe', ...data, ...args);
    expect(code).toBe(expected);
    expect(stderr).toContain(sentence);
  });
});
