import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openWorkbench, type Workbench } from '#main/api/context.ts';
import { fromWire } from '#main/api/procedure.ts';
import { type Api, directApi } from '#main/api/router.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';
import { golden } from '../weights/models.ts';

const folder = temporaryFolder();
let workbench: Workbench;
let api: Api;
let project: string;

beforeAll(async () => {
  workbench = openWorkbench({ cacheDir: join(folder.path, 'cache'), userFolder: join(folder.path, 'user') });
  api = directApi(workbench);
  ({ project } = await api.projects.open({ path: join(folder.path, 'Study.foretune'), mode: 'create' }));
});
afterAll(async () => {
  await workbench.close();
  folder.remove();
});

const model = (name: string): string => join(demo, 'models', name);
const request = (out: string) => ({
  base: model('tiny-hubert'),
  finetuned: [model('tiny-hubert-ft-asr')],
  method: 'linear',
  alphas: [{ value: 0.25 }],
  settings: { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 },
  heads: 'base' as const,
  out: join(folder.path, out),
});

async function last<T>(stream: Promise<AsyncIterable<T>>): Promise<T> {
  let latest: T | undefined;
  for await (const event of await stream) latest = event;
  return latest!;
}

describe('a merge for a project', () => {
  it('puts every member of a sweep onto the list of models', async () => {
    const alphas = [{ value: 0 }, { value: 0.5 }];
    const done = await last(api.weights.merge({ ...request('sweep'), alphas, project }));
    expect(done).toMatchObject({ type: 'done' });
    const { models } = await api.projects.summary({ project });
    expect(models.map(({ name, exists }) => [name, exists])).toEqual([
      ['alpha-0', true],
      ['alpha-0.5', true],
    ]);
    if (done.type !== 'done') throw new Error('no result');
    expect(done.models.map(({ id, problem }) => [id, problem])).toEqual(models.map(({ id }) => [id, null]));
  });

  it('leaves weights that cannot be run off the list and says why', async () => {
    const bare = join(golden, 'bare.safetensors');
    const done = await last(api.weights.merge({ ...request('weights-only'), base: bare, finetuned: [bare], project }));
    if (done.type !== 'done') throw new Error('no result');
    expect(existsSync(join(done.models[0].path, 'model.safetensors'))).toBe(true);
    expect(done.models[0].id).toBeNull();
    expect(done.models[0].problem).toContain('config.json');
  });

  it('leaves nothing when the listener goes', async () => {
    const out = join(folder.path, 'stopped');
    for await (const event of await api.weights.merge({ ...request('stopped'), project })) {
      expect(event.type).toBe('plan');
      break;
    }
    expect(existsSync(out)).toBe(false);
    expect(await api.weights.place({ out })).toEqual({ leftovers: [] });
  });

  it('is refused for a project that is not open, before anything is written', async () => {
    const error = await last(api.weights.merge({ ...request('closed'), project: 'nowhere' })).catch(fromWire);
    expect(error).toMatchObject({ code: 'not-found' });
    expect(existsSync(join(folder.path, 'closed'))).toBe(false);
  });
});

describe('the plan of a merge', () => {
  it('counts what is merged by part of the encoder, and what rules by name fit', async () => {
    const rules = [
      { pattern: 'encoder.layers.*.attention.*', alpha: 0.5 },
      { pattern: 'decoder.*', alpha: 1 },
    ];
    const plan = await api.weights.plan({ ...request('planned'), alphas: [{ value: 0.25, rules }] });
    expect(plan.layers).toBe(6);
    expect(plan.modules.map(({ module }) => module)).toEqual([
      'conv',
      'projection',
      'position',
      'attention',
      'ffn',
      'norm',
      'other',
    ]);
    expect(plan.modules.reduce((sum, { tensors }) => sum + tensors, 0)).toBe(plan.merged);
    expect(plan.modules.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(plan.parameters);
    const attention = plan.modules.find(({ module }) => module === 'attention')!;
    expect(plan.rules).toEqual([
      { pattern: rules[0].pattern, tensors: attention.tensors },
      { pattern: rules[1].pattern, tensors: 0 },
    ]);
    expect(plan.warnings.join()).toContain('"decoder.*" fits no tensor');
  });
});

describe('a comparison', () => {
  it('tells how far it has come, and its result last', async () => {
    const events = [];
    const a = model('tiny-hubert');
    for await (const event of await api.weights.compare({ a, b: request('').finetuned, density: 0.2 })) events.push(event);
    const told = events.flatMap((event) => (event.type === 'progress' ? [event.progress] : []));
    expect(told.at(-1)).toMatchObject({ done: 817856, total: 817856, doing: 'comparing the weights' });
    expect(told[0].doing).toContain('what TIES would keep');
    expect(events.at(-1)).toMatchObject({ type: 'done' });
  });
});

describe('SUPERB results as they are typed', () => {
  it('are scored as those of a file, and what is missing is said of its row alone', async () => {
    const { runs, anchors, tasks, rows, misprints } = await api.weights.superb({});
    const typed = [...runs, { run: 'Mine', values: { pr_per: 5 }, printed: null }];
    const scored = await api.weights.superbScores({ runs: typed, anchors, tasks });
    expect(scored.rows.slice(0, 42).map(({ run, score }) => ({ run, score }))).toEqual(rows);
    expect(scored.misprints).toEqual(misprints);
    expect(scored.rows[42]).toMatchObject({ run: 'Mine', score: null });
    expect(scored.rows[42].problem).toContain('Mine has no value of sid_acc');
    const phones = await api.weights.superbScores({ runs: typed.slice(42), anchors, tasks: ['pr'] });
    expect(phones.rows[0].score).toBeCloseTo((1000 * (5 - 82.01)) / (2.55 - 82.01), 9);
  });
});
