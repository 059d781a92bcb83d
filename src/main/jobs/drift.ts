import { join } from 'node:path';

import { sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { startInferenceThread } from '#main/inference/thread.ts';
import { buildEncoder } from '#main/models/library.ts';
import { type BuiltEncoder, type EncoderModel } from '#main/models/model.ts';
import { openDataset } from '#main/tasks/dataset.ts';
import { openScoredModel } from '#main/weights/member.ts';
import { type Drift } from '#shared/drift.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type DataChoice, type MachineSettings, type ScoredModel } from '#shared/experiment.ts';
import { type Progress } from '#shared/jobs.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { Pace } from './pace.ts';
import { sampleUtterances } from './plan.ts';

export interface DriftRequest {
  /** The pre-trained model first; merges need not be written. */
  models: ScoredModel[];
  data: DataChoice;
  layers: 'all' | number[];
  /** A seeded sample of so many utterances; all if absent. */
  sample?: number;
  seed: number;
  maxSeconds: number;
  machine: MachineSettings;
}

export type DriftEvent = { type: 'progress'; progress: Progress } | { type: 'done'; drift: Drift };

/** Names that tell the models apart: their own, or with their places where those repeat. */
function names(models: readonly EncoderModel[]): string[] {
  return models.map(({ name, path }) => (models.filter((other) => other.name === name).length > 1 ? `${name} (${path})` : name));
}

function refuseUnlike([first, ...others]: readonly EncoderModel[], layers: DriftRequest['layers']): void {
  for (const model of others) {
    const [a, b] = [first.preprocessing.samplingRate, model.preprocessing.samplingRate];
    if (a !== b)
      throw new ForetuneError(
        'mismatch',
        `${first.name} expects ${a} Hz and ${model.name} ${b} Hz; they cannot share one pass over the audio.`,
      );
  }
  for (const { name, layers: count } of [first, ...others]) {
    const beyond = layers === 'all' ? undefined : layers.find((layer) => layer >= count);
    if (beyond !== undefined)
      throw new ForetuneError('not-found', `${name} has layers 0 to ${count - 1}; layer ${beyond} does not exist.`);
  }
}

/**
 * How far features moved: linear CKA of every layer between any two of the models, from one pass over the audio with all of them side
 * by side. Sums are kept in float64; no features are.
 * @throws ForetuneError `mismatch` for models whose layers or frames do not correspond, `invalid-data` where no audio gave a frame,
 *   what opening models and data throws, `cancelled`
 */
export async function* measureDrift(engine: Engine, request: DriftRequest, signal?: AbortSignal): AsyncGenerator<DriftEvent> {
  const models: EncoderModel[] = [];
  for (const choice of request.models) models.push(await openScoredModel(choice));
  refuseUnlike(models, request.layers);
  const dataset = await openDataset(request.data.path, request.data);
  const chosen = sampleUtterances(
    dataset.utterances.map((_, i) => i),
    request.sample,
    request.seed,
  );
  const built: BuiltEncoder[] = [];
  // A thread of its own: a scoring job may be using the engine's.
  const thread = startInferenceThread();
  let latest: Progress | undefined;
  const pace = new Pace(chosen.length, (progress) => (latest = progress));
  pace.doing(names(models).join(', '));
  try {
    const layers = request.layers === 'all' ? undefined : request.layers;
    for (const model of models)
      built.push(await buildEncoder(model, { cacheDir: join(engine.cacheDir, 'graphs'), weights: 'own', layers }));
    const opened = await thread.call('openSideBySide', {
      models: models.map((model, i) => ({
        encoder: sessionOf(built[i]),
        settings: settingsFor(model, request.machine),
        rule: waveformRule(model, request.maxSeconds),
      })),
    });
    const notes = new Set(dataset.problems.map(({ row, message }) => `${dataset.name}, row ${row}: ${message}`));
    let [frames, seconds, utterances] = [0, 0, 0];
    for await (const { utterance, audio, problem } of decodeAhead(
      engine,
      dataset,
      chosen,
      models[0].preprocessing.samplingRate,
    )) {
      if (signal?.aborted) throw new ForetuneError('cancelled', 'The comparison was stopped.');
      if (!audio) notes.add(problem);
      else {
        try {
          const count = await thread.call('addSideBySide', { samples: audio.samples });
          if (count === 0) notes.add(`${dataset.utterances[utterance].path} is too short for one frame.`);
          else utterances++;
          frames += count;
        } catch (error) {
          const { code, message } = toErrorValue(error);
          if (code !== 'invalid-data') throw error;
          notes.add(message);
        }
      }
      seconds += audio?.seconds ?? 0;
      pace.add(1, audio?.seconds ?? 0);
      if (latest) yield { type: 'progress', progress: latest };
      latest = undefined;
    }
    if (frames === 0)
      throw new ForetuneError('invalid-data', `None of the ${chosen.length} audio files of ${dataset.path} gave a frame.`);
    const titles = names(models);
    const rows = await thread.call('similarities', undefined);
    yield {
      type: 'done',
      drift: {
        models: models.map(({ path, fingerprint }, i) => ({ name: titles[i], path, fingerprint })),
        data: { name: dataset.name, path: dataset.path, fingerprint: dataset.fingerprint },
        utterances,
        frames,
        seconds,
        layers: [...opened.layers],
        rows: rows.map(({ a, b, ...row }) => ({ a: titles[a], b: titles[b], ...row })),
        notes: [...notes],
      },
    };
  } finally {
    await thread.close();
    for (const one of built) await one.dispose();
  }
}
