import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';

import { hashJson } from '#main/project/json.ts';
import { createProject, openProject, type Project } from '#main/project/project.ts';

import { codeOf, refusal, sampleDataset, sampleModel, sampleScore, temporaryFolder } from './samples.ts';

function scored(project: Project): { experiment: number; model: number } {
  const model = project.upsertModel(sampleModel());
  const experiment = project.createExperiment({ name: 'words', spec: { labels: ['word'] }, specHash: 'abc' });
  project.saveScores(experiment, { seed: 1 }, [
    sampleScore(model),
    sampleScore(model, { layer: 1, value: 0.5, replicates: null, resampling: 'bootstrap', notes: ['Of 10 of 20 frames.'] }),
  ]);
  return { experiment, model };
}

describe('a project file', () => {
  it('keeps everything that was put into it, to the last digit', () => {
    const path = join(temporaryFolder(), 'words.foretune');
    const project = createProject(path, { name: 'Words' });
    const { experiment, model } = scored(project);
    project.upsertDataset({ ...sampleDataset(), audio: ['a.flac', 'b.flac'] });
    project.setTruth('truth.csv', [
      { model: 'tiny-hubert', layer: null, label: 'word', measure: 'accuracy', value: 0.8, higherIsBetter: true },
    ]);
    project.setViewState('results', { metric: 'logme' });
    project.setNotes(experiment, 'first try');
    expect(codeOf(() => project.setNotes(99, ''))).toBe('not-found');
    project.close();

    const again = openProject(path, { mode: 'read' });
    const { frontEnd, ...base } = sampleModel();
    expect(again.name).toBe('Words');
    expect(again.models()).toEqual([{ ...base, id: model, card: { frontEnd } }]);
    expect(again.datasets()).toEqual([{ ...sampleDataset(), id: 1 }]);
    expect(again.datasetAudio(1)).toEqual(['a.flac', 'b.flac']);
    expect(again.scores(experiment)).toEqual([
      { ...sampleScore(model), experimentId: experiment, recipeId: 1, resampling: 'jackknife', notes: [] },
      {
        ...sampleScore(model, { layer: 1, value: 0.5, resampling: 'bootstrap', notes: ['Of 10 of 20 frames.'] }),
        replicates: null,
        experimentId: experiment,
        recipeId: 1,
      },
    ]);
    expect(again.scores()).toHaveLength(2);
    expect(again.scores(99)).toEqual([]);
    expect(again.recipes()).toEqual([{ id: 1, hash: hashJson({ seed: 1 }), recipe: { seed: 1 } }]);
    expect(again.truth()).toEqual([
      {
        source: 'truth.csv',
        model: 'tiny-hubert',
        layer: null,
        label: 'word',
        measure: 'accuracy',
        value: 0.8,
        higherIsBetter: true,
      },
    ]);
    expect(again.viewState('results')).toEqual({ metric: 'logme' });
    expect(again.viewState('other')).toBeUndefined();
    expect(again.findExperiment('abc')).toMatchObject({
      id: experiment,
      name: 'words',
      spec: { labels: ['word'] },
      notes: 'first try',
    });
    expect(again.findExperiment('abd')).toBeUndefined();
    again.close();
  });

  it('is one single file when closed, and closing twice is fine', () => {
    const folder = temporaryFolder();
    const project = createProject(join(folder, 'p.foretune'));
    scored(project);
    expect(readdirSync(folder).sort()).toEqual(['p.foretune', 'p.foretune-lock', 'p.foretune-shm', 'p.foretune-wal']);
    project.close();
    project.close();
    expect(readdirSync(folder)).toEqual(['p.foretune']);
    expect(project.name).toBe('p');
  });

  it('is not overwritten by a new project', () => {
    const path = join(temporaryFolder(), 'p.foretune');
    writeFileSync(path, 'precious');
    expect(codeOf(() => createProject(path))).toBe('usage');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(codeOf(() => createProject(join(temporaryFolder(), 'missing', 'p.foretune')))).toBe('not-found');
  });

  it('lives in memory when asked, with nothing on the disk', async () => {
    const project = openProject(':memory:', { mode: 'write' });
    scored(project);
    expect(project.scores()).toHaveLength(2);
    const copy = join(temporaryFolder(), 'copy.foretune');
    await project.backup(copy);
    project.close();
    const saved = openProject(copy, { mode: 'read' });
    expect(saved.scores()).toHaveLength(2);
    saved.close();
  });

  it('replaces a score with the same key, and saves all of a batch or none', () => {
    const project = openProject(':memory:', { mode: 'write' });
    const { experiment, model } = scored(project);
    project.saveScores(experiment, { seed: 2 }, [sampleScore(model, { value: -1 })]);
    expect(project.scores().map((row) => [row.layer, row.value, row.recipeId])).toEqual([
      [0, -1, 2],
      [1, 0.5, 1],
    ]);
    const refused = refusal(() =>
      project.saveScores(experiment, {}, [sampleScore(model, { value: 9 }), sampleScore(model, { layer: 1, value: NaN })]),
    );
    expect(refused.code).toBe('invalid-data');
    expect(refused.message).toContain('tiny-hubert, layer 1, word, logme');
    expect(project.scores()[0].value).toBe(-1);
    expect(codeOf(() => project.saveScores(experiment, {}, [sampleScore(model), sampleScore(77)]))).toBe('invalid-data');
    expect(project.scores()[0].value).toBe(-1);
    expect(project.recipes()).toHaveLength(2);
  });

  it('makes several calls one transaction', () => {
    const project = openProject(':memory:', { mode: 'write' });
    const failing = () =>
      project.transaction(() => {
        project.upsertModel(sampleModel());
        throw new Error('stop');
      });
    expect(failing).toThrow('stop');
    expect(project.models()).toEqual([]);
  });

  it('follows a job from queue to end', () => {
    const project = openProject(':memory:', { mode: 'write' });
    const job = project.createJob({ kind: 'score', spec: { a: 1 } });
    expect(project.jobs()[0]).toMatchObject({ state: 'queued', started: null, finished: null, error: null });
    project.updateJob(job, { state: 'running', progress: { done: 1, of: 3 } });
    project.updateJob(job, { heartbeat: '2026-01-01T00:00:00.000Z' });
    const running = project.jobs()[0];
    expect(running).toMatchObject({
      state: 'running',
      progress: { done: 1, of: 3 },
      heartbeat: '2026-01-01T00:00:00.000Z',
      finished: null,
    });
    project.updateJob(job, { state: 'failed', error: { code: 'no-space', message: 'The disk is full.' } });
    const failed = project.jobs()[0];
    expect(failed).toMatchObject({ started: running.started, error: { code: 'no-space' }, progress: { done: 1, of: 3 } });
    expect(failed.finished).not.toBeNull();
    project.updateJob(job, { state: 'queued', error: null });
    expect(project.jobs()[0]).toMatchObject({ state: 'queued', error: null, finished: null });
    expect(codeOf(() => project.updateJob(5, { state: 'done' }))).toBe('not-found');
  });

  it('keeps the finished units of a job in order, with exact numbers, and refuses what JSON would change', () => {
    const project = openProject(':memory:', { mode: 'write' });
    const job = project.createJob({ kind: 'score', spec: null });
    project.commitUnit(job, 'model-2/shard-1', { sum: 0.1 + 0.2, tiny: 5e-324 });
    project.commitUnit(job, 'model-1/shard-1', [1 / 3]);
    project.commitUnit(job, 'model-1/shard-1', [2 / 3]);
    expect([...project.committedUnits(job)]).toEqual([
      ['model-2/shard-1', { sum: 0.1 + 0.2, tiny: 5e-324 }],
      ['model-1/shard-1', [2 / 3]],
    ]);
    expect(codeOf(() => project.commitUnit(job, 'x', { value: NaN }))).toBe('internal');
    expect(codeOf(() => project.commitUnit(job, 'x', new Float64Array(2)))).toBe('internal');
    expect(project.committedUnits(job).size).toBe(2);
    expect(project.committedUnits(job + 1).size).toBe(0);
  });

  it('knows a model again by name and fingerprint, and relocates only the same one', () => {
    const folder = temporaryFolder();
    const project = createProject(join(folder, 'p.foretune'));
    const id = project.upsertModel(sampleModel({ path: join(folder, 'models', 'a') }));
    expect(project.upsertModel(sampleModel({ path: join(folder, 'elsewhere') }))).toBe(id);
    expect(project.upsertModel(sampleModel({ fingerprint: 'other' }))).not.toBe(id);
    const refused = refusal(() => project.relocateModel(id, '/new', 'wrong-fingerprint'));
    expect([refused.code, refused.message]).toEqual([
      'mismatch',
      '/new is not the model tiny-hubert: its fingerprint is wrong-finger, not ffffffffffff; add it as a new model instead.',
    ]);
    project.relocateModel(id, join(folder, 'moved'), sampleModel().fingerprint);
    expect(project.models()[0].path).toBe(join(folder, 'moved'));
    expect(codeOf(() => project.relocateModel(99, '/new', 'x'))).toBe('not-found');
    const data = project.upsertDataset(sampleDataset());
    expect(codeOf(() => project.relocateDataset(data, '/new', 'x'))).toBe('mismatch');
    project.relocateDataset(data, '/new/m.csv', sampleDataset().fingerprint);
    expect(project.datasets()[0].path).toBe('/new/m.csv');
    expect(codeOf(() => project.upsertModel(sampleModel({ bytes: 1.5 })))).toBe('invalid-data');
    project.close();
  });

  it('stores near paths relative to itself, so that project and models move together', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'before', 'work'), { recursive: true });
    const project = createProject(join(folder, 'before', 'work', 'p.foretune'));
    project.upsertModel(sampleModel({ name: 'near', path: join(folder, 'before', 'models', 'near') }));
    project.upsertModel(sampleModel({ name: 'far', path: '/far/away' }));
    project.close();
    const db = new Database(join(folder, 'before', 'work', 'p.foretune'), { readonly: true });
    expect(db.prepare('SELECT path FROM models ORDER BY id').pluck().all()).toEqual(['../models/near', '/far/away']);
    db.close();
    mkdirSync(join(folder, 'after', 'work'), { recursive: true });
    writeFileSync(join(folder, 'after', 'work', 'p.foretune'), readFileSync(join(folder, 'before', 'work', 'p.foretune')));
    const moved = openProject(join(folder, 'after', 'work', 'p.foretune'), { mode: 'read' });
    expect(moved.models()[0].path).toBe(join(folder, 'after', 'models', 'near'));
    moved.close();
  });

  it('writes a backup that is a project of its own, and never over a file', async () => {
    const folder = temporaryFolder();
    const project = createProject(join(folder, 'p.foretune'));
    scored(project);
    await project.backup(join(folder, 'copy.foretune'));
    await expect(project.backup(join(folder, 'copy.foretune'))).rejects.toMatchObject({ code: 'usage' });
    await expect(project.backup(join(folder, 'p.foretune'))).rejects.toMatchObject({ code: 'usage' });
    project.close();
    const copy = openProject(join(folder, 'copy.foretune'), { mode: 'write' });
    expect(copy.scores()).toHaveLength(2);
    copy.close();
    expect(readdirSync(folder).sort()).toEqual(['copy.foretune', 'p.foretune']);
  });

  it('has one lock, also through a link', () => {
    const folder = temporaryFolder();
    const project = createProject(join(folder, 'p.foretune'));
    symlinkSync(join(folder, 'p.foretune'), join(folder, 'link.foretune'));
    expect(codeOf(() => openProject(join(folder, 'link.foretune'), { mode: 'write' }))).toBe('locked');
    project.close();
    const linked = openProject(join(folder, 'link.foretune'), { mode: 'write' });
    linked.close();
  });
});
