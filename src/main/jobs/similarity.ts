import { join } from 'node:path';

import { logMelFilterbank, poolToFrames } from '#main/audio/filterbank.ts';
import { sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { type RowSample, RowSampler } from '#main/inference/rowSample.ts';
import { startInferenceThread } from '#main/inference/thread.ts';
import { frameTime } from '#main/models/frames.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type TwoSetsMetric } from '#main/scoring/metric.ts';
import { metric } from '#main/scoring/registry.ts';
import { chooseRows } from '#main/scoring/samples.ts';
import { openDataset } from '#main/tasks/dataset.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type DataChoice, type MachineSettings, type ModelChoice } from '#shared/experiment.ts';
import { type Progress } from '#shared/jobs.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { Pace } from './pace.ts';
import { sampleUtterances } from './plan.ts';

/** Features of some audio: layers of a model, or a filterbank. */
export type FeatureSource =
  | { kind: 'model'; model: ModelChoice; layers: 'all' | number[]; data: DataChoice }
  | { kind: 'filterbank'; bands: number; data: DataChoice };

export interface SimilarityRequest {
  a: FeatureSource;
  b: FeatureSource;
  /** Scores that compare two sets. */
  metrics: string[];
  /** What a sample is: a frame, or the mean or median over an utterance's frames. */
  take: 'frames' | 'mean' | 'median';
  /** Frames kept of each side. */
  rows: number;
  /** Utterances taken of each data set. */
  sample?: number;
  seed: number;
  /** Sliced Wasserstein: order and number of directions. */
  p: number;
  projections: number;
  maxSeconds: number;
  machine: MachineSettings;
}

export interface SimilarityValue {
  metric: string;
  layerA: number | null;
  layerB: number | null;
  value: number | null;
  /** Why there is no value. */
  problem: string | null;
}

export interface SimilarityResult {
  a: SideSummary;
  b: SideSummary;
  take: SimilarityRequest['take'];
  /** Rows that both sides have in common; null where none of the scores pairs rows. */
  paired: number | null;
  values: SimilarityValue[];
  notes: string[];
}

interface SideSummary {
  name: string;
  data: string;
  layers: (number | null)[];
  width: number;
  rows: number;
  utterances: number;
}

export type SimilarityEvent = { type: 'progress'; progress: Progress } | { type: 'done'; result: SimilarityResult };

/** Scores whose rows must be the same samples on both sides. */
const pairing = new Set(['cka', 'cka-debiased', 'pwcca']);

interface Side {
  summary: SideSummary;
  samples: RowSample[];
  /** Frames of each utterance. */
  frames: Map<number, number>;
  fingerprint: string;
  skipped: string[];
}

/** Median of each column. */
function columnMedians(rows: Float32Array, frames: number, width: number): Float32Array {
  const column = new Float32Array(frames);
  return Float32Array.from({ length: width }, (_, c) => {
    for (let t = 0; t < frames; t++) column[t] = rows[t * width + c];
    column.sort();
    const half = frames >> 1;
    return frames % 2 === 1 ? column[half] : (column[half - 1] + column[half]) / 2;
  });
}

function columnMeans(rows: Float32Array, frames: number, width: number): Float32Array {
  const sums = new Float64Array(width);
  for (let t = 0; t < frames; t++) for (let c = 0; c < width; c++) sums[c] += rows[t * width + c];
  return Float32Array.from(sums, (sum) => sum / frames);
}

function reduced(take: SimilarityRequest['take'], rows: Float32Array, frames: number, width: number): Float32Array {
  if (take === 'frames') return rows;
  return take === 'mean' ? columnMeans(rows, frames, width) : columnMedians(rows, frames, width);
}

interface SideRun {
  engine: Engine;
  request: SimilarityRequest;
  signal?: AbortSignal;
  pace: Pace;
}

/** Runs one side's audio through its model (or filterbank) and keeps the rows. */
async function* collectSide(source: FeatureSource, other: FeatureSource, run: SideRun): AsyncGenerator<void, Side> {
  const { engine, request, signal, pace } = run;
  const dataset = await openDataset(source.data.path, source.data);
  const chosen = sampleUtterances(
    dataset.utterances.map((_, i) => i),
    request.sample,
    request.seed,
  );
  // A filterbank is pooled to the frames of the model it is held against.
  const reference = source.kind === 'model' ? source : other.kind === 'model' ? other : undefined;
  const model = reference && (await openModel(reference.model.path, { mapping: reference.model.mapping }));
  const rate = model?.preprocessing.samplingRate ?? 16_000;
  const frames = new Map<number, number>();
  const skipped: string[] = [];
  let sampler: RowSampler | undefined;
  const offer = (utterance: number, layers: Float32Array[], count: number, width: number): void => {
    frames.set(utterance, count);
    const rows = layers.map((features) => reduced(request.take, features, count, width));
    sampler ??= new RowSampler({ rows: request.rows, seed: request.seed }, width, layers.length, 0);
    sampler.offer(utterance, 0, request.take === 'frames' ? count : 1, rows, () => new Float64Array(0));
  };
  const finish = (name: string, layers: (number | null)[], width: number, fingerprint: string): Side => {
    const samples = sampler?.samples() ?? [];
    const rows = samples[0]?.utterances.length ?? 0;
    if (rows === 0)
      throw new ForetuneError(
        'invalid-data',
        `None of the ${chosen.length} audio files of ${dataset.path} gave a frame of ${name}.`,
      );
    return {
      summary: { name, data: dataset.name, layers, width, rows, utterances: frames.size },
      samples,
      frames,
      fingerprint,
      skipped,
    };
  };
  if (source.kind === 'filterbank') {
    pace.doing('filterbank');
    for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, chosen, rate)) {
      signal?.throwIfAborted();
      if (audio) {
        const bank = logMelFilterbank(audio.samples, rate, source.bands);
        const end = audio.samples.length / rate;
        const front = model?.frontEnd;
        const time = (frame: number) => (front ? frameTime(front, frame, rate) : bank.first + frame * bank.hop);
        let count = bank.frames;
        if (front) for (count = 0; time(count) + bank.first <= end + 1e-9; count++);
        if (count === 0 || bank.frames === 0) skipped.push(`${dataset.utterances[utterance].path} is too short for one frame.`);
        else offer(utterance, [front ? poolToFrames(bank, count, time) : bank.values], count, source.bands);
      } else skipped.push(problem);
      pace.add(1, audio?.seconds ?? 0);
      yield;
    }
    return finish(`${source.bands} mel bands`, [null], source.bands, dataset.fingerprint);
  }
  const layers = source.layers === 'all' ? undefined : source.layers;
  const beyond = layers?.find((layer) => layer >= model!.layers);
  if (beyond !== undefined)
    throw new ForetuneError('not-found', `${model!.name} has layers 0 to ${model!.layers - 1}; layer ${beyond} does not exist.`);
  const built = await buildEncoder(model!, { cacheDir: join(engine.cacheDir, 'graphs'), weights: 'own', layers });
  pace.doing(model!.name);
  // A thread of its own: a scoring job may be using the engine's.
  const thread = startInferenceThread();
  try {
    const opened = await thread.call('open', {
      encoder: sessionOf(built),
      settings: settingsFor(model!, request.machine),
      rule: waveformRule(model!, request.maxSeconds),
    });
    for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, chosen, rate)) {
      signal?.throwIfAborted();
      try {
        if (audio) {
          const features = await thread.call('features', { samples: audio.samples });
          if (features.frames > 0) offer(utterance, features.layers, features.frames, features.width);
          else skipped.push(`${dataset.utterances[utterance].path} is too short for one frame.`);
        } else skipped.push(problem);
      } catch (error) {
        const { code, message } = toErrorValue(error);
        if (code !== 'invalid-data') throw error;
        skipped.push(message);
      }
      pace.add(1, audio?.seconds ?? 0);
      yield;
    }
    return finish(model!.name, opened.layers, opened.width, dataset.fingerprint);
  } finally {
    await thread.close();
    await built.dispose();
  }
}

