import { access, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { openSafetensors } from '#main/formats/safetensors.ts';
import { type Checkpoint, elementCount, type TensorRecord } from '#main/formats/tensors.ts';
import { openTorchCheckpoint } from '#main/formats/torchCheckpoint.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { type EncoderConfig, frontEndNorm, isPreNorm, parseConfig } from './config.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type Head, parseHead } from './heads.ts';
import { readJsonObject } from './jsonFile.ts';
import { type EncoderModel, type HeadCard } from './model.ts';
import { allLayers, findParameters, findPrefix } from './parameters.ts';
import { readPreprocessing } from './preprocessing.ts';

/** Where transformers looks for weights, in its order. */
const weightFiles: [string, (path: string) => Promise<Checkpoint>][] = [
  ['model.safetensors', openSafetensors],
  ['model.safetensors.index.json', openSafetensors],
  ['pytorch_model.bin', openTorchCheckpoint],
  ['pytorch_model.bin.index.json', openTorchCheckpoint],
];

async function openWeights(folder: string): Promise<{ path: string; checkpoint: Checkpoint }> {
  for (const [name, open] of weightFiles) {
    const path = join(folder, name);
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) return { path, checkpoint: await open(path) };
  }
  throw new ForetuneError(
    'not-found',
    `${folder} holds no weights: none of ${weightFiles.map(([name]) => name).join(', ')} is there.`,
  );
}

/** The types of some tensors, that with the most elements first: `F16` or `F16+F32`. */
function describeTypes(records: Iterable<TensorRecord>): string {
  const elements = new Map<string, number>();
  for (const { dtype, shape } of records) elements.set(dtype, (elements.get(dtype) ?? 0) + elementCount(shape));
  return [...elements]
    .sort((a, b) => b[1] - a[1])
    .map(([dtype]) => dtype)
    .join('+');
}

/** Tensors that no inference needs: they are not worth a note. */
const trainingOnly = /(^|\.)(masked_spec_embed|num_batches_tracked)$/;

function notesOn(
  config: EncoderConfig,
  checkpoint: Checkpoint,
  prefix: string,
  used: ReadonlyMap<string, TensorRecord>,
): string[] {
  const notes: string[] = [];
  if (checkpoint.section) notes.push(`The weights are those under "${checkpoint.section}" in the checkpoint.`);
  const finalNorm = isPreNorm(config) ? ['encoder.layer_norm.weight', 'encoder.layer_norm.bias'] : [];
  // A head's tensors stand without the encoder's prefix.
  const known = new Set([...used.keys(), ...finalNorm].flatMap((name) => [name, prefix + name]));
  const ignored = [...checkpoint.tensors.keys()].filter((name) => !known.has(name) && !trainingOnly.test(name));
  if (ignored.length > 0) {
    const listed = ignored.slice(0, 4).join(', ') + (ignored.length > 4 ? ` and ${ignored.length - 4} more` : '');
    notes.push(`Not needed and ignored: ${listed}.`);
  }
  if (isPreNorm(config)) {
    notes.push(
      `Layer ${config.num_hidden_layers} is the output of the last block as transformers 5 gives it; transformers 4 applied the encoder's final layer norm to it.`,
    );
  }
  return notes;
}

/** Looks for the tensors of the head that config.json names. Without them the encoder is opened alone, and a note says why. */
function findHead(
  path: string,
  config: EncoderConfig,
  checkpoint: Checkpoint,
  prefix: string,
  head: Head | null,
  encoder: Map<string, TensorRecord>,
): { head: Head | null; tensors: Map<string, TensorRecord>; problem?: string } {
  if (!head) return { head, tensors: encoder };
  try {
    return { head, tensors: findParameters(path, config, checkpoint, prefix, allLayers(config), head) };
  } catch (error) {
    return { head: null, tensors: encoder, problem: toErrorValue(error).message };
  }
}

