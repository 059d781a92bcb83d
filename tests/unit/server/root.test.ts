import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isProcedure } from '@orpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';

import { openWorkbench, type Workbench } from '#main/api/context.ts';
import { fromWire } from '#main/api/procedure.ts';
import { type Api, directApi, router } from '#main/api/router.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
const root = join(folder.path, 'root');
const outside = join(folder.path, 'outside');
let workbench: Workbench;
let api: Api;
let project: string;

beforeAll(async () => {
  mkdirSync(root);
  mkdirSync(outside);
  cpSync(join(demo, 'models', 'tiny-hubert'), join(outside, 'model'), { recursive: true });
  writeFileSync(join(outside, 'manifest.csv'), 'path,word\n');
  writeFileSync(join(outside, 'report.pdf'), '%PDF');
  symlinkSync(outside, join(root, 'link'));
  workbench = openWorkbench({ cacheDir: join(folder.path, 'cache'), userFolder: join(folder.path, 'user'), root });
  api = directApi(workbench);
  ({ project } = await api.projects.open({ path: join(root, 'Study.foretune'), mode: 'create' }));
});
afterAll(async () => {
  await workbench.close();
  folder.remove();
});

const settings = { labels: ['word'] };
const inside = { model: { path: join(demo, 'models', 'tiny-hubert') }, data: { path: join(demo, 'manifest.csv') } };
const columns = { score: 'value', truthColumn: 'accuracy', on: ['model'] };
const merge = {
  base: inside.model.path,
  finetuned: [join(demo, 'models', 'tiny-hubert-ft-asr')],
  method: 'linear',
  alphas: [{ value: 0.5 }],
  settings: { density: 0.2, scope: 'tensor' as const, rescale: 'bernoulli' as const, seed: 0 },
  heads: 'base' as const,
  out: join(root, 'merged'),
};
const { method, settings: mergeSettings } = merge;
const member = (tuned: string) => ({
  ...inside.model,
  merge: { finetuned: [tuned], method, alpha: { value: 0.5 }, settings: mergeSettings },
});
const sweep = () => ({
  project,
  base: merge.base,
  finetuned: merge.finetuned,
  alphas: merge.alphas,
  data: inside.data,
  scoring: settings,
  machine: {},
});
const drift = { models: [inside.model, { path: merge.finetuned[0] }], data: inside.data, machine: {} };
const recipe = { base: merge.base, kind: 'huggingface' as const, label: 'word', out: join(root, 'recipe') };
const pdf = join(root, 'report.pdf');
const drain = async (stream: Promise<AsyncIterable<unknown>>): Promise<void> => {
  await (await stream)[Symbol.asyncIterator]().next();
};

/** Where the specification of a sweep names files. */
const sweepFields = {
  model: 'spec.model.path',
  data: 'spec.data.path',
  root: 'spec.data.root',
  kernel: 'spec.settings.downsampling.kernel',
  heads: 'spec.settings.importedHeads',
  training: 'spec.settings.training.data.path',
  trainingRoot: 'spec.settings.training.data.root',
  lm: 'spec.settings.lm.path',
} as const;