/** Places of the rows that both sides have, in each. */
function commonRows(a: Side, b: Side): { a: number[]; b: number[] } {
  const key = ({ utterances, frames }: RowSample, row: number) => `${utterances[row]} ${frames[row]}`;
  const places = new Map(Array.from(b.samples[0].utterances, (_, row) => [key(b.samples[0], row), row]));
  const common = Array.from(a.samples[0].utterances, (_, row) => ({ a: row, b: places.get(key(a.samples[0], row)) }));
  const both = common.filter((pair): pair is { a: number; b: number } => pair.b !== undefined);
  return { a: both.map((pair) => pair.a), b: both.map((pair) => pair.b) };
}

/** Frames can be paired where both sides cut every utterance into as many, give or take one at the end. */
function refuseOtherFrames(a: Side, b: Side): void {
  for (const [utterance, count] of a.frames) {
    const other = b.frames.get(utterance);
    if (other !== undefined && Math.abs(other - count) > 2) {
      throw new ForetuneError(
        'mismatch',
        `${a.summary.name} and ${b.summary.name} cut the same utterance into ${count} and ${other} frames, so their frames cannot be paired; take means over utterances instead.`,
      );
    }
  }
}

/**
 * Similarity or distance of two sets of features, every layer of one against every layer of the other: the same audio through two models
 * (or a filterbank), or two data sets through one. Nothing is trained.
 *
 * @throws ForetuneError `usage` for a score that does not compare two sets, `mismatch` where rows or widths cannot be held together
 */
