import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';

import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

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

describe('foretune speed', () => {
  const sentences = ['--data', join(demo, 'sentences.csv'), '--text', 'transcription', '--threads', '1'];

  it('has the rows of the contract, the full model with the errors of the reference implementation', async () => {
    const truth = readFileSync(join(demo, 'truth_asr.csv'), 'utf8');
    const [words, characters] = ['word', 'character'].map((unit) => {
      const [, errors, length] = new RegExp(`greedy,${unit},(\\d+),(\\d+)`).exec(truth)!;
      return Number(errors) / Number(length);
    });
    const out = join(folder.path, 'speed.csv');
    const taken = join(folder.path, 'taken');
    const { code, stdout, stderr } = await run(
      ...['speed', '--model', recogniser, ...sentences, '--json', '--out', out],
      ...['--strategies', 'early-exit,downsampling,layer-removal', '--heads', 'final', '--repetitions', '1'],
      ...['--entropy', '0.2,0.0001', '--factors', '2', '--kinds', 'average', '--keep', '5', '--min-saved', '0.0001'],
      ...['--setting', 'first 5 of 6, own head', '--take', taken, '--take-format', 'huggingface'],
    );
    expect(stderr).toContain('never fires');
    expect(code).toBe(0);
    const { rows, recommendations } = JSON.parse(stdout) as {
      rows: Record<string, number | string>[];
      recommendations: { sentence: string }[];
    };
    const first = ['strategy', 'setting', 'wer', 'cer', 'macs', 'seconds', 'rtf', 'mean_exit_layer'];
    expect(Object.keys(rows[0]).slice(0, 8)).toEqual(first);
    expect(rows.map(({ strategy }) => strategy)).toEqual(['full', 'early-exit', 'early-exit', 'downsampling', 'layer-removal']);
    const [full, exit, never, , removed] = rows;
    expect([full.wer, full.cer]).toEqual([words, characters]);
    expect([never.wer, never.cer, never.mean_exit_layer]).toEqual([words, characters, 6]);
    expect(exit.mean_exit_layer).toBeLessThan(6);
    expect(removed.macs).toBeLessThan(full.macs as number);
    for (const { seconds, rtf } of rows) expect(Math.min(Number(seconds), Number(rtf))).toBeGreaterThan(0);
    expect(recommendations[0].sentence).toContain('of the seconds saved');
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[0].split(',').slice(0, 8)).toEqual(first);
    expect(JSON.parse(readFileSync(join(taken, 'config.json'), 'utf8'))).toMatchObject({ num_hidden_layers: 5 });
  });

  it('goes on where it was killed, to the same rows', async () => {
    const project = join(folder.path, 'killed.foretune');
    const args = [
      ...['speed', '--model', recogniser, ...sentences, '--provider', 'cpu', '--json', '--no-timing', '--heads', 'final'],
      ...['--strategies', 'early-exit,layer-removal'],
    ];
    const whole = await run(...args);
    expect(whole.code).toBe(0);
    /** Utterances that the project has. */
    const read = (): number => {
      if (!existsSync(project)) return 0;
      try {
        const db = new Database(project, { readonly: true });
        try {
          return (db.prepare('SELECT COUNT(*) AS n FROM speed_utterances').get() as { n: number }).n;
        } finally {
          db.close();
        }
      } catch {
        return 0; // being made just now
      }
    };
    const { child, finished } = start([...args, '--project', project], { cache, cwd: folder.path });
    while (read() < 5 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(child.exitCode, 'it must not have finished before it was killed').toBeNull();
    child.kill('SIGKILL');
    await finished;
    const had = read();
    expect(had).toBeGreaterThanOrEqual(5);
    expect(had).toBeLessThan(48);
    const resumed = await run(...args, '--project', project);
    expect(resumed.code).toBe(0);
    // What was done is told with a name, too.
    expect(resumed.stderr).not.toMatch(/^ *\d+ % *$/m);
    expect(JSON.parse(resumed.stdout)).toEqual(JSON.parse(whole.stdout));
    expect(read()).toBe(48);
  });

  it('says in one line what it cannot try', async () => {
    const bare = await run('speed', '--model', join(demo, 'models', 'tiny-hubert'), ...sentences);
    expect([bare.code, bare.stderr]).toEqual([1, expect.stringContaining('encoder without a head') as string]);
    const precision = await run('speed', '--model', recogniser, ...sentences, '--precisions', 'int4');
    expect([precision.code, precision.stderr]).toEqual([2, expect.stringContaining('Give int8 or float16.') as string]);
    const unknown = await run('speed', '--model', recogniser, ...sentences, '--strategies', 'magic');
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('There is no strategy "magic"') as string]);
  });
});
