import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fromWire } from '#main/api/procedure.ts';
import { type Api } from '#main/api/router.ts';

import { demo, root } from '../../support/foretune.ts';

/** What every procedure of the router answered, by its name; refusals as their code and sentence. */
export type Transcript = Record<string, unknown>;

/** Fields that tell when something happened or how long it took, or digest such a thing or a folder's name. */
const passing =
  /^(hash|modified|opened|created|started|finished|updated|ended|speed|secondsLeft|estimatedSeconds|at|when)|At$|Seconds$/;

/** The same answer for every link: without the folder it was given in, and without the time of day. */
function lasting(value: unknown, folder: string, key = ''): unknown {
  if (passing.test(key) && value !== null) return '<passing>';
  if (typeof value === 'string') return value.replaceAll(folder, '<folder>');
  if (value instanceof Blob) return { blob: value.type, size: value.size };
  if (Array.isArray(value)) return value.map((item) => lasting(item, folder));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, lasting(item, folder, name)]));
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Speaks with every procedure once, from an empty folder to a scored and exported project. */
export async function converse(api: Api, folder: string): Promise<Transcript> {
  const transcript: Transcript = {};
  const ask = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    try {
      const answer = await work();
      transcript[name] = lasting(answer, folder);
      return answer;
    } catch (error) {
      const { code, message } = fromWire(error);
      transcript[name] = { refused: code, sentence: lasting(message, folder) };
      return undefined as T;
    }
  };
  const path = join(folder, 'Study.foretune');
  const model = join(folder, 'tiny-hubert');
  cpSync(join(demo, 'models', 'tiny-hubert'), model, { recursive: true });
  const data = { path: join(demo, 'manifest.csv') };
  const machine = { providers: ['cpu' as const], threads: 1 };
  const settings = { labels: ['word'], units: ['utterance' as const], controls: [], sample: 40, groups: 4 };
  const spec = { models: [{ path: model }], data, settings };

  await ask('app.info', () => api.app.info());
  const own = await ask('app.settings', () => api.app.settings());
  await ask('app.saveSettings', () => api.app.saveSettings(own));
  await ask('files.places', () => api.files.places());
  await ask('files.list', () => api.files.list({ folder: model, wanted: 'model' }));
  await ask('models.inspect', () => api.models.inspect({ path: model }));
  const exported = join(folder, 'hubert-plain.onnx');
  cpSync(join(root, 'tests', 'golden', 'onnx', 'hubert-plain.onnx'), exported);
  await ask('models.exported', () => api.models.exported({ path: exported }));
  await ask('data.columns', () => api.data.columns(data));
  await ask('data.inspect', () => api.data.inspect({ ...data, label: 'word' }));
  await ask('data.label', () => api.data.label({ ...data, label: 'speaker' }));
  await ask('data.rows', () => api.data.rows({ ...data, limit: 3, find: 'yes' }));
  // In how many parts it comes depends on how fast files are decoded.
  await ask('data.survey', async () =>
    (await collectStream(api.data.survey({ ...data, most: 6 }))).flatMap(({ durations }) => durations),
  );
  const alignments = join(folder, 'alignments.csv');
  writeFileSync(
    alignments,
    'file,start,end,label\nyes_s0_0,0,0.2,y\nyes_s0_1,0.1,0.3,s\nyes_s0_3,0,0.2,s\nyes_s0_3,0.1,0.3,overlap\n',
  );
  await ask('data.alignments', async () =>
    (await collectStream(api.data.alignments({ ...data, alignments: { path: alignments }, label: 'phones' }))).at(-1),
  );
  await ask('data.clip', () => api.data.clip({ ...data, index: 1, alignments: { path: alignments } }));
  await ask('metrics.list', () => api.metrics.list());

  const opened = await ask('projects.open', () => api.projects.open({ path, mode: 'create', name: 'Study', remember: true }));
  const key = { project: opened.project };
  const topics = collectStream(api.projects.watch(key));
  // Awaited below; should something fail before, that is what is to be told.
  topics.catch(() => undefined);
  await ask('app.recent', () => api.app.recent());
  await ask('app.forget', () => api.app.forget({ path }));
  const added = await ask('models.add', () => api.models.add({ ...key, path: model }));
  await ask('models.shelve', () => api.models.shelve({ ...key, id: added.id, away: false }));
  await ask('models.relocate', () => api.models.relocate({ ...key, id: added.id, path: join(folder, 'gone') }));
  const set = await ask('data.add', () => api.data.add({ ...key, ...data }));
  await ask('data.shelve', () => api.data.shelve({ ...key, id: set.id, away: false }));
  await ask('jobs.estimate', async () => Object.keys(await api.jobs.estimate({ spec })).sort());
  const { job, experiment } = await ask('jobs.score', () => api.jobs.score({ ...key, name: 'Words', spec, machine }));
  await ask('jobs.follow', async () =>
    (await collectStream(api.jobs.follow({ ...key, job }))).flatMap((event) =>
      event.type === 'progress' ? [] : [{ ...event, seq: 0 }],
    ),
  );
  await ask('jobs.cancel', () => api.jobs.cancel({ ...key, job }));
  await ask('jobs.resume', () => api.jobs.resume({ ...key, job, machine }));
  await ask('jobs.list', () => api.jobs.list(key));
  await ask('projects.summary', () => api.projects.summary(key));
  const [score] = await ask('projects.scores', () => api.projects.scores({ ...key, experiment }));
  await ask('projects.experiment', () => api.projects.experiment({ ...key, experiment }));
  await ask('results.section', () => api.results.section({ ...key, experiment, label: 'word' }));
  await ask('results.ranking', () => api.results.ranking({ ...key, experiment, label: 'word' }));
  await ask('results.tasks', () => api.results.tasks({ ...key, experiment }));
  const measured = join(demo, 'truth_layers.csv');
  await ask('truth.read', async () => (await api.truth.read({ path: measured })).rows.slice(0, 3));
  await ask('truth.import', () => api.truth.import({ ...key, path: measured }));
  await ask('probes.measures', () => api.probes.measures());
  const probes = await ask('probes.start', () =>
    api.probes.start({
      ...key,
      name: 'Probes',
      spec: {
        models: [{ path: model }],
        data,
        settings: { labels: ['word'], layers: [0, 2], controls: [], split: { column: 'split' }, sample: 60, resamples: 20 },
      },
      machine,
    }),
  );
  await collectStream(api.jobs.follow({ ...key, job: probes.job }));
  await ask('probes.layerSums', () => api.probes.layerSums({ ...key, experiment: probes.experiment }));
  await ask('probes.layerWeights', () => api.probes.layerWeights({ ...key, experiment: probes.experiment }));
  await ask('truth.useProbes', () => api.truth.useProbes({ ...key, experiment: probes.experiment }));
  const typed = { model: 'tiny-hubert', layer: null, label: 'word', measure: 'WER', value: 12, higherIsBetter: false };
  await ask('truth.set', () => api.truth.set({ ...key, source: 'by hand', rows: [typed] }));
  await ask('truth.list', async () => (await api.truth.list(key)).slice(-2));
  await ask('truth.agreement', () => api.truth.agreement({ ...key, experiment }));
  await ask('truth.studies', async () => (await api.truth.studies()).map(({ id, notes }) => ({ id, notes })));
  const { curve } = (await api.results.section({ ...key, experiment, label: 'word' }))!;
  await ask('results.pdf', async () => ({ type: (await api.results.pdf({ figure: curve })).type }));
  await ask('results.recipe', () => api.results.recipe({ ...key, recipe: score.recipeId }));
  await ask('projects.setViewState', () => api.projects.setViewState({ ...key, view: 'results', state: { rank: true } }));
  await ask('projects.viewState', () => api.projects.viewState({ ...key, view: 'results' }));
  await ask('projects.setNotes', () => api.projects.setNotes({ ...key, experiment, text: 'Größer ist besser.' }));
  await ask('projects.notes', () => api.projects.notes({ ...key, experiment }));
  const few = join(folder, 'few.csv');
  writeFileSync(few, 'path,text\nsentences/00.flac,yes right up down\nsentences/03.flac,right off no\n');
  const sweep = {
    model: { path: join(demo, 'models', 'tiny-hubert-ft-asr') },
    data: { path: few, root: demo },
    text: 'text',
    settings: {
      strategies: ['early-exit' as const, 'layer-removal' as const],
      heads: ['final' as const],
      earlyExit: { rules: ['entropy' as const], thresholds: { entropy: [0.3] } },
      layerRemoval: { keep: [4] },
    },
    timing: null,
  };
  await ask('speed.plan', () => api.speed.plan({ ...key, spec: sweep }));
  const { job: speedJob, run } = await ask('speed.start', () => api.speed.start({ ...key, spec: sweep, machine }));
  await collectStream(api.jobs.follow({ ...key, job: speedJob }));
  await ask('speed.runs', () => api.speed.runs(key));
  const points = await ask('speed.points', () => api.speed.points({ ...key, run }));
  await ask('speed.front', () => api.speed.front({ ...key, run, cost: 'macs' }));
  await ask('speed.recommend', () => api.speed.recommend({ ...key, run, cost: 'macs', wish: { kind: 'error', most: 0.1 } }));
  const setting = { ...key, run, point: points[1].key };
  const [drilled] = await ask('speed.utterances', () => api.speed.utterances(setting));
  await ask('speed.alignment', () => api.speed.alignment(drilled));
  await ask('speed.take', () => api.speed.take({ ...setting, out: join(folder, 'faster') }));
  await ask('speed.figures', () => api.speed.figures({ ...key, run, cost: 'macs' }));
  await ask('speed.report', () => api.speed.report({ ...key, run, csv: join(folder, 'sweep'), svg: join(folder, 'sweep') }));
  await ask('speed.published', () => api.speed.published());
  const speakerModel = join(demo, 'models', 'tiny-hubert-ft-speaker');
  const judged = await ask('weights.judge', () =>
    api.weights.judge({
      ...key,
      base: model,
      finetuned: [speakerModel],
      alphas: [{ value: 0.5 }],
      data,
      scoring: {
        labels: ['word', 'speaker'],
        units: ['utterance'],
        controls: ['shuffled-labels'],
        layers: [1, 3],
        sample: 24,
        groups: 3,
      },
      machine,
    }),
  );
  for await (const _ of await api.jobs.follow({ ...key, job: judged.job }));
  await ask('weights.judgement', () => api.weights.judgement({ ...key, experiment: judged.experiment, target: 'speaker' }));
  await ask('weights.report', () =>
    api.weights.report({
      about: { kind: 'judgement', ...key, experiment: judged.experiment },
      latex: join(folder, 'judged.tex'),
    }),
  );
  mkdirSync(join(folder, 'out'));
  const { files } = await ask('projects.export', () =>
    api.projects.export({ ...key, folder: join(folder, 'out'), formats: ['latex'] }),
  );
  await ask('projects.download', () => api.projects.download({ path: files[0] }));
  await ask('projects.close', () => api.projects.close(key));
  transcript['projects.watch'] = [...new Set(await topics)].sort();
  await ask('projects.check', () => api.projects.check({ path }));
  await ask('projects.findMoved', () => api.projects.findMoved({ path, folder }));
  await ask('projects.report', () => api.projects.report({ path, csv: join(folder, 'csv') }));
  const audio = [join(demo, 'audio', 'yes_s0_0.flac')];
  await ask('features.extract', () =>
    collectStream(
      api.features.extract({ model: { path: model }, audio, layers: [0, 2], out: join(folder, 'features'), machine }),
    ),
  );
  const side = { kind: 'model' as const, model: { path: model }, layers: [2], data };
  await ask('features.similarity', async () =>
    (
      await collectStream(
        api.features.similarity({ a: side, b: { kind: 'filterbank', bands: 20, data }, metrics: ['cka'], sample: 3, machine }),
      )
    ).filter(({ type }) => type === 'done'),
  );
  await ask('metrics.compute', () =>
    api.metrics.compute({ features: join(folder, 'features', 'yes_s0_0', 'layer_02.npy'), metrics: ['logme'] }),
  );
  const truth = join(demo, 'truth_layers.csv');
  const where = [
    { column: 'label', value: 'word' },
    { column: 'measure', value: 'accuracy_linear_probe' },
  ];
  await ask('metrics.correlate', () =>
    api.metrics.correlate({ scores: truth, score: 'value', truth, truthColumn: 'value', on: ['model', 'layer'], where }),
  );
  const methods = await ask('weights.methods', () => api.weights.methods());
  const merge = {
    base: model,
    finetuned: [join(demo, 'models', 'tiny-hubert-ft-speaker')],
    method: methods[0].id,
    alphas: [{ value: 0.25 }],
    settings: { density: 0.2, scope: 'tensor' as const, rescale: 'bernoulli' as const, seed: 0 },
    heads: 'base' as const,
    out: join(folder, 'merged'),
  };
  await ask('weights.place', () => api.weights.place({ out: merge.out }));
  await ask('weights.plan', () => api.weights.plan(merge));
  await ask('weights.merge', async () =>
    (await collectStream(api.weights.merge(merge))).filter(({ type }) => type !== 'progress'),
  );
  await ask('weights.compare', async () =>
    (await collectStream(api.weights.compare({ a: model, b: merge.finetuned }))).filter(({ type }) => type !== 'progress'),
  );
  await ask('weights.drift', async () =>
    (
      await collectStream(
        api.weights.drift({ models: [{ path: model }, { path: speakerModel }], data, layers: [3], sample: 6, machine }),
      )
    ).filter(({ type }) => type === 'done'),
  );
  await ask('weights.recipe', () =>
    api.weights.recipe({ base: model, kind: 'huggingface', data, label: 'word', out: join(folder, 'recipe') }),
  );
  await ask('speed.macs', () => api.speed.macs({ model, seconds: 10 }));
  const sentences = join(folder, 'sentences.csv');
  writeFileSync(sentences, 'path,text\nsentences/00.flac,Yes right up down!\nsentences/03.flac,right off no\n');
  await ask('data.align', async () =>
    (
      await collectStream(
        api.data.align({
          model: { path: join(demo, 'models', 'tiny-hubert-ft-asr') },
          data: { path: sentences, root: demo },
          text: 'text',
          out: join(folder, 'aligned.csv'),
          machine,
        }),
      )
    ).filter(({ type }) => type !== 'progress'),
  );
  await ask('speed.transcribe', async () =>
    (
      await collectStream(
        api.speed.transcribe({
          model: { path: join(demo, 'models', 'tiny-hubert-ft-asr') },
          data: { path: sentences, root: demo },
          text: 'text',
          beam: { width: 20, beta: 0 },
          machine,
        }),
      )
    ).filter(({ type }) => type !== 'progress'),
  );
  const { runs, anchors, tasks } = await ask('weights.superb', () => api.weights.superb({}));
  await ask('weights.superbScores', () => api.weights.superbScores({ runs: runs.slice(0, 3), anchors, tasks }));
  await ask('projects.demo', () => api.projects.demo({ machine }));
  return transcript;
}

async function collectStream<T>(stream: Promise<AsyncIterable<T>>): Promise<T[]> {
  return collect(await stream);
}