export async function* compareFeatures(
  engine: Engine,
  request: SimilarityRequest,
  signal?: AbortSignal,
): AsyncGenerator<SimilarityEvent> {
  const methods = request.metrics.map((id) => {
    const found = metric(id);
    if (found.needs !== 'two-sets')
      throw new ForetuneError('usage', `${found.name} (${id}) needs labels and compares no two sets of features.`);
    return found;
  });
  const same = JSON.stringify(request.a) === JSON.stringify(request.b);
  const counts = await Promise.all(
    (same ? [request.a] : [request.a, request.b]).map(async ({ data }) => (await openDataset(data.path, data)).utterances.length),
  );
  const utterances = counts.reduce((sum, count) => sum + Math.min(count, request.sample ?? count), 0);
  const reports: Progress[] = [];
  const told = function* (): Generator<SimilarityEvent> {
    for (const progress of reports.splice(0)) yield { type: 'progress', progress };
  };
  const pace = new Pace(utterances, (progress) => reports.push(progress));
  const run: SideRun = { engine, request, signal, pace };
  const collect = async function* (source: FeatureSource, other: FeatureSource): AsyncGenerator<SimilarityEvent, Side> {
    const side = collectSide(source, other, run);
    for (;;) {
      const step = await side.next();
      if (step.done) return step.value;
      yield* told();
    }
  };
  const a = yield* collect(request.a, request.b);
  const b = same ? a : yield* collect(request.b, request.a);
  const pairs = methods.some(({ id }) => pairing.has(id)) ? pairedRows(a, b, request) : null;
  const values: SimilarityValue[] = [];
  for (const method of methods) {
    pace.doing(method.name);
    yield* told();
    for (const [i, layerA] of a.summary.layers.entries()) {
      for (const [j, layerB] of b.summary.layers.entries()) {
        signal?.throwIfAborted();
        values.push({ metric: method.id, layerA, layerB, ...(await valueOf(engine, method, request, a, i, b, j, pairs)) });
      }
    }
  }
  const notes = [...new Set([...a.skipped, ...b.skipped])];
  yield {
    type: 'done',
    result: { a: a.summary, b: b.summary, take: request.take, paired: pairs?.a.length ?? null, values, notes },
  };
}

function pairedRows(a: Side, b: Side, { take }: SimilarityRequest): { a: number[]; b: number[] } {
  if (a.fingerprint !== b.fingerprint)
    throw new ForetuneError(
      'mismatch',
      `CKA and PWCCA compare the same samples, but these are of two data sets (${a.summary.data}, ${b.summary.data}); use swd.`,
    );
  if (take === 'frames') refuseOtherFrames(a, b);
  return commonRows(a, b);
}

async function valueOf(
  engine: Engine,
  method: TwoSetsMetric,
  { seed, p, projections }: SimilarityRequest,
  a: Side,
  i: number,
  b: Side,
  j: number,
  pairs: { a: number[]; b: number[] } | null,
): Promise<Pick<SimilarityValue, 'value' | 'problem'>> {
  const set = (side: Side, layer: number, rows?: number[]) => {
    const { features } = side.samples[layer];
    const d = side.summary.width;
    return rows ? { features: chooseRows({ features, d }, rows), n: rows.length, d } : { features, n: side.summary.rows, d };
  };
  const paired = pairing.has(method.id) && pairs;
  try {
    const input = {
      a: set(a, i, paired ? paired.a : undefined),
      b: set(b, j, paired ? paired.b : undefined),
      seed,
      p,
      projections,
    };
    return { value: await engine.compute('twoSets', { metric: method.id, input }), problem: null };
  } catch (error) {
    const { code, message } = toErrorValue(error);
    if (code !== 'invalid-data' && code !== 'mismatch') throw error;
    return { value: null, problem: message };
  }
}
