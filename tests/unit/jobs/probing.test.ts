import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { createEngine } from '#main/jobs/engine.ts';
import { prepareProbing } from '#main/jobs/probePrepare.ts';
import { JobQueue } from '#main/jobs/queue.ts';
import { createProject, type Project } from '#main/project/project.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ProbeSpecInput, probeSpecSchema } from '#shared/probe.ts';

import golden from '../../golden/probing/demo.json' with { type: 'json' };
import { demo, temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
const engine = createEngine({ cacheDir: join(folder.path, 'cache') });
afterAll(async () => {
  await engine.close();
  folder.remove();
});
const machine = { providers: ['cpu' as const], threads: 1 };
const hubert = join(demo, 'models', 'tiny-hubert');

/** Every so many rows of a table of the demo, with more columns. */
function table(name: string, source: string, every: number, more: Record<string, (row: string[], i: number) => string>): string {
  const [head, ...all] = readFileSync(join(demo, source), 'utf8').trim().split('\n');
  const rows = all.filter((_, i) => i % every === 0);
  const lines = rows.map((row, i) => [row, ...Object.values(more).map((make) => make(row.split(','), i))].join(','));
  const path = join(folder.path, name);
  writeFileSync(path, `${[head, ...Object.keys(more)].join(',')}\n${lines.join('\n')}\n`);
  return path;
}

/** Every fifth row of `train` is for development. */
function parts(): (row: string[]) => string {
  let trained = 0;
  return ([, , , split]) => (split === 'train' && trained++ % 5 === 4 ? 'dev' : split);
}
// As in the golden values.
const clips = table('clips.csv', 'manifest.csv', 2, { part: parts() });
const sentences = table('sentences.csv', 'sentences.csv', 1, { part: (_, i) => ({ 6: 'dev', 7: 'test' })[i % 8] ?? 'train' });
/** Some clips, for what does not hang on numbers. */
const few = table('few.csv', 'manifest.csv', 5, {
  part: parts(),
  once: (_, i) => (i === 8 ? 'rare' : i % 2 === 0 ? 'even' : 'odd'),
  same: () => 'all',
  alone: ([, , , split], i) => (split === 'train' || i % 2 === 0 ? 'heard' : 'new'),
  loudness: (_, i) => (0.37 * i).toFixed(2),
});
const fewSentences = table('few-sentences.csv', 'sentences.csv', 4, {
  part: (_, i) => ({ 2: 'dev', 3: 'test' })[i % 4] ?? 'train',
  odd: ([, text], i) => (i % 4 === 3 ? `${text} ß` : text),
  empty: () => '',
});

type Settings = Partial<ProbeSpecInput['settings']>;
const specOf = (settings: Settings, { model = hubert, data = few } = {}) =>
  probeSpecSchema.parse({
    models: [{ path: model }],
    data: { path: data, root: demo },
    settings: { labels: ['word'], controls: [], split: { column: 'part' }, resamples: 50, ...settings },
  });

async function run(settings: Settings, changes: Parameters<typeof specOf>[1] = {}, project: Project = createProject(':memory:')) {
  const queue = new JobQueue(engine, project);
  const job = await queue.probe(specOf(settings, changes), machine);
  const state = await job.finished;
  const messages: string[] = [];
  for await (const event of job.events.follow()) if (event.type === 'log') messages.push(event.message);
  return { project, state, messages, rows: project.scores(), sums: project.layerSums() };
}

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ForetuneError);
  return error as ForetuneError;
}

