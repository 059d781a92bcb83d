import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';

import { loadAudio } from '#main/audio/audio.ts';
import { decodeGreedily } from '#main/decoding/greedy.ts';
import { transcriptOf, type Vocabulary } from '#main/decoding/vocabulary.ts';
import { writeNpy } from '#main/formats/npy.ts';
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

  it('says what is wrong with files of strangers before anything is trained', async () => {
    const file = (name: string, content: string): string => {
      const path = join(folder.path, name);
      writeFileSync(path, content);
      return path;
    };
    const refusal = (settings: SpeedSpecInput['settings'], changes: Partial<SpeedSpecInput> = {}) =>
      expect(prepareSpeed(spec(settings, changes))).rejects;
    // A vocabulary that is not the head's.
    const other = join(folder.path, 'other-vocabulary');
    cpSync(model, other, { recursive: true });
    const vocabulary = JSON.parse(readFileSync(join(other, 'vocab.json'), 'utf8')) as Record<string, number>;
    writeFileSync(join(other, 'vocab.json'), JSON.stringify({ ...vocabulary, '\u00e9': Object.keys(vocabulary).length }));
    await refusal({}, { model: { path: other } }).toThrow(
      "has 31 tokens, but the model's logits have 30 columns; the vocabulary belongs to another model.",
    );
    // Transcripts of another script.
    const greek = file('greek.csv', 'path,transcription\nsentences/00.flac,\u03bd\u03b1\u03b9\n');
    await refusal({}, { data: { path: greek, root: demo } }).toThrow(
      'of column "transcription" of greek.csv is in the vocabulary',
    );
    // A kernel that is none, and a language model that is not there.
    const kernel = join(folder.path, 'none.npy');
    await writeNpy(kernel, [3], Float32Array.of(0, 0, 0));
    await refusal({ strategies: ['downsampling'], downsampling: { kernel } }).toThrow('which are no kernel of a convolution');
    await refusal({ lm: { path: join(folder.path, 'none.arpa') } }).toThrow('does not exist');
    const heads = file('no.safetensors', 'no');
    await refusal({ strategies: ['early-exit'], heads: ['imported'], importedHeads: heads }).toThrow('no.safetensors');

    const lm = file('counts.arpa', '\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <unk>\n-1 YES\n\n\\end\\\n');
    const project = createProject(':memory:');
    const job = await new JobQueue(engine, project).speed(
      spec({ strategies: ['early-exit'], heads: ['trained'], lm: { path: lm } }),
      machine,
    );
    await expect(job.finished).rejects.toThrow('the section of 1-grams has 2 entries, but the header announces 3.');
    expect(project.speedHeadNames(job.runId)).toEqual([]);
  });

  it('decodes with a language model beside greedily, and judges both', async () => {
    const words = ['YES', 'NO', 'UP', 'DOWN', 'LEFT', 'RIGHT', 'ON', 'OFF', 'STOP', 'GO'];
    const lm = join(folder.path, 'words.arpa');
    const unigrams = ['-6 <unk>', '-99 <s>', '-0.6 </s>', ...words.map((word) => `-1.1 ${word}`)];
    writeFileSync(lm, `\\data\\\nngram 1=${unigrams.length}\n\n\\1-grams:\n${unigrams.join('\n')}\n\n\\end\\\n`);
    const { points } = await run({ strategies: ['layer-removal'], layerRemoval: { keep: [5] }, lm: { path: lm } });
    expect(points.map(({ strategy, decoding }) => [strategy, decoding])).toEqual([
      ['full', 'greedy'],
      ['full', 'beam'],
      ['layer-removal', 'greedy'],
      ['layer-removal', 'beam'],
    ]);
    const [greedy, beam, fewer, fewerByBeam] = points.map(({ wer }) => wer);
    expect(beam).toBeLessThan(greedy);
    expect(fewerByBeam).toBeLessThan(fewer);
  });

  it('tries a learned convolution with its own taps, and half precision', async () => {
    const kernel = join(folder.path, 'kernel.npy');
    // Every other sample as it is: what decimation without a filter gives.
    await writeNpy(
      kernel,
      [1, 1, 161],
      Float32Array.from({ length: 161 }, (_, i) => Number(i === 80)),
    );
    const settings = {
      strategies: ['downsampling' as const, 'quantised' as const],
      downsampling: { kinds: ['convolution' as const], factors: [2] },
      quantised: { precisions: ['int8' as const, 'float16' as const] },
      sample: 4,
    };
    const learned = await run({ ...settings, downsampling: { ...settings.downsampling, kernel } });
    const usual = await run(settings);
    const [full, taken, int8, half] = learned.points;
    expect([taken, int8, half].map(({ strategy }) => strategy)).toEqual(['downsampling', 'quantised', 'quantised']);
    expect(half.words).toEqual(full.words);
    expect(half.memory).toBeLessThan(0.55 * full.memory);
    expect(int8.memory).toBeLessThan(half.memory);
    expect(taken.macs).toBe(found(usual.points, 'convolution by 2').macs);
    const texts = ({ project, runId }: typeof usual, key: string) =>
      [...project.speedRecords(runId, key).get(key)!.values()].map(({ exits }) => exits[0].texts.greedy);
    expect(texts(learned, taken.track)).not.toEqual(texts(usual, taken.track));
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

  it('writes a downsampled encoder with its head of several rows, which does what was measured', async () => {
    const { points, project, runId, asked } = await run({
      strategies: ['downsampling'],
      heads: ['final', 'trained'],
      downsampling: { kinds: ['features'], factors: [2] },
      // One head for every utterance, so that the one written is the one measured.
      training: { data: base.data, epochs: 6 },
      sample: undefined,
    });
    const [, own, trained] = points;
    expect(trained.setting).toBe('pooled features by 2, trained head x2');
    // The model's own head never saw such frames; one trained on them errs less, though the encoder did not learn with it.
    expect(trained.cer).toBeLessThan(0.9 * own.cer);
    const records = project.speedRecords(runId, trained.track).get(trained.track)!;
    const { exits, frames } = records.get(3)!;
    expect(exits[0].entropy.frames).toBe(2 * frames);
    const prepared = await prepareSpeed(asked);
    const out = join(folder.path, 'downsampled');
    await exportSetting(project, runId, prepared, trained, { out, format: 'onnx', cacheDir: engine.cacheDir });
    expect((await transcribe(out)).text).toBe(exits[0].texts.greedy);
    expect(existsSync(join(out, 'heads.safetensors'))).toBe(false);
  });

  it('writes heads that can be imported into another sweep', async () => {
    const settings = {
      strategies: ['early-exit' as const],
      earlyExit: { rules: ['entropy' as const], thresholds: { entropy: [0.3] } },
    };
    const { points, project, runId, asked } = await run({
      ...settings,
      heads: ['trained'],
      training: { data: base.data, epochs: 2 },
    });
    const out = join(folder.path, 'with-heads');
    const prepared = await prepareSpeed(asked);
    await exportSetting(project, runId, prepared, points[1], { out, format: 'onnx', cacheDir: engine.cacheDir });
    const importedHeads = join(out, 'heads.safetensors');
    const imported = await run({ ...settings, heads: ['imported'], importedHeads });
    expect(results(imported.points[1])).toEqual(results(points[1]));
    await expect(
      prepareSpeed(spec({ ...settings, heads: ['imported'], importedHeads, earlyExit: { ...settings.earlyExit, layers: [2] } })),
    ).rejects.toThrow('has no head for layer 2');
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
