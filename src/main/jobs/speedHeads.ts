import { join } from 'node:path';
import { rm } from 'node:fs/promises';

import { encodeText } from '#main/decoding/vocabulary.ts';
import { createAtomicFile } from '#main/formats/atomicFile.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { encodeSafetensorsHeader } from '#main/formats/safetensors.ts';
import { newBuildFolder } from '#main/models/cacheFolder.ts';
import { isPreNorm } from '#main/models/config.ts';
import { type Project } from '#main/project/project.ts';
import { type HeadTask, type TrainedHead } from '#main/speedup/exitHead.ts';
import { type Body, headAt, type Track } from '#main/speedup/plan.ts';
import { ForetuneError } from '#shared/errors.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Pace } from './pace.ts';
import { sampleUtterances } from './plan.ts';
import { exitName, type PreparedSpeed } from './speedPrepare.ts';
import { allFolds, type Fold, routeOf, trainedName } from './speedRoutes.ts';
import { type SpeedRunning } from './speeding.ts';

/** Features that are held for training at once. */
const mostBytes = 2 ** 30;

/** An utterance to train on, and the fold whose heads may not see it; -1 where none decodes it. */
interface Lesson {
  utterance: number;
  labels: number[];
  fold: number;
}

/** Layers of a track at which heads are trained. */
export function trainedLayers(prepared: PreparedSpeed, track: Track): number[] {
  const blocks = prepared.source.config.num_hidden_layers;
  return track.exits.filter((layer) => headAt(track, layer, blocks) === 'trained');
}

function lessonsOf({ training, utterances, vocabulary }: PreparedSpeed): Lesson[] {
  const texts = training
    ? training.utterances.map(({ utterance, text }) => ({ utterance, text, fold: -1 }))
    : utterances.map(({ utterance, reference, fold }) => ({ utterance, text: reference, fold }));
  return texts
    .map(({ utterance, text, fold }) => ({ utterance, fold, labels: encodeText(vocabulary, text).columns }))
    .filter(({ labels }) => labels.length > 0);
}

/** The model's own head, as a start for others: where the final norm stands before it, hidden states are of another scale. */
async function ownWeights({ source }: PreparedSpeed): Promise<HeadTask['initial']> {
  const { checkpoint, config } = source;
  const [weight, bias] = ['lm_head.weight', 'lm_head.bias'].map((name) => checkpoint.tensors.get(name));
  if (isPreNorm(config) || !weight || !bias) return null;
  return { weight: await readTensor(weight), bias: await readTensor(bias) };
}

interface Collected {
  width: number;
  /** All frames of one layer, in memory that threads share. */
  layers: Map<number, Float32Array>;
  lessons: (Lesson & { start: number; frames: number })[];
}

/** Hidden states of some layers for the lessons, as many of them as memory holds. */
async function collect(prepared: PreparedSpeed, run: SpeedRunning, body: Body, layers: number[], pace: Pace): Promise<Collected> {
  const { model, training, spec } = prepared;
  const all = lessonsOf(prepared);
  const byUtterance = new Map(all.map((lesson) => [lesson.utterance, lesson]));
  // In an order of chance, so that what fits is a fair part of it.
  const order = sampleUtterances([...byUtterance.keys()], undefined, spec.settings.seed);
  const dataset = training?.dataset ?? prepared.dataset;
  const route = routeOf(prepared, body, [], 0);
  const parts = layers.map(() => [] as Float32Array[]);
  const lessons: Collected['lessons'] = [];
  let [start, width, bytes] = [0, 0, 0];
  for await (const { utterance, audio } of decodeAhead(run.engine, dataset, order, model.preprocessing.samplingRate)) {
    run.signal.throwIfAborted();
    pace.add(1, audio?.seconds ?? 0);
    if (!audio || bytes > mostBytes) continue;
    const features = await run.thread.call('stageFeatures', { samples: audio.samples, route, layers });
    if (features.frames === 0) continue;
    width = features.width;
    features.layers.forEach((values, i) => parts[i].push(values));
    lessons.push({ ...byUtterance.get(utterance)!, start, frames: features.frames });
    start += features.frames;
    bytes += features.frames * width * 4 * layers.length;
  }
  if (lessons.length < all.length && bytes > mostBytes)
    run.report({
      type: 'log',
      level: 'warning',
      message: `Heads of ${body.description || model.name} are trained on ${lessons.length} of ${all.length} utterances: more do not fit into ${mostBytes / 2 ** 30} GiB of memory.`,
    });
  const joined = parts.map((own) => {
    const whole = new Float32Array(new SharedArrayBuffer(start * width * 4));
    let offset = 0;
    for (const part of own) {
      whole.set(part, offset);
      offset += part.length;
    }
    return whole;
  });
  return { width, lessons, layers: new Map(layers.map((layer, i) => [layer, joined[i]])) };
}

/** How many steps of progress training takes: reading every lesson once for each body, and every head. */
export function trainingSteps(prepared: PreparedSpeed, groups: readonly (readonly Track[])[]): number {
  const lessons = lessonsOf(prepared).length;
  return groups.reduce(
    (sum, tracks) =>
      sum +
      lessons +
      lessons * tracks.reduce((heads, track) => heads + trainedLayers(prepared, track).length, 0) * foldsOf(prepared).length,
    0,
  );
}

