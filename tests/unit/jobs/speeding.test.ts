import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';

import { loadAudio } from '#main/audio/audio.ts';
import { decodeGreedily } from '#main/decoding/greedy.ts';
import { transcriptOf, type Vocabulary } from '#main/decoding/vocabulary.ts';
import { openSafetensors } from '#main/formats/safetensors.ts';
import { createEngine } from '#main/jobs/engine.ts';
import { JobQueue } from '#main/jobs/queue.ts';
import { exportSetting } from '#main/jobs/speedExport.ts';
import { prepareSpeed } from '#main/jobs/speedPrepare.ts';
import { openModel } from '#main/models/library.ts';
import { createProject } from '#main/project/project.ts';
import { chooseExit, entropySum } from '#main/speedup/earlyExit.ts';
import { utteranceResults } from '#main/speedup/utterances.ts';
import { type SpeedPoint, type SpeedSpecInput, speedSpecSchema } from '#shared/speed.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
const engine = createEngine({ cacheDir: join(folder.path, 'cache') });
afterAll(async () => {
  await engine.close();
  folder.remove();
});
const machine = { providers: ['cpu' as const], threads: 1 };
const model = join(demo, 'models', 'tiny-hubert-ft-asr');

const base: SpeedSpecInput = {
  model: { path: model },
  data: { path: join(demo, 'sentences.csv') },
  text: 'transcription',
  settings: { sample: 8, heads: ['final'], strategies: [] },
  timing: null,
};
const spec = (settings: SpeedSpecInput['settings'], changes: Partial<SpeedSpecInput> = {}) =>
  speedSpecSchema.parse({ ...base, ...changes, settings: { ...base.settings, ...settings } });

async function run(settings: SpeedSpecInput['settings'], changes: Partial<SpeedSpecInput> = {}) {
  const project = createProject(':memory:');
  const queue = new JobQueue(engine, project);
  const asked = spec(settings, changes);
  const job = await queue.speed(asked, machine);
  await job.finished;
  const messages: string[] = [];
  for await (const event of job.events.follow()) if (event.type === 'log') messages.push(event.message);
  return { project, queue, asked, runId: job.runId, points: project.speedPoints(job.runId), messages };
}

/** What decides whether two settings did the same. */
const results = ({ wer, cer, words, characters, mean_exit_layer: layer }: SpeedPoint) => ({ wer, cer, words, characters, layer });
const found = (points: SpeedPoint[], setting: string) => points.find((point) => point.setting.startsWith(setting))!;