function headCard(head: Head): HeadCard {
  return head.kind === 'ctc'
    ? { kind: head.kind, outputs: head.vocabulary, labels: [] }
    : { kind: head.kind, outputs: head.labels.length, labels: head.labels };
}

async function totalSize(paths: Iterable<string>): Promise<number> {
  let sum = 0;
  for (const path of new Set(paths)) sum += (await stat(path)).size;
  return sum;
}

/** The model's fingerprint: of config.json, of how waveforms are prepared, and of the tensors that are used. */
export async function huggingFaceFingerprint(
  folder: string,
  preprocessing: EncoderModel['preprocessing'],
  tensors: ReadonlyMap<string, TensorRecord>,
): Promise<string> {
  const config = await readJsonObject(join(folder, 'config.json'));
  const { samplingRate, doNormalize } = preprocessing;
  const recipe = new TextEncoder().encode(JSON.stringify({ samplingRate, doNormalize }));
  return fingerprintOf([config?.bytes ?? new Uint8Array(0), recipe], tensors);
}

/**
 * What a folder's config.json says about its encoder and head; nothing else need be there.
 * @throws ForetuneError `not-found` (no config.json), `unsupported` (another architecture), `corrupt`, `mismatch`.
 */
export async function readModelConfig(
  folder: string,
): Promise<{ path: string; json: Record<string, unknown>; config: EncoderConfig; head: Head | null }> {
  const path = join(folder, 'config.json');
  const found = await readJsonObject(path);
  if (!found)
    throw new ForetuneError('not-found', `${folder} has no config.json; a Hugging Face model folder has one beside its weights.`);
  const config = parseConfig(found.json, path);
  return { path, json: found.json, config, head: parseHead(found.json, config, path) };
}

/**
 * Opens a Hugging Face speech-encoder folder: config.json, preprocessor_config.json and the headers of its weights, which are
 * checked against the architecture. The weights themselves are sampled for the fingerprint only.
 * @throws ForetuneError `not-found` (no config.json or weights), `unsupported` (another architecture), `mismatch` (tensors missing
 *   or of the wrong shape), and what opening the files throws.
 */
export async function openHuggingFaceModel(path: string): Promise<EncoderModel> {
  const folder = resolve(path);
  const { path: configPath, json, config, head: named } = await readModelConfig(folder);
  const { path: weightsPath, checkpoint } = await openWeights(folder);
  const prefix = findPrefix(checkpoint);
  // Some tools write a config.json without architectures.
  const isUnnamedCtc = json.architectures === undefined && checkpoint.tensors.has('lm_head.weight');
  const wanted = isUnnamedCtc ? parseHead({ ...json, architectures: ['ForCTC'] }, config, configPath) : named;
  const encoder = findParameters(weightsPath, config, checkpoint, prefix);
  const { head, tensors, problem } = findHead(weightsPath, config, checkpoint, prefix, wanted, encoder);
  const { preprocessing, notes } = await readPreprocessing(folder);
  const records = [...tensors.values()];
  return {
    name: basename(folder),
    path: folder,
    family: config.model_type,
    layers: allLayers(config).length,
    width: config.hidden_size,
    parameters: [...encoder.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    dtype: describeTypes(records),
    bytes: await totalSize([...checkpoint.tensors.values()].map(({ file }) => file)),
    fingerprint: await huggingFaceFingerprint(folder, preprocessing, tensors),
    preprocessing,
    frontEnd: { kernels: config.conv_kernel, strides: config.conv_stride },
    wholeUtteranceNorm: frontEndNorm(config) === 'group',
    head: head && headCard(head),
    notes: [
      ...notesOn(config, checkpoint, prefix, tensors),
      ...(problem === undefined ? [] : [`Opened without its head: ${problem}`]),
      ...notes,
    ],
    source: { kind: 'huggingface', config, checkpoint, prefix, head, headProblem: problem },
  };
}
