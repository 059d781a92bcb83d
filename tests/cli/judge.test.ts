import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { type ProjectJudgement } from '#main/reports/judgement.ts';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const cache = join(folder.path, 'cache');
const [base, asr] = ['tiny-hubert', 'tiny-hubert-ft-asr'].map((name) => join(demo, 'models', name));
const manifest = join(demo, 'manifest.csv');
const run = (args: string[]) => foretune(args, { cache, cwd: folder.path });

const judgement = [
  'judge',
  ...['--base', base, '--finetuned', asr, '--data', manifest, '--label', 'word', '--label', 'speaker'],
  ...['--unit', 'utterance', '--layers', '2,6', '--sample', '60', '--groups', '4', '--provider', 'cpu', '--threads', '1'],
];

describe('foretune judge', () => {
  it('judges a sweep without writing it, keeps it in the project, and reports it', async () => {
    const args = [...judgement, '--sweep', '0:1:0.5', '--project', 'study.foretune', '--csv', 'csv', '--json'];
    const { code, stdout, stderr } = await run(args);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    const result = JSON.parse(stdout) as ProjectJudgement;
    expect(result.members.map(({ id, role, alpha }) => [id, role, alpha])).toEqual([
      ['tiny-hubert', 'base', 0],
      ['tiny-hubert-ft-asr at alpha 0.5', 'merge', 0.5],
      ['tiny-hubert-ft-asr', 'finetuned', 1],
    ]);
    expect(result).toMatchObject({ target: 'word', others: ['speaker'], scales: { word: 'chance', speaker: 'chance' } });
    expect(result.members[0]).toMatchObject({ target: 1, others: 1 });
    expect(result.members[2].target).toBeGreaterThan(result.members[1].target);
    expect(readdirSync(join(folder.path, 'csv')).sort()).toEqual(['members.csv', 'tasks.csv']);
    expect(
      readFileSync(join(folder.path, 'csv', 'members.csv'), 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(4);
    // Nothing of the members is left, and the project misses no file.
    expect(readdirSync(join(cache, 'graphs'))).toEqual([]);
    expect((await run(['check', 'study.foretune'])).code).toBe(0);

    const again = await run(args);
    expect(again.stderr).toContain('the saved numbers stand');
    expect(JSON.parse(again.stdout)).toEqual(result);
  });

  it('judges methods and alphas by probes, of which each task has its own measure', async () => {
    const { code, stdout, stderr } = await run([
      ...[
        'judge',
        '--measure',
        'probe',
        '--base',
        base,
        '--finetuned',
        asr,
        '--data',
        manifest,
        '--label',
        'word',
        '--label',
        'speaker',
      ],
      ...['--method', 'linear,ties', '--alphas', '0.5', '--layers', '2,6', '--sample', '60', '--resamples', '40'],
      ...['--provider', 'cpu', '--threads', '1', '--csv', 'probed', '--json'],
    ]);
    expect([code, stderr]).toEqual([0, expect.stringContaining('training heads')]);
    const result = JSON.parse(stdout) as ProjectJudgement;
    expect(result).toMatchObject({
      measure: 'probe',
      metricName: 'Probe accuracy',
      over: 'sum',
      unit: 'utterance',
      axes: { word: { name: 'Probe accuracy', higherIsBetter: true } },
      lines: [
        { method: 'linear', members: [0, 1, 3] },
        { method: 'ties', members: [0, 2] },
      ],
    });
    expect(result.members.map(({ method, alpha }) => [method, alpha])).toEqual([
      ['', 0],
      ['linear', 0.5],
      ['ties', 0.5],
      ['linear', 1],
    ]);
    expect(result.members.flatMap(({ tasks }) => tasks).every(({ value }) => value >= 0 && value <= 1)).toBe(true);
    expect(result.merges.map((merge) => merge?.settings.density)).toEqual([undefined, undefined, 0.2, undefined]);
    expect(readFileSync(join(folder.path, 'probed', 'tasks.csv'), 'utf8')).toContain(',Probe accuracy,sum,');
    expect(readdirSync(join(cache, 'graphs'))).toEqual([]);

    // A member that is not written has the probes of the written one.
    const written = ['--base', base, '--finetuned', asr, '--method', 'ties', '--alpha', '0.5', '--out', 'ties'];
    expect((await run(['merge', ...written])).code).toBe(0);
    const probed = await run([
      ...['probe', '--model', 'ties', '--data', manifest, '--label', 'word', '--label', 'speaker', '--heads', 'weighted-sum'],
      ...['--controls', 'none', '--layers', '2,6', '--sample', '60', '--resamples', '40'],
      ...['--provider', 'cpu', '--threads', '1', '--json'],
    ]);
    const { weighted } = JSON.parse(probed.stdout) as { weighted: { label: string; value: number }[] };
    const member = result.members[2].tasks.map(({ task, value }) => [task, value]);
    expect(Object.fromEntries(weighted.map(({ label, value }) => [label, value]))).toEqual(Object.fromEntries(member));
  });

  it('says which alpha to take and why', async () => {
    // Enough speech to tell the members apart: 60 words in four groups are not.
    const { code, stdout } = await run([
      ...judgement,
      '--alphas',
      '0.5',
      '--tolerance',
      '1',
      '--sample',
      '200',
      '--groups',
      '10',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/tiny-hubert-ft-asr +1 .*<- take this/);
    expect(stdout).toContain('is highest on word');
  });

  it.each([
    ['two ways to name alphas', ['--alphas', '0.5', '--sweep', '3']],
    ['a target that is no label', ['--target', 'colour']],
    ['two scores', ['--metrics', 'logme,lda']],
    ['a score of probes', ['--measure', 'probe']],
    ['a head of scores', ['--test', '0.3']],
    ['a weighted sum of scores', ['--over', 'sum']],
    ['a method that there is not', ['--method', 'linear,magic']],
    ['an endless sweep', ['--sweep', '0:1:0']],
  ])('calls %s a wrong usage', async (_, options) => {
    expect((await run([...judgement, ...options])).code).toBe(2);
  });
});

describe('foretune compare --data', () => {
  it('adds feature drift, with a merge that is not written', async () => {
    const { code, stdout } = await run([
      ...['compare', '--a', base, '--b', asr, '--data', manifest, '--alpha', '0.25', '--layers', '6', '--sample', '6'],
      ...['--provider', 'cpu', '--threads', '1', '--json'],
    ]);
    expect(code).toBe(0);
    const { drift } = JSON.parse(stdout) as { drift: { rows: { b: string; layer: number; cka: number }[] } };
    expect(drift.rows.map(({ b, layer }) => [b, layer])).toEqual([
      ['tiny-hubert-ft-asr', 6],
      ['tiny-hubert-ft-asr at alpha 0.25', 6],
      ['tiny-hubert-ft-asr at alpha 0.25', 6],
    ]);
    expect(drift.rows[1].cka).toBeGreaterThan(drift.rows[0].cka);
  });
});

describe('foretune recipe and the report of a merge', () => {
  it('write what they say', async () => {
    const recipe = await run([
      'recipe',
      '--base',
      base,
      '--out',
      'stable',
      '--kind',
      'hf',
      '--data',
      manifest,
      '--label',
      'word',
      '--json',
    ]);
    expect(JSON.parse(recipe.stdout)).toMatchObject({ kind: 'huggingface', command: 'python train.py' });
    expect(existsSync(join(folder.path, 'stable', 'train.py'))).toBe(true);
    expect((await run(['recipe', '--base', base, '--out', 'stable', '--kind', 'hf'])).code).toBe(1);

    expect((await run(['merge', '--base', base, '--finetuned', asr, '--out', 'merged'])).code).toBe(0);
    const report = await run(['report', 'merged', '--latex', 'merged.tex', '--json']);
    expect(JSON.parse(report.stdout)).toEqual({ files: [join(folder.path, 'merged.tex')] });
    expect(readFileSync(join(folder.path, 'merged.tex'), 'utf8')).toContain('Recipe of the merge');
  });
});