/** Every field of every procedure in which a caller can name a file, filled with one that lies elsewhere. */
type At = (name: string) => string;
type Call = (at: At) => Promise<unknown>;
const calls: Record<string, Call> = {
  'files.list folder': (at) => api.files.list({ folder: at(''), wanted: 'folder' }),
  'projects.open path': (at) => api.projects.open({ path: at('new.foretune'), mode: 'create' }),
  'projects.check path': (at) => api.projects.check({ path: at('a.foretune') }),
  'projects.findMoved path': (at) => api.projects.findMoved({ path: at('a.foretune'), folder: root }),
  'projects.findMoved folder': (at) => api.projects.findMoved({ path: join(root, 'a.foretune'), folder: at('x') }),
  'projects.report path': (at) => api.projects.report({ path: at('a.foretune'), pdf: join(root, 'a.pdf') }),
  'projects.report pdf': (at) => api.projects.report({ path: project, pdf: at('a.pdf') }),
  'projects.report csv': (at) => api.projects.report({ path: project, csv: at('csv') }),
  'projects.report latex': (at) => api.projects.report({ path: project, latex: at('a.tex') }),
  'projects.report svg': (at) => api.projects.report({ path: project, svg: at('svg') }),
  'projects.export folder': (at) => api.projects.export({ project, folder: at(''), formats: ['csv'] }),
  'projects.download path': (at) => api.projects.download({ path: at('report.pdf') }),
  'models.exported path': (at) => api.models.exported({ path: at('model.onnx') }),
  'data.columns path': (at) => api.data.columns({ path: at('manifest.csv') }),
  'models.inspect path': (at) => api.models.inspect({ path: at('model') }),
  'models.add path': (at) => api.models.add({ project, path: at('model') }),
  'models.relocate path': (at) => api.models.relocate({ project, id: 1, path: at('model') }),
  ...Object.fromEntries<Call>(
    (['path', 'root', 'alignments.path'] as const).flatMap((field) => {
      const choice = (at: At) => {
        if (field === 'path') return { path: at('manifest.csv') };
        return { ...inside.data, ...(field === 'root' ? { root: at('') } : { alignments: { path: at('') } }) };
      };
      return [
        [`data.inspect ${field}`, (at: At) => api.data.inspect(choice(at))],
        [`data.label ${field}`, (at: At) => api.data.label({ ...choice(at), label: 'word' })],
        [`data.add ${field}`, (at: At) => api.data.add({ ...choice(at), project })],
        [`data.rows ${field}`, (at: At) => api.data.rows(choice(at))],
        [`data.survey ${field}`, (at: At) => drain(api.data.survey(choice(at)))],
        [`data.alignments ${field}`, (at: At) => drain(api.data.alignments(choice(at)))],
        [`data.clip ${field}`, (at: At) => api.data.clip({ ...choice(at), index: 0 })],
        [
          `jobs.score spec.data.${field}`,
          (at: At) => api.jobs.score({ project, spec: { models: [inside.model], data: choice(at), settings }, machine: {} }),
        ],
        [
          `probes.start spec.data.${field}`,
          (at: At) => api.probes.start({ project, spec: { models: [inside.model], data: choice(at), settings }, machine: {} }),
        ],
        [`weights.judge data.${field}`, (at: At) => api.weights.judge({ ...sweep(), data: choice(at) })],
        [`weights.drift data.${field}`, (at: At) => drain(api.weights.drift({ ...drift, data: choice(at) }))],
        [`weights.recipe data.${field}`, (at: At) => api.weights.recipe({ ...recipe, data: choice(at) })],
        [
          `jobs.estimate spec.data.${field}`,
          (at: At) => api.jobs.estimate({ spec: { models: [inside.model], data: choice(at), settings } }),
        ],
      ];
    }),
  ),
  'jobs.score spec.models.path': (at) =>
    api.jobs.score({
      project,
      spec: { models: [inside.model, { path: at('model') }], data: inside.data, settings },
      machine: {},
    }),
  'probes.start spec.models.path': (at) =>
    api.probes.start({ project, spec: { models: [{ path: at('model') }], data: inside.data, settings }, machine: {} }),
  'probes.start spec.models.merge.finetuned': (at) =>
    api.probes.start({ project, spec: { models: [member(at('model'))], data: inside.data, settings }, machine: {} }),
  'jobs.estimate spec.models.path': (at) =>
    api.jobs.estimate({ spec: { models: [{ path: at('model') }], data: inside.data, settings } }),
  'features.extract model.path': (at) =>
    drain(
      api.features.extract({
        model: { path: at('model') },
        audio: [join(demo, 'audio', 'yes_s0_0.flac')],
        out: join(root, 'out'),
        machine: {},
      }),
    ),
  'features.extract audio': (at) =>
    drain(api.features.extract({ model: inside.model, audio: [at('a.wav')], out: join(root, 'out'), machine: {} })),
  'features.extract out': (at) =>
    drain(
      api.features.extract({ model: inside.model, audio: [join(demo, 'audio', 'yes_s0_0.flac')], out: at('out'), machine: {} }),
    ),
  'truth.read path': (at) => api.truth.read({ path: at('t.csv') }),
  'truth.import path': (at) => api.truth.import({ project, path: at('t.csv') }),
  ...Object.fromEntries<Call>(
    (['a', 'b'] as const).flatMap((field) => {
      const good = { kind: 'model' as const, ...inside, layers: [0] };
      const call = (bad: typeof good) => drain(api.features.similarity({ a: good, b: good, [field]: bad, machine: {} }));
      return [
        [`features.similarity ${field}.model.path`, (at: At) => call({ ...good, model: { path: at('model') } })],
        [`features.similarity ${field}.data.path`, (at: At) => call({ ...good, data: { path: at('manifest.csv') } })],
        [
          `features.similarity ${field}.data.root`,
          (at: At) => call({ ...good, data: { ...inside.data, root: at('') } as never }),
        ],
        [
          `features.similarity ${field}.data.alignments.path`,
          (at: At) => call({ ...good, data: { ...inside.data, alignments: { path: at('') } } as never }),
        ],
      ];
    }),
  ),
  ...Object.fromEntries<Call>(
    (['features', 'labels', 'targets', 'probabilities', 'other'] as const).map((field) => [
      `metrics.compute ${field}`,
      (at: At) => api.metrics.compute({ features: join(root, 'f.npy'), [field]: at('f.npy'), metrics: ['logme'] }),
    ]),
  ),
  'weights.compare a': (at) => drain(api.weights.compare({ a: at('model'), b: [inside.model.path] })),
  'weights.compare b': (at) => drain(api.weights.compare({ a: inside.model.path, b: [at('model')] })),
  'weights.place out': (at) => api.weights.place({ out: at('model') }),
  'jobs.score spec.models.merge.finetuned': (at) =>
    api.jobs.score({ project, spec: { models: [member(at('model'))], data: inside.data, settings }, machine: {} }),
  'jobs.estimate spec.models.merge.finetuned': (at) =>
    api.jobs.estimate({ spec: { models: [member(at('model'))], data: inside.data, settings } }),
  'weights.judge base': (at) => api.weights.judge({ ...sweep(), base: at('model') }),
  'weights.judge finetuned': (at) => api.weights.judge({ ...sweep(), finetuned: [at('model')] }),
  'weights.drift models.path': (at) => drain(api.weights.drift({ ...drift, models: [inside.model, { path: at('model') }] })),
  'weights.drift models.merge.finetuned': (at) =>
    drain(api.weights.drift({ ...drift, models: [inside.model, member(at('model'))] })),
  'weights.recipe base': (at) => api.weights.recipe({ ...recipe, base: at('model') }),
  'weights.recipe out': (at) => api.weights.recipe({ ...recipe, out: at('recipe') }),
  'weights.report about.a': (at) =>
    api.weights.report({ about: { kind: 'comparison', a: at('model'), b: merge.finetuned }, pdf }),
  'weights.report about.b': (at) => api.weights.report({ about: { kind: 'comparison', a: merge.base, b: [at('model')] }, pdf }),
  'weights.report about.folder': (at) => api.weights.report({ about: { kind: 'merge', folder: at('model') }, pdf }),
  ...Object.fromEntries<Call>(
    (['pdf', 'csv', 'latex', 'svg'] as const).map((target) => [
      `weights.report ${target}`,
      (at: At) => api.weights.report({ about: { kind: 'comparison', a: merge.base, b: merge.finetuned }, [target]: at(target) }),
    ]),
  ),
  ...Object.fromEntries<Call>(
    (['model.path', 'data.path', 'data.root', 'lm'] as const).map((field) => [
      `speed.transcribe ${field}`,
      (at: At) =>
        drain(
          api.speed.transcribe({
            model: field === 'model.path' ? { path: at('model') } : { path: merge.finetuned[0] },
            data: {
              path: field === 'data.path' ? at('manifest.csv') : inside.data.path,
              root: field === 'data.root' ? at('') : undefined,
            },
            lm: field === 'lm' ? at('lm.arpa') : undefined,
            machine: {},
          }),
        ),
    ]),
  ),
  ...Object.fromEntries<Call>(
    (['model.path', 'data.path', 'data.root', 'out'] as const).map((field) => [
      `data.align ${field}`,
      (at: At) =>
        drain(
          api.data.align({
            model: field === 'model.path' ? { path: at('model') } : { path: merge.finetuned[0] },
            data: {
              path: field === 'data.path' ? at('manifest.csv') : inside.data.path,
              root: field === 'data.root' ? at('') : undefined,
            },
            text: 'word',
            out: field === 'out' ? at('out.csv') : undefined,
            machine: {},
          }),
        ),
    ]),
  ),
  ...Object.fromEntries<Call>(
    (Object.keys(sweepFields) as (keyof typeof sweepFields)[]).flatMap((field): [string, Call][] => {
      const specWith = (at: At) => {
        const or = <T>(which: string, there: T): string | T => (field === which ? at(which) : there);
        const training = field.startsWith('training')
          ? {
              data: {
                path: or('training', inside.data.path),
                root: or('trainingRoot', undefined),
              },
            }
          : {};
        return {
          model: { path: or('model', merge.finetuned[0]) },
          data: {
            path: or('data', inside.data.path),
            root: or('root', undefined),
          },
          text: 'word',
          settings: {
            downsampling: { kernel: or('kernel', undefined) },
            importedHeads: or('heads', undefined),
            training,
            lm: field === 'lm' ? { path: at('lm.arpa') } : undefined,
          },
        };
      };
      return [
        [`speed.start ${sweepFields[field]}`, (at: At) => api.speed.start({ project, machine: {}, spec: specWith(at) })],
        [`speed.plan ${sweepFields[field]}`, (at: At) => api.speed.plan({ project, spec: specWith(at) })],
      ];
    }),
  ),
  ...Object.fromEntries<Call>(
    (['pdf', 'csv', 'latex', 'svg'] as const).map((field) => [
      `speed.report ${field}`,
      (at: At) => api.speed.report({ project, run: 1, [field]: at('report') }),
    ]),
  ),
  'speed.take out': (at) => api.speed.take({ project, run: 1, point: 'full', out: at('out') }),
  'speed.macs model': (at) => api.speed.macs({ model: at('model'), seconds: 1 }),
  'weights.superb results': (at) => api.weights.superb({ results: at('r.csv') }),
  'weights.superb anchors': (at) => api.weights.superb({ anchors: at('a.csv') }),
  ...Object.fromEntries<Call>(
    (['base', 'finetuned', 'out'] as const).flatMap((field) => {
      const input = (at: At) => ({ ...merge, ...{ [field]: field === 'finetuned' ? [at('model')] : at('model') } });
      return [
        [`weights.plan ${field}`, (at: At) => api.weights.plan(input(at))],
        [`weights.merge ${field}`, (at: At) => drain(api.weights.merge(input(at)))],
      ];
    }),
  ),
  'metrics.correlate scores': (at) => api.metrics.correlate({ scores: at('s.csv'), truth: join(root, 't.csv'), ...columns }),
  'metrics.correlate truth': (at) => api.metrics.correlate({ scores: join(root, 's.csv'), truth: at('t.csv'), ...columns }),
};

