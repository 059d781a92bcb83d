import { mkdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import { loadAudio } from '#main/audio/audio.ts';
import { writeNpy } from '#main/formats/npy.ts';
import { sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings, type ModelChoice } from '#shared/experiment.ts';

import { type Engine } from './engine.ts';

export interface ExtractRequest {
  model: ModelChoice;
  audio: string[];
  layers: 'all' | number[];
  out: string;
  maxSeconds: number;
  /** Take random weights instead of the model's own: the control. */
  randomSeed?: number;
  machine: MachineSettings;
}

export interface ExtractedFile {
  audio: string;
  /** The folder with one layer_NN.npy per layer: float32 [frames, width]. */
  folder: string;
  frames: number;
  width: number;
  seconds: number;
  layers: number[];
  provider: string;
}

/** Folder names for the files: their stems, which must differ. */
function folderNames(audio: readonly string[]): string[] {
  const seen = new Map<string, string>();
  return audio.map((path) => {
    const stem = basename(path, extname(path));
    const other = seen.get(stem);
    if (other !== undefined) {
      throw new ForetuneError(
        'mismatch',
        `${other} and ${path} would both be written to the folder "${stem}"; extract them in separate calls with different --out folders.`,
      );
    }
    seen.set(stem, path);
    return stem;
  });
}

/** Writes the hidden states of each file to `<out>/<stem>/layer_00.npy` and so on. Each array is written whole or not at all. */
export async function* extractFeatures(
  engine: Engine,
  request: ExtractRequest,
  signal?: AbortSignal,
): AsyncGenerator<ExtractedFile> {
  const { thread, giveBack } = await engine.borrowInference(signal);
  try {
    yield* extractOn(thread, engine, request, signal);
  } finally {
    giveBack();
  }
}

async function* extractOn(
  thread: InferenceThread,
  engine: Engine,
  request: ExtractRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<ExtractedFile> {
  const names = folderNames(request.audio);
  const model = await openModel(request.model.path, { mapping: request.model.mapping });
  const layers = request.layers === 'all' ? undefined : request.layers;
  const beyond = layers?.find((layer) => layer >= model.layers);
  if (beyond !== undefined)
    throw new ForetuneError('not-found', `${model.name} has layers 0 to ${model.layers - 1}; layer ${beyond} does not exist.`);
  const built = await buildEncoder(model, {
    cacheDir: join(engine.cacheDir, 'graphs'),
    weights: request.randomSeed === undefined ? 'own' : { randomSeed: request.randomSeed },
    layers,
  });
  try {
    const opened = await thread.call('open', {
      encoder: sessionOf(built),
      settings: settingsFor(model, request.machine),
      rule: waveformRule(model, request.maxSeconds),
    });
    for (const [i, path] of request.audio.entries()) {
      signal?.throwIfAborted();
      const { samples, rate } = await loadAudio(path, { rate: model.preprocessing.samplingRate });
      const seconds = samples.length / rate;
      const features = await thread.call('features', { samples }, [samples.buffer]);
      if (features.frames === 0)
        throw new ForetuneError(
          'invalid-data',
          `${path} is too short for one frame of ${model.name}: it lasts ${seconds.toFixed(4)} s.`,
        );
      const folder = join(request.out, names[i]);
      await mkdir(folder, { recursive: true });
      for (const [index, layer] of opened.layers.entries()) {
        await writeNpy(
          join(folder, `layer_${String(layer).padStart(2, '0')}.npy`),
          [features.frames, features.width],
          features.layers[index],
        );
      }
      yield {
        audio: path,
        folder,
        frames: features.frames,
        width: features.width,
        seconds,
        layers: opened.layers,
        provider: opened.provider,
      };
    }
  } finally {
    await thread.call('close', undefined);
    await built.dispose();
  }
}