describe('a sweep', () => {
  it('reproduces the full model by exits at the end, downsampling by 1 and removal of nothing', async () => {
    const { points, messages } = await run({
      strategies: ['early-exit'],
      heads: ['final', 'trained'],
      earlyExit: { thresholds: { entropy: [1e-9], similarity: [1] } },
      training: { folds: 2, epochs: 1 },
      combinations: [{ downsampling: { kind: 'average', factor: 1 }, drop: [], exits: false }],
    });
    const [full, ...others] = points;
    expect(full.strategy).toBe('full');
    expect(others).toHaveLength(4);
    for (const other of others) expect(results(other)).toEqual(results(full));
    // Heads on the way cost, though none of them was taken; nothing else is another encoder.
    expect(found(points, 'entropy < 1e-9, own').macs).toBeGreaterThan(full.macs);
    expect(messages.filter((message) => message.includes('never fires'))).toHaveLength(3);
    expect(messages.join()).toContain('no utterance is decoded by a head that saw it');
  });

  it('judges every threshold from one pass, and says of every utterance where it left', async () => {
    const { points, project, runId } = await run({
      strategies: ['early-exit'],
      earlyExit: { layers: [2, 4], rules: ['entropy'], thresholds: { entropy: [5, 0.3] } },
    });
    const [, all, some] = points;
    expect(all.histogram).toEqual([
      { layer: 2, utterances: 8 },
      { layer: 4, utterances: 0 },
      { layer: 6, utterances: 0 },
    ]);
    expect(all.mean_exit_layer).toBe(2);
    expect(some.macs).toBeGreaterThan(all.macs);
    const records = project.speedRecords(runId, some.track).get(some.track)!;
    const drilled = utteranceResults(some, project.speedUtterances(runId), records, 1);
    expect(drilled).toHaveLength(8);
    expect(drilled.reduce((sum, { layer }) => sum + layer, 0) / 8).toBe(some.mean_exit_layer);
    expect(drilled.reduce((sum, { words }) => sum + words.substitutions + words.deletions + words.insertions, 0)).toBe(
      some.words.substitutions + some.words.deletions + some.words.insertions,
    );
    for (const { utterance, layer } of drilled) {
      const { exits } = records.get(utterance)!;
      const values = exits.map(({ entropy }) => entropy.sum / entropy.frames);
      expect(exits[chooseExit('entropy', values, 0.3)].layer).toBe(layer);
    }
  });

  it('lets batches leave together', async () => {
    const { points, project, runId } = await run({
      strategies: ['early-exit'],
      earlyExit: { rules: ['entropy'], thresholds: { entropy: [0.25] }, batch: 4 },
    });
    const [, point] = points;
    expect(point.setting).toBe('entropy < 0.25, own head, batches of 4');
    const records = project.speedRecords(runId, point.track).get(point.track)!;
    const drilled = utteranceResults(point, project.speedUtterances(runId), records, 4).toSorted((a, b) => a.seconds - b.seconds);
    for (let start = 0; start < 8; start += 4)
      expect(new Set(drilled.slice(start, start + 4).map(({ layer }) => layer)).size).toBe(1);
  });

  it('times settings by running them, the same stages once, and stays with what was decoded when timed again', async () => {
    const timing = { repetitions: 2, warmUp: 0 };
    const { points, project, queue, asked } = await run(
      {
        strategies: ['early-exit', 'layer-removal'],
        layerRemoval: { keep: [3] },
        earlyExit: { thresholds: { entropy: [3, 4] } },
      },
      { timing },
    );
    for (const { seconds, rtf, repetitions, provider } of points) {
      expect(seconds).toBeGreaterThan(0);
      expect(rtf).toBeGreaterThan(0);
      expect(repetitions).toHaveLength(2);
      expect(provider).toBe('cpu');
    }
    // Both thresholds leave at the first exit.
    expect(points[1].seconds).toBe(points[2].seconds);
    const again = await queue.speed(asked, machine, { again: true });
    await again.finished;
    const anew = project.speedPoints(again.runId);
    expect(anew.map(results)).toEqual(points.map(results));
    expect(anew[0].repetitions).not.toEqual(points[0].repetitions);
    expect(project.jobs()).toHaveLength(2);
  });

  it('goes on where it was cancelled, to the same numbers', async () => {
    const settings = {
      strategies: ['early-exit' as const],
      heads: ['trained' as const],
      training: { folds: 2, epochs: 2 },
      sample: 6,
    };
    const whole = await run(settings);
    const project = createProject(':memory:');
    const queue = new JobQueue(engine, project);
    const job = await queue.speed(spec(settings), machine);
    for await (const event of job.events.follow())
      if (event.type === 'progress' && event.progress.done > 0 && event.progress.doing === 'tiny-hubert-ft-asr') job.cancel();
    expect(await job.finished).toBe('cancelled');
    expect(project.speedPoints(job.runId)).toEqual([]);
    expect(project.speedHeadNames(job.runId).length).toBeGreaterThan(0);
    const resumed = await queue.speed(spec(settings), machine);
    expect(resumed.id).toBe(job.id);
    expect(await resumed.finished).toBe('done');
    const withoutRecipe = (points: ReturnType<typeof project.speedPoints>) => points.map(({ recipeId: _, ...point }) => point);
    expect(withoutRecipe(project.speedPoints(resumed.runId))).toEqual(withoutRecipe(whole.points));
  });

  it('says in a sentence what cannot be tried', async () => {
    const refusal = (settings: SpeedSpecInput['settings'], changes: Partial<SpeedSpecInput> = {}) =>
      expect(prepareSpeed(spec(settings, changes))).rejects;
    await refusal({}, { model: { path: join(demo, 'models', 'tiny-hubert') } }).toThrow('encoder without a head');
    await refusal({}, { text: 'words' }).toThrow('"words"');
    await refusal({ heads: ['imported'], strategies: ['early-exit'] }).toThrow('no file with them was named');
    await refusal({ heads: ['trained'], sample: 1, strategies: ['early-exit'] }).toThrow('cannot be trained on 1 utterance');
    await refusal({ strategies: ['layer-removal'], layerRemoval: { keep: [], drop: [[9]] } }).toThrow('no block 9 to drop');
  });

  it('counts utterances that are too short after downsampling as deletions, and says so', async () => {
    const manifest = join(folder.path, 'short.csv');
    // 30 ms give one frame, and no four.
    writeFileSync(
      manifest,
      'path,offset,duration,transcription\nsentences/00.flac,0,0.03,yes\nsentences/01.flac,,,left no yes down\nsentences/02.flac,,,go right no right\n',
    );
    const { points, messages } = await run(
      { strategies: ['downsampling'], downsampling: { kinds: ['features'], factors: [4] }, sample: undefined },
      { data: { path: manifest, root: demo } },
    );
    const pooled = found(points, 'pooled features by 4');
    expect(pooled.warnings).toEqual([
      '1 of 3 utterances are too short for one frame with pooled features by 4; their transcripts are empty and count as deletions.',
    ]);
    expect(messages).toContain(pooled.warnings[0]);
    expect(pooled.words.deletions).toBeGreaterThan(0);
  });
});

