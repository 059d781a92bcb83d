import { createHash } from 'node:crypto';

import { type Vocabulary } from '#main/decoding/vocabulary.ts';
import { openFile } from '#main/formats/bytes.ts';
import { readNpy } from '#main/formats/npy.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { openSafetensors } from '#main/formats/safetensors.ts';
import { type Head } from '#main/models/heads.ts';
import { openModel } from '#main/models/library.ts';
import { type EncoderModel, type HuggingFaceSource } from '#main/models/model.ts';
import { type ExitHead } from '#main/models/stages.ts';
import { stageSource } from '#main/models/stageGraphs.ts';
import { readVocabulary } from '#main/models/vocabularyFiles.ts';
import { checkKernel } from '#main/speedup/downsampling.ts';
import { headAt, planStages, planTracks, type StagePlan, type Track } from '#main/speedup/plan.ts';
import { type Dataset, openDataset } from '#main/tasks/dataset.ts';
import { referenceTexts } from '#main/tasks/transcripts.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type SpeedSpec } from '#shared/speed.ts';

import { dealGroups, sampleUtterances } from './plan.ts';
import { speedVersion } from './versions.ts';

/** Transcribed audio that heads are trained on. */
export interface TrainingData {
  dataset: Dataset;
  utterances: { utterance: number; text: string }[];
}

/** A sweep with everything opened and checked: what is left can only fail on single files or on the machine. */
export interface PreparedSpeed {
  spec: SpeedSpec;
  model: EncoderModel;
  source: HuggingFaceSource;
  head: Head;
  vocabulary: Vocabulary;
  dataset: Dataset;
  /** Utterances that are decoded: index in the data set, normalised reference, and the fold whose heads decode it. */
  utterances: { utterance: number; reference: string; fold: number }[];
  /** Null where heads are cross-fitted on the utterances themselves. */
  training: TrainingData | null;
  /** Heads of each track and layer: one for every fold. */
  folds: number;
  tracks: Track[];
  plan: StagePlan;
  /** Shapes of imported heads by layer. */
  imported: ReadonlyMap<number, ExitHead>;
  /** Fingerprints of further files that decide the results. */
  files: { lm?: string; importedHeads?: string };
  /** Equal for two sweeps that must give equal error rates. */
  hash: string;
  warnings: string[];
}

/** The taps of a learned convolution: the only tensor, or the only one with three axes, of a safetensors or npy file. */
async function readKernel(path: string): Promise<Float32Array> {
  if (path.toLowerCase().endsWith('.npy')) {
    const { data } = await readNpy(path);
    return checkKernel(Float32Array.from(data as ArrayLike<number>), path);
  }
  const { tensors } = await openSafetensors(path);
  const records = [...tensors.values()];
  const kernels = records.length === 1 ? records : records.filter(({ shape }) => shape.length === 3);
  if (kernels.length !== 1)
    throw new ForetuneError(
      'mismatch',
      `${path} holds ${records.length} tensors, ${kernels.length} of them with three axes; the kernel of a convolution of the waveform is one of [1, 1, taps].`,
    );
  return checkKernel(await readTensor(kernels[0]), path);
}

/** Enough of a large file to know it again. */
const sampledBytes = 1 << 20;

/** SHA-256 of a file's size, beginning and end: a language model may be too large to be read whole for every plan. */
async function fileFingerprint(path: string): Promise<string> {
  const source = await openFile(path);
  try {
    const { size } = source;
    const length = Math.min(size, sampledBytes);
    return createHash('sha256')
      .update(String(size))
      .update(await source.read(0, length))
      .update(await source.read(size - length, length))
      .digest('hex');
  } finally {
    await source.close();
  }
}

/** Tensor names of an exit head in a file: `exits.4.weight`, `exits.4.bias`, and `exits.4.inner.weight` where there is a layer before. */
export const exitName = (layer: number): string => `exits.${layer}`;

/** Heads in a safetensors file, by layer. Throws `mismatch` for one that a layer needs and that is not there or does not fit. */
async function readImported(
  path: string,
  layers: ReadonlySet<number>,
  vocabulary: number,
  width: number,
): Promise<Map<number, ExitHead>> {
  const { tensors } = await openSafetensors(path);
  const heads = new Map<number, ExitHead>();
  for (const layer of layers) {
    const name = exitName(layer);
    const weight = tensors.get(`${name}.weight`);
    const inner = tensors.get(`${name}.inner.weight`)?.shape[0] ?? null;
    if (!weight || !tensors.has(`${name}.bias`))
      throw new ForetuneError(
        'mismatch',
        `${path} has no head for layer ${layer}: "${name}.weight" or "${name}.bias" is missing. Choose exits among ${[...tensors.keys()].filter((key) => /^exits\.\d+\.weight$/.test(key)).join(', ') || 'none'}.`,
      );
    if (weight.shape.length !== 2 || weight.shape[0] !== vocabulary || weight.shape[1] !== (inner ?? width))
      throw new ForetuneError(
        'mismatch',
        `${path}: "${name}.weight" has shape [${weight.shape.join(', ')}], but a head of this model is [${vocabulary}, ${inner ?? width}].`,
      );
    heads.set(layer, { name, inner, vocabulary, upsampling: 1 });
  }
  return heads;
}