/** Names under which strings, or lists of them, stand that are no paths. */
const plainNames =
  /^(project|name|label|labels|metric|metrics|audioColumn|view|text|find|input|layers|score|truthColumn|on|column|group|value|method|alsoBy|pattern|tasks|measure|source|tier|without|run|reference|point|target|fingerprint|notes)$/;
/** Parts of a table's rows, and the names of its columns. */
const inTables = /^(columns|rows)$/;
/** `labels` of a computation are a file. */
const isFileOf = (procedure: string, name: string): boolean =>
  !plainNames.test(name) || (procedure === 'metrics.compute' && name === 'labels');

interface JsonSchema {
  enum?: unknown[];
  const?: unknown;
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

/** Where a schema has strings, by the names that lead there. */
function strings(schema: JsonSchema, names: string[] = []): string[][] {
  const found = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => strings(inner, [...names, name]));
  if (schema.items) found.push(...strings(schema.items, names));
  for (const choice of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) found.push(...strings(choice, names));
  const isOpen = schema.enum === undefined && schema.const === undefined;
  return isOpen && [schema.type].flat().includes('string') ? [...found, names] : found;
}

function pathFields(): string[] {
  return Object.entries(router).flatMap(([group, procedures]) =>
    Object.entries(procedures).flatMap(([name, procedure]: [string, unknown]) => {
      const schema: unknown = isProcedure(procedure) ? procedure['~orpc'].inputSchema : undefined;
      if (!(schema instanceof z.ZodType)) return [];
      const whole = `${group}.${name}`;
      const fields = strings(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
      return [
        ...new Set(
          fields
            // What is written on a figure is drawn, not opened.
            .filter((names) => names.length > 0 && names[0] !== 'figure')
            .filter((names) => !inTables.test(names.at(-2) ?? '') && isFileOf(whole, names.at(-1)!))
            .map((names) => `${whole} ${names.join('.')}`),
        ),
      ];
    }),
  );
}

describe('a server with a root', () => {
  it('has every field in which a file can be named in this list', () => {
    // Taken as names, not opened: folders in which pickers start, and an entry of the list of recent projects.
    const names = [
      'app.forget path',
      'app.saveSettings folders.projects',
      'app.saveSettings folders.models',
      'app.saveSettings folders.data',
      // Written into a report as they are.
      'weights.report about.drift.data.path',
      'weights.report about.drift.models.path',
    ];
    expect(pathFields().sort()).toEqual([...Object.keys(calls), ...names].sort());
  });

  it.each(Object.keys(calls))('refuses files outside it: %s', async (name) => {
    const ways = [
      (file: string) => join(outside, file),
      (file: string) => join(root, '..', 'outside', file),
      (file: string) => join(root, 'link', file),
    ];
    for (const at of ways) {
      const error = await calls[name](at).then(
        (): undefined => undefined,
        (reason: unknown) => fromWire(reason),
      );
      expect([error?.code, error?.message]).toEqual([
        'unsafe',
        expect.stringContaining('start it with --root to show another') as string,
      ]);
    }
  });

  it('lets its own files and the demo be used', async () => {
    expect((await api.files.list({ folder: root, wanted: 'project' })).entries.map(({ name }) => name)).toContain(
      'Study.foretune',
    );
    expect((await api.models.inspect(inside.model)).name).toBe('tiny-hubert');
    expect((await api.data.inspect(inside.data)).utterances).toBeGreaterThan(100);
  });
});
