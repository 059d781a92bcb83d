import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';

import { type LayerSumRow } from '#shared/probe.ts';
import { type ScoreRow } from '#shared/score.ts';

import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const cache = join(folder.path, 'cache');
const at = (name: string): string => join(folder.path, name);
const run = (...args: string[]) => foretune(args, { cache, cwd: folder.path });
const model = (name = 'tiny-hubert'): string[] => ['--model', join(demo, 'models', name)];
const few = ['--split-column', 'split', '--sample', '40', '--threads', '1', '--resamples', '20'];
const words = ['--data', join(demo, 'manifest.csv'), '--label', 'word', ...few];
const probing = ['probe', ...model(), ...words, '--layers', '2,5'];

interface Document {
  rows: ScoreRow[];
  weighted: LayerSumRow[];
}

/** Heads that a project file has as trained. */
function committed(project: string): number {
  if (!existsSync(project)) return 0;
  try {
    const db = new Database(project, { readonly: true });
    try {
      return (db.prepare('SELECT COUNT(*) AS n FROM job_units').get() as { n: number }).n;
    } finally {
      db.close();
    }
  } catch {
    return 0; // being made just now
  }
}

describe('foretune probe', () => {
  it('prints held-out results, writes tables, and is taken up after a kill with the same numbers', async () => {
    const whole = await run(...probing, '--out', 'rows.csv', '--weights-out', 'weights.csv', '--json');
    expect(whole.code, whole.stderr).toBe(0);
    const { rows, weighted } = JSON.parse(whole.stdout) as Document;
    expect(rows.map(({ layer, control }) => `${layer} ${control}`).sort()).toEqual(
      ['2 ', '2 random-weights', '2 shuffled-labels', '5 ', '5 random-weights', '5 shuffled-labels'].sort(),
    );
    for (const row of rows) expect(row).toMatchObject({ metric: 'probe-accuracy', unit: 'utterance', classes: 10, d: 96 });
    expect(weighted.map(({ control }) => control).sort()).toEqual(['', 'random-weights', 'shuffled-labels']);
    for (const { layers, weights } of weighted) {
      expect(layers).toEqual([2, 5]);
      expect(weights[0] + weights[1]).toBeCloseTo(1, 12);
    }
    expect(readFileSync(at('rows.csv'), 'utf8').trim().split('\n')).toHaveLength(7);
    const sums = readFileSync(at('weights.csv'), 'utf8').trim().split('\n');
    expect(sums[0]).toBe('model,label,unit,metric,value,ci_low,ci_high,n,d,classes,control,layer,weight');
    expect(sums).toHaveLength(7);

    const project = at('killed.foretune');
    const { child, finished } = start([...probing, '--project', project], { cache });
    while (committed(project) < 2 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(child.exitCode, 'it must not have finished before it was killed').toBeNull();
    child.kill('SIGKILL');
    await finished;
    const resumed = await run(...probing, '--project', project, '--json');
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toContain('Taking up the unfinished run');
    expect(JSON.parse(resumed.stdout)).toEqual(JSON.parse(whole.stdout));
    // Neither what the killed run left there, nor what this one did.
    expect(readdirSync(join(cache, 'probes'))).toEqual([]);
    const again = await run(...probing, '--project', project);
    expect(again.stderr).toContain('were probed with these settings before; the saved numbers stand');
    expect(again.stdout).toMatch(/layer weights/);
  }, 240_000);

  it('reads transcripts with CTC heads', async () => {
    const ctc = ['--kind', 'ctc', '--epochs', '3', '--layers', '6', '--sample', '12', '--threads', '1', '--controls', 'none'];
    const data = ['--data', join(demo, 'sentences.csv'), '--label', 'transcription'];
    const { code, stdout, stderr } = await run('probe', ...model(), ...data, ...ctc, '--json');
    expect(code, stderr).toBe(0);
    const { rows, weighted } = JSON.parse(stdout) as Document;
    expect(weighted).toEqual([]);
    expect(rows).toMatchObject([{ metric: 'probe-ter', unit: 'frame', layer: 6 }]);
    expect(rows[0].value).toBeGreaterThan(0);
  }, 120_000);

  it('is truth for scores: in a project, and from file to file', async () => {
    const project = ['--project', 'truth.foretune', '--controls', 'none', '--json'];
    const probed = await run(
      'probe',
      ...model(),
      ...model('tiny-hubert-ft-speaker'),
      ...words,
      '--layers',
      '0,3,6',
      ...project,
      '--out',
      'probes.csv',
      '--name',
      'Heads',
    );
    expect(probed.code, probed.stderr).toBe(0);
    const scored = await run(
      'score',
      ...model(),
      ...model('tiny-hubert-ft-speaker'),
      ...words.slice(0, 4),
      '--unit',
      'utterance',
      '--sample',
      '40',
      '--threads',
      '1',
      '--layers',
      '0,3,6',
      ...project,
      '--out',
      'scores.csv',
    );
    expect(scored.code, scored.stderr).toBe(0);

    const { code, stdout, stderr } = await run('truth', 'truth.foretune', '--probes', '--json');
    expect(code, stderr).toBe(0);
    const { imported, rankings } = JSON.parse(stdout) as {
      imported: { source: string; rows: number }[];
      rankings: {
        measure: string;
        level: string;
        agreements: { metric: string; agreement: { spearman: { value: number } } | null }[];
      }[];
    };
    expect(imported).toMatchObject([{ source: 'probes "Heads" (experiment 1)', rows: 8 }]);
    // The weighted sum speaks of models, of which two are too few; probes are not held against themselves.
    expect(rankings.map(({ measure, level, agreements }) => [measure, level, agreements.map(({ metric }) => metric)])).toEqual([
      ['Probe accuracy by utterance', 'layers', ['logme']],
      ['Probe accuracy of the weighted sum by utterance', 'models', ['logme']],
    ]);
    const spearman = rankings[0].agreements[0].agreement!.spearman.value;
    const files = [
      '--scores',
      'scores.csv',
      '--truth',
      'probes.csv',
      '--on',
      'model,layer',
      '--score',
      'value',
      '--truth-column',
      'value',
    ];
    const correlated = await run('correlate', ...files, '--json');
    expect(correlated.code, correlated.stderr).toBe(0);
    expect((JSON.parse(correlated.stdout) as { spearman: number }).spearman).toBeCloseTo(spearman, 12);

    const report = await run('report', 'truth.foretune', '--svg', 'svg', '--latex', 'r.tex', '--csv', 'csv', '--pdf', 'r.pdf');
    expect(report.code, report.stderr).toBe(0);
    expect(readdirSync(at('svg'))).toContain('word-by-utterance-weighted-sum-of-layers-layer-weights.svg');
    expect(readFileSync(at('r.tex'), 'utf8')).toContain('weighted sum of layers');
    expect(
      readFileSync(at(join('csv', 'layer_weights.csv')), 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(7);
    expect(readFileSync(at('r.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
  }, 240_000);

  it('says what is wrong', async () => {
    const asked = async (...args: string[]) => {
      const { code, stderr } = await run(...args);
      return [code, stderr];
    };
    expect(await asked('probe', ...model(), '--data', join(demo, 'manifest.csv'), '--label', 'emotion')).toEqual([
      1,
      expect.stringMatching(/manifest.csv has no column "emotion"/),
    ]);
    expect(await asked(...probing, '--test', '1.5')).toEqual([2, expect.stringMatching(/Give a share between 0 and 1/)]);
    expect(await asked(...probing, '--heads', 'some')).toEqual([
      2,
      expect.stringMatching(/Allowed choices are both, layers, weighted-sum/),
    ]);
    expect(await asked('truth', 'truth.foretune', '--probes', 'Tails')).toEqual([
      1,
      expect.stringMatching(/No probes are called "Tails"; the project has "Heads"/),
    ]);
  }, 120_000);
});