async function openTraining(
  { training: { data, text } }: SpeedSpec['settings'],
  fallback: string,
  vocabulary: Vocabulary,
  model: EncoderModel,
): Promise<{ training: TrainingData | null; notes: string[] }> {
  if (data === undefined) return { training: null, notes: [] };
  const dataset = await openDataset(data.path, data);
  const { texts, notes } = referenceTexts(dataset, text ?? fallback, vocabulary, model.name);
  const utterances = texts.flatMap((reference, utterance) => (reference === null ? [] : [{ utterance, text: reference }]));
  return { training: { dataset, utterances }, notes };
}

/**
 * Opens model, data and heads and plans the sweep.
 * @throws ForetuneError what cannot be tried, in one sentence, before anything is run
 */
export async function prepareSpeed(spec: SpeedSpec): Promise<PreparedSpeed> {
  const { settings } = spec;
  const model = await openModel(spec.model.path, { mapping: spec.model.mapping });
  const source = stageSource(model);
  const vocabulary = await readVocabulary(model);
  const head = source.head!;
  if (head.kind === 'ctc' && head.adapter)
    throw new ForetuneError(
      'unsupported',
      `${model.name} has an adapter between encoder and head, which this sweep does not take apart.`,
    );
  const blocks = source.config.num_hidden_layers;
  const dataset = await openDataset(spec.data.path, spec.data);
  const references = referenceTexts(dataset, spec.text, vocabulary, model.name);
  const written = references.texts.flatMap((text, i) => (text === null ? [] : [i]));
  const chosen = sampleUtterances(written, settings.sample, settings.seed);
  const kernel = settings.downsampling.kernel === undefined ? undefined : await readKernel(settings.downsampling.kernel);
  if (settings.heads.includes('imported') && settings.importedHeads === undefined)
    throw new ForetuneError('usage', 'Imported heads were asked for, but no file with them was named.');

  const tracks = planTracks(settings, blocks, kernel);
  const trained = tracks.filter((track) => track.exits.some((layer) => headAt(track, layer, blocks) === 'trained'));
  const { training, notes } =
    trained.length > 0 ? await openTraining(settings, spec.text, vocabulary, model) : { training: null, notes: [] };
  const isCrossFitted = trained.length > 0 && training === null;
  if (isCrossFitted && chosen.length < 2)
    throw new ForetuneError(
      'invalid-data',
      `Heads cannot be trained on ${chosen.length} utterance: give training data of its own, or use the model's own head only.`,
    );
  const dealt = isCrossFitted ? dealGroups(chosen, settings.training.folds, settings.seed) : [chosen];
  const foldOf = new Map(dealt.flatMap((group, fold) => group.map((utterance) => [utterance, fold])));
  const layersToImport = new Set(
    tracks.flatMap((track) => track.exits.filter((layer) => headAt(track, layer, blocks) === 'imported')),
  );
  const imported =
    settings.importedHeads !== undefined && layersToImport.size > 0
      ? await readImported(settings.importedHeads, layersToImport, vocabulary.texts.length, model.width)
      : new Map<number, ExitHead>();
  const files = {
    lm: settings.lm && (await fileFingerprint(settings.lm.path)),
    importedHeads: imported.size > 0 ? await fileFingerprint(settings.importedHeads!) : undefined,
  };
  const decisive = {
    speed: speedVersion,
    settings,
    text: spec.text,
    model: { name: model.name, fingerprint: model.fingerprint },
    data: { name: dataset.name, fingerprint: dataset.fingerprint, audioColumn: spec.data.audioColumn ?? null },
    training: training && { fingerprint: training.dataset.fingerprint },
    kernel: kernel && [...kernel],
    files,
  };
  return {
    spec,
    model,
    source,
    head,
    vocabulary,
    dataset,
    utterances: chosen.map((utterance) => ({
      utterance,
      reference: references.texts[utterance]!,
      fold: foldOf.get(utterance)!,
    })),
    training,
    folds: dealt.length,
    tracks,
    plan: planStages(tracks, settings.earlyExit.rules, model.preprocessing.doNormalize),
    imported,
    files,
    hash: createHash('sha256').update(JSON.stringify(decisive)).digest('hex'),
    warnings: [
      ...dataset.problems.map(({ row, message }) => `${dataset.name}, row ${row}: ${message}`),
      ...references.notes,
      ...notes,
      ...(isCrossFitted
        ? [
            `Heads are trained on ${dataset.name} itself, in ${dealt.length} parts that are left out in turn: no utterance is decoded by a head that saw it.`,
          ]
        : []),
      ...(trained.some(({ upsampling, body }) => upsampling > 1 || (body.settings.downsampling?.factor ?? 1) > 1)
        ? [
            'Of downsampled encoders only the heads are trained anew. The published ones were fine-tuned with the downsampling, and erred far less; a model that was fine-tuned so is tried with its own head.',
          ]
        : []),
      ...settings.quantised.precisions
        .filter((precision) => precision === 'float16' && settings.strategies.includes('quantised'))
        .map(() => 'Half precision gains time on a GPU only; cpu computes it in float32.'),
    ],
  };
}