describe("probes of the demo's clips", () => {
  it('reach what SciPy reaches, of layers and of their weighted sum', async () => {
    const spec = { labels: ['word', 'speaker'], layers: [0, 3, 6] };
    const { rows, sums } = await run(spec, { data: clips });
    const frames = await run({ units: ['frame'], labels: ['speaker'], layers: [3], heads: ['layers'] }, { data: clips });
    const found = [...rows, ...frames.rows, ...sums.map((sum) => ({ ...sum, layer: null }))];
    expect(found).toHaveLength(golden.clips.length);
    for (const { label, unit, layer, accuracy, weights } of golden.clips) {
      const what = `${label} by ${unit}, layer ${layer}`;
      const own = found.find((row) => row.label === label && row.unit === unit && row.layer === layer)!;
      expect(own, what).toMatchObject({ metric: 'probe-accuracy', d: 96, control: '' });
      expect(own.ci_low!).toBeLessThanOrEqual(own.value);
      expect(own.ci_high!).toBeGreaterThanOrEqual(own.value);
      // Both searches end near the one optimum of a convex function (ours when a step gains less than 1e-5 of the loss), from features
      // that agree to about 1e-5: samples near the border may fall to the other side. That of a weighted sum is not convex, and its path
      // may end elsewhere in the same valley.
      const most = weights ? 4.5 / own.n : Math.max(2.5 / own.n, 0.012);
      expect(Math.abs(own.value - accuracy), `${what}: ${own.value} and ${accuracy}`).toBeLessThan(most);
    }
    for (const { label, weights } of golden.clips) {
      if (!weights) continue;
      const own = sums.find((sum) => sum.label === label)!;
      expect(own.layers).toEqual([0, 3, 6]);
      expect(own.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      // Layers that say the same may share their weight in many ways at almost the same loss.
      for (const [l, weight] of weights.entries()) expect(Math.abs(own.weights[l] - weight), `${label} ${l}`).toBeLessThan(0.05);
    }
  });

  it('are near chance for shuffled labels, and below the model for random weights', async () => {
    const controls = ['random-weights', 'shuffled-labels'] as const;
    const { rows, sums } = await run({ layers: [3, 4], controls: [...controls] }, { data: clips });
    for (const found of [rows, sums]) {
      const of = (control: string) => found.filter((row) => row.control === control).map(({ value }) => value);
      // Ten words: 0.1 by chance, and 40 samples scatter by 0.047.
      for (const value of of('shuffled-labels')) expect(value).toBeLessThan(0.1 + 3 * 0.047);
      expect(Math.max(...of('random-weights'))).toBeLessThan(Math.min(...of('')) - 0.2);
    }
  });
});

describe('parts', () => {
  const prepared = async (settings: Settings) => {
    const { split, stratum, warnings } = await prepareProbing(specOf({ split: { test: 0.25 }, ...settings }));
    return { ...split, by: stratum?.name, warnings };
  };

  it('hold each class in its share, by the first column of classes', async () => {
    const { test, by } = await prepared({ labels: ['loudness', 'word', 'speaker'], kind: 'auto' });
    expect(by).toBe('word');
    const words = readFileSync(few, 'utf8').trim().split('\n').slice(1);
    const held = Map.groupBy(test, (i) => words[i].split(',')[1]);
    // Of each of six words one in four.
    expect([...held.values()].map(({ length }) => length)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('are drawn plainly for numbers, for groups, and where the data set names them all', async () => {
    expect((await prepared({ labels: ['loudness'] })).by).toBeUndefined();
    expect((await prepared({ split: { group: 'speaker' } })).by).toBeUndefined();
    expect((await prepared({ split: { column: 'part' } })).by).toBeUndefined();
  });

  it('depend on the seed', async () => {
    const [a, b, c] = await Promise.all([3, 3, 4].map((seed) => prepared({ split: { group: 'speaker', test: 0.25 }, seed })));
    expect(a).toEqual(b);
    expect(a.test).not.toEqual(c.test);
  });

  it('leave a class with fewer than three utterances in training, and say so', async () => {
    const { train, by, warnings } = await prepared({ labels: ['once'] });
    expect(by).toBe('once');
    expect(train).toContain(8);
    expect(warnings).toContain(
      '"once" has a class with fewer than three utterances ("rare"), which stays in training: nothing of it is measured.',
    );
  });
});

describe('heads for characters', () => {
  it('make the errors that those PyTorch trains make', async () => {
    // One batch, so that no order of batches matters.
    const ctc = { batch: 64, epochs: 100, learningRate: 0.05 };
    const { rows, sums } = await run({ labels: ['transcription'], kind: 'ctc', layers: [5, 6], ctc }, { data: sentences });
    expect(rows).toHaveLength(2);
    for (const { layer, error, tokens, dev_loss: devLoss, epochs, weights } of golden.characters) {
      const own = layer === null ? sums[0] : rows.find((row) => row.layer === layer)!;
      expect(own).toMatchObject({ metric: 'probe-ter', unit: 'frame', n: tokens });
      // The same steps of Adam from features that agree to about 1e-5.
      expect(Math.abs(own.value - error), `layer ${layer}`).toBeLessThan(2.5 / tokens);
      const [, trained, stopped] = /; (\d+) epochs, ([\d.]+) nats per token/.exec(own.notes[0])!;
      expect(Math.abs(Number(stopped) - devLoss)).toBeLessThan(0.01);
      expect(Math.abs(Number(trained) - epochs)).toBeLessThan(4);
      for (const [l, weight] of (weights ?? []).entries()) expect(Math.abs(sums[0].weights[l] - weight)).toBeLessThan(0.01);
    }
    expect(rows[0].notes[0]).toMatch(/^Trained on 36 utterances, stopped by 6, measured on 6;/);
  });

  it('say that characters which only the held-out transcripts have must be wrong', async () => {
    const ctc = { epochs: 1 };
    const { rows } = await run({ labels: ['odd'], kind: 'ctc', layers: [6], heads: ['layers'], ctc }, { data: fewSentences });
    expect(rows[0].notes).toContain('3 tokens of the held-out references do not occur in training, so they must be wrong.');
  });
});

describe('a run that is stopped', () => {
  it('leaves no features behind, and goes on to identical numbers', async () => {
    const settings: Settings = { layers: [1, 4], controls: ['random-weights'] };
    const whole = await run(settings);
    const project = createProject(':memory:');
    const queue = new JobQueue(engine, project);
    const job = await queue.probe(specOf(settings), machine);
    const units = () => project.committedUnits(job.id).size;
    for await (const { type } of job.events.follow()) {
      if (type === 'progress' && units() >= 2) job.cancel();
    }
    expect(await job.finished).toBe('cancelled');
    expect(units()).toBeLessThan(8);
    expect(readdirSync(join(folder.path, 'cache', 'probes'))).toEqual([]);
    const again = await run(settings, {}, project);
    expect(again.state).toBe('done');
    expect(again.messages).toContain('Taking up the unfinished run with these settings.');
    const numbers = ({ rows, sums }: typeof whole) => [...rows, ...sums].map(({ recipeId: _, ...row }) => row);
    expect(numbers(again)).toEqual(numbers(whole));
    expect((await run(settings, {}, project)).messages).toContain(
      'These models and data were probed with these settings before; the saved numbers stand.',
    );
  });
});

/** The model with one tensor's values replaced by NaN (float16). */
function damaged(name: string, tensor: RegExp): string {
  const path = join(folder.path, name);
  cpSync(hubert, path, { recursive: true });
  const file = join(path, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.subarray(8, 8 + header).toString()) as Record<string, { data_offsets: [number, number] }>;
  const [from, to] = entries[Object.keys(entries).find((key) => tensor.test(key))!].data_offsets;
  for (let at = 8 + header + from; at < 8 + header + to; at += 2) bytes.writeUInt16LE(0x7e00, at);
  writeFileSync(file, bytes);
  return path;
}

describe('what cannot be probed is said', () => {
  it('one class, a missing column, a split that names no part, an empty transcript', async () => {
    const refused = async (settings: Settings, data = few) => (await failure(run(settings, { data }))).message;
    expect(await refused({ labels: ['same'] })).toMatch(/column "same" of few.csv has one class \("all", 48 rows\)/);
    expect(await refused({ labels: ['emotion'] })).toMatch(/few.csv has no column "emotion"; it has path, word/);
    expect(await refused({ split: { column: 'fold' } })).toMatch(/has no column "fold"/);
    expect(await refused({ split: { column: 'word' } })).toMatch(
      /"yes" names no part of a data set; the column of the split must say/,
    );
    expect(await refused({ labels: ['empty'], kind: 'ctc' }, fewSentences)).toMatch(
      /is empty in all 12 rows: there is no transcript/,
    );
    expect(await refused({ layers: [9] })).toMatch(/tiny-hubert has layers 0 to 6; layer 9 does not exist/);
    expect(await refused({ layers: [3], heads: ['weighted-sum'] })).toMatch(/A weighted sum needs at least two layers/);
  });

  it('beside what can: numbers by R squared, a class with a single sample, a training part of one class', async () => {
    const { messages, rows } = await run({ labels: ['loudness', 'once', 'alone'], layers: [2], heads: ['layers'] });
    expect(rows).toMatchObject([
      { label: 'loudness', metric: 'probe-r2', classes: 0 },
      { label: 'once', metric: 'probe-accuracy', classes: 3 },
    ]);
    expect(rows[0].value).toBeLessThan(1);
    expect(messages).toContain(
      '"once" has a class with a single utterance ("rare"), which can be learned or tested, but not both.',
    );
    expect(messages.find((message) => message.includes('"alone"'))).toMatch(
      /The training part holds samples of one class only, of 2/,
    );
  });

  it('features that are not finite: those layers have no number, the others do', async () => {
    const model = damaged('broken-above', /layers\.3\.final_layer_norm\.weight$/);
    const { rows, sums, messages } = await run({ layers: [2, 5] }, { model });
    expect(rows.map(({ layer }) => layer)).toEqual([2]);
    expect(sums).toEqual([]);
    expect(messages.find((message) => message.includes('not finite'))).toMatch(
      /layer weighted sum, 5: no probe of "word" by utterance: Layer 5 of broken-above gives values that are not finite for 48 of 48 audio files/,
    );
    const all = damaged('broken', /^(hubert\.)?feature_projection\.projection\.bias$/);
    expect((await failure(run({}, { model: all }))).message).toMatch(/^Layer 0 of broken gives values that are not finite/);
  });
});