describe('taking a setting away', () => {
  const sentence = join(demo, 'sentences', '03.flac');

  interface Graph {
    file: string;
    inputs: { name: string; value: string }[];
    outputs: { name: string; value: string }[];
  }
  interface Manifest {
    exit?: { rule: string; threshold: number };
    exits?: { layer: number; stage: Graph; head: Graph }[];
    graph?: Graph;
    vocabulary: { blank: number; texts: string[] };
  }

  /** Runs what was written, as its README says. */
  async function transcribe(out: string): Promise<{ text: string; layer: number | null }> {
    const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest;
    const { samples } = await loadAudio(sentence, { rate: 16000 });
    const values: Record<string, Tensor> = { waveform: new Tensor('float32', samples, [1, samples.length]) };
    const runGraph = async ({ file, inputs, outputs }: Graph): Promise<void> => {
      const session = await InferenceSession.create(join(out, file), { intraOpNumThreads: 1, logSeverityLevel: 3 });
      const made = await session.run(Object.fromEntries(inputs.map(({ name, value }) => [name, values[value]])));
      for (const { name, value } of outputs) values[value] = made[name];
      await session.release();
    };
    let layer: number | null = null;
    if (manifest.graph) await runGraph(manifest.graph);
    for (const [i, exit] of (manifest.exits ?? []).entries()) {
      await runGraph(exit.stage);
      await runGraph(exit.head);
      layer = exit.layer;
      const [, rows, columns] = values.logits.dims;
      const { sum } = entropySum(values.logits.data as Float32Array, rows, columns);
      if (i + 1 < manifest.exits!.length && sum / rows < manifest.exit!.threshold) break;
    }
    const [, rows, columns] = values.logits.dims;
    const { blank, texts } = manifest.vocabulary;
    const vocabulary: Vocabulary = { blank, texts, delimiter: 1, separator: '', lowerCase: false };
    return { text: transcriptOf(vocabulary, decodeGreedily(values.logits.data as Float32Array, rows, columns, blank)), layer };
  }

  it('writes graphs that do what was measured: early exit in stages, and one graph for the rest', async () => {
    const settings = {
      strategies: ['early-exit' as const, 'quantised' as const],
      heads: ['final' as const],
      earlyExit: { rules: ['entropy' as const], thresholds: { entropy: [0.25] } },
      sample: undefined,
    };
    const { points, project, runId, asked } = await run(settings);
    const prepared = await prepareSpeed(asked);
    for (const [i, point] of points.entries()) {
      const out = join(folder.path, `taken-${i}`);
      await exportSetting(project, runId, prepared, point, { out, format: 'onnx', cacheDir: engine.cacheDir });
      const records = project.speedRecords(runId, point.track).get(point.track)!;
      const expected = utteranceResults(point, project.speedUtterances(runId), records, 1).find(({ name }) =>
        name.includes('03.flac'),
      )!;
      const { text, layer } = await transcribe(out);
      expect(text).toBe(expected.text);
      if (point.exit) expect(layer).toBe(expected.layer);
      expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('onnxruntime');
      await expect(
        exportSetting(project, runId, prepared, point, { out, format: 'onnx', cacheDir: engine.cacheDir }),
      ).rejects.toThrow('exists already');
    }
    expect(existsSync(join(folder.path, 'taken-1', 'head-3.onnx'))).toBe(true);
  });

  it('writes trained heads with it, and fewer blocks as a folder that opens again', async () => {
    const { points, project, runId, asked } = await run({
      strategies: ['layer-removal'],
      heads: ['final', 'trained'],
      layerRemoval: { drop: [[2, 5]], keep: [3] },
      training: { folds: 2, epochs: 2 },
    });
    const prepared = await prepareSpeed(asked);
    const dropped = found(points, 'without blocks 2, 5, own head');
    const out = join(folder.path, 'smaller');
    const take = (point: SpeedPoint, format: 'onnx' | 'huggingface', place: string) =>
      exportSetting(project, runId, prepared, point, { out: place, format, cacheDir: engine.cacheDir });
    await take(dropped, 'huggingface', out);
    const smaller = await openModel(out);
    expect(smaller).toMatchObject({ layers: 5, head: { kind: 'ctc' } });
    const { tensors } = await openSafetensors(join(out, 'model.safetensors'));
    expect(tensors.has('hubert.encoder.layers.3.attention.q_proj.weight')).toBe(true);
    expect(tensors.has('hubert.encoder.layers.4.attention.q_proj.weight')).toBe(false);
    const again = await run({}, { model: { path: out } });
    expect(results(again.points[0])).toEqual({ ...results(dropped), layer: 4 });

    const trained = found(points, 'first 3 of 6, trained head');
    await expect(take(trained, 'huggingface', join(folder.path, 'no'))).rejects.toThrow('cannot be a Hugging Face folder');
    const graphs = join(folder.path, 'trained');
    await take(trained, 'onnx', graphs);
    expect((await transcribe(graphs)).text.length).toBeGreaterThan(0);
  });
});