/** Heads that are trained for a layer: one for each fold, and one of everything for taking away. */
function foldsOf({ folds, training }: PreparedSpeed): Fold[] {
  return training ? [allFolds] : [...Array.from({ length: folds }, (_, fold) => fold), allFolds];
}

/**
 * Trains the heads of all tracks that have such, body by body, on features that were computed once, and keeps them in the project.
 * Where there are training data of their own, every fold has the same head.
 */
export async function trainHeads(
  prepared: PreparedSpeed,
  run: SpeedRunning,
  groups: ReadonlyMap<Body, readonly Track[]>,
  pace: Pace,
): Promise<void> {
  const { project, runId, engine, signal } = run;
  const { vocabulary, spec, model } = prepared;
  const initial = await ownWeights(prepared);
  const { epochs, learningRate } = spec.settings.training;
  const lessonCount = lessonsOf(prepared).length;
  for (const [body, tracks] of groups) {
    const wanted = tracks.flatMap((track) => trainedLayers(prepared, track).map((layer) => ({ track, layer })));
    const known = new Set(project.speedHeadNames(runId));
    const missing = wanted.filter(({ track, layer }) =>
      foldsOf(prepared).some((fold) => !known.has(`${trainedName(prepared, track, layer, fold)}.weight`)),
    );
    const folds = foldsOf(prepared).length;
    pace.skip(lessonCount * folds * (wanted.length - missing.length) + (missing.length === 0 ? lessonCount : 0));
    if (missing.length === 0) continue;
    pace.doing(`training heads${body.description === '' ? '' : ` for ${body.description}`}`);
    const collected = await collect(prepared, run, body, [...new Set(missing.map(({ layer }) => layer))], pace);
    if (collected.lessons.length === 0)
      throw new ForetuneError(
        'invalid-data',
        `None of the ${lessonCount} utterances to train on gives a frame with ${body.description || model.name}; heads cannot be trained.`,
      );
    for (const { track, layer } of missing) {
      signal.throwIfAborted();
      const train = async (fold: Fold): Promise<[Fold, TrainedHead]> => {
        const task: HeadTask = {
          features: collected.layers.get(layer)!,
          width: collected.width,
          utterances: collected.lessons.filter((lesson) => lesson.fold !== fold),
          vocabulary: vocabulary.texts.length,
          blank: vocabulary.blank,
          upsampling: track.upsampling,
          initial,
          epochs,
          learningRate,
          seed: `${spec.settings.seed}/${trainedName(prepared, track, layer, fold)}`,
        };
        const head = await engine.compute('trainHead', task);
        pace.add(lessonCount, 0);
        return [fold, head];
      };
      const heads = await Promise.all(foldsOf(prepared).map(train));
      const tooLong = heads.at(-1)![1].tooLong;
      if (tooLong > 0)
        run.report({
          type: 'log',
          level: 'warning',
          message: `${tooLong} of ${collected.lessons.length} transcripts are longer than the frames of ${body.description || model.name} allow; the head at layer ${layer} was trained without them.`,
        });
      const tensors = heads.flatMap(([fold, { weight, bias }]) => {
        const name = trainedName(prepared, track, layer, fold);
        return [
          { name: `${name}.weight`, shape: [bias.length, collected.width], values: weight },
          { name: `${name}.bias`, shape: [bias.length], values: bias },
        ];
      });
      project.saveSpeedHeads(runId, tensors);
    }
  }
}

/** Writes float32 tensors, given as bytes, as a safetensors file. */
async function writeTensors(
  path: string,
  tensors: readonly { name: string; shape: number[]; values: Uint8Array }[],
): Promise<void> {
  const { header, offsets } = encodeSafetensorsHeader(tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })));
  const file = await createAtomicFile(path);
  try {
    await file.write(header, 0);
    for (const { name, values } of tensors) await file.write(values, offsets.get(name)!);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** Writes the heads of a track that were trained on everything, under the names by which they can be imported again. */
export async function writeHeads(
  project: Project,
  runId: number,
  prepared: PreparedSpeed,
  track: Track,
  path: string,
): Promise<void> {
  const known = new Map(project.speedHeads(runId).map((tensor) => [tensor.name, tensor]));
  const tensors = trainedLayers(prepared, track).flatMap((layer) =>
    ['weight', 'bias'].flatMap((part) => {
      const found = known.get(`${trainedName(prepared, track, layer, allFolds)}.${part}`);
      return found ? [{ ...found, name: `${exitName(layer)}.${part}` }] : [];
    }),
  );
  await writeTensors(path, tensors);
}

/** The trained heads of a run, or a track's imported ones, as a safetensors file that graphs can refer to. */
export async function headsFile(
  project: Project,
  runId: number,
  prepared: PreparedSpeed,
  track: Pick<Track, 'heads'>,
  cacheDir: string,
): Promise<{ path: string; dispose: () => Promise<void> }> {
  const { importedHeads } = prepared.spec.settings;
  if (track.heads === 'imported' && importedHeads !== undefined) return { path: importedHeads, dispose: () => Promise.resolve() };
  const tensors = project.speedHeads(runId);
  const folder = await newBuildFolder(join(cacheDir, 'graphs'), 'heads', prepared.hash.slice(0, 16));
  const path = join(folder, 'heads.safetensors');
  await writeTensors(path, tensors);
  return { path, dispose: () => rm(folder, { recursive: true, force: true }) };
}
