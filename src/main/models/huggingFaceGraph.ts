import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { type TensorRecord } from '#main/formats/tensors.ts';
import { dataType } from '#main/onnx/dataTypes.ts';
import { GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type ParameterSource } from './architectures/context.ts';
import { emitEncoder, waveformInput } from './architectures/encoder.ts';
import { linkOrCopy, newBuildFolder, writeSideFile } from './cacheFolder.ts';
import { type Head, noHead } from './heads.ts';
import { huggingFaceFingerprint } from './huggingFace.ts';
import { type BuiltEncoder, type EncoderModel, type HuggingFaceSource } from './model.ts';
import { allLayers, findParameters, floatTypes, neededParameters, type PlacedTensor, placedParameters } from './parameters.ts';
import { drawParameter } from './randomWeights.ts';

export interface BuildOptions {
  /** The build gets a folder in it. */
  cacheDir: string;
  weights: 'own' | { randomSeed: number };
  /** hidden_states indices, in order of outputs; all by default. Blocks above the highest are left out of the graph. */
  layers?: number[];
  /** Whether the graph goes on to the model's head and gives its logits too; then `layers` may be empty. */
  head?: boolean;
}

/**
 * Gives tensors a place in a build's folder: byte ranges of hard links to their files. Views that are not row-major are copied.
 * @param records by names that are unique among them
 * @param notes takes what a user should know
 * @returns where each lies
 */
export async function placeTensors(
  folder: string,
  records: ReadonlyMap<string, TensorRecord>,
  notes: string[],
): Promise<(name: string) => PlacedTensor> {
  const isMapped = ({ strides }: TensorRecord) => strides === undefined;
  const locations = new Map<string, string>();
  for (const file of new Set([...records.values()].filter(isMapped).map((record) => record.file))) {
    const location = `weights-${locations.size}${extname(file)}`;
    locations.set(file, location);
    if ((await linkOrCopy(file, join(folder, location))) === 'copied')
      notes.push(
        `${file} was copied into the cache, because a hard link cannot be made there; a cache on its own file system would save the space.`,
      );
  }

  const sideLocation = 'copied.bin';
  const views = [...records].filter(([, record]) => !isMapped(record));
  const copies =
    views.length === 0
      ? new Map<string, { offset: number; length: number }>()
      : await writeSideFile(
          join(folder, sideLocation),
          views.map(([name, record]) => ({ name, values: () => readTensor(record) })),
        );
  if (views.length > 0) {
    const others = views.length > 1 ? ` and ${views.length - 1} more` : '';
    notes.push(`Stored out of order in the checkpoint and therefore copied: ${views[0][1].name}${others}.`);
  }

  return (name) => {
    const copy = copies.get(name);
    if (copy) return { dataType: dataType.float, location: sideLocation, ...copy };
    const { dtype, file, offset, length } = records.get(name)!;
    return { dataType: floatTypes[dtype]!, location: locations.get(file)!, offset, length };
  };
}

/** Puts the files that hold some tensors into a folder, for any number of graphs there: see placeTensors. */
export async function linkedParameters(
  records: ReadonlyMap<string, TensorRecord>,
  folder: string,
  notes: string[],
): Promise<(graph: GraphBuilder) => ParameterSource> {
  const placeOf = await placeTensors(folder, records, notes);
  return (graph) =>
    placedParameters(
      graph,
      (name) => records.has(name),
      ({ name }) => placeOf(name),
    );
}

/** The checkpoint's own weights. */
async function ownParameters(
  graph: GraphBuilder,
  { path }: EncoderModel,
  { config, checkpoint, prefix }: HuggingFaceSource,
  layers: readonly number[],
  head: Head | null,
  folder: string,
  notes: string[],
): Promise<ParameterSource> {
  const records = findParameters(path, config, checkpoint, prefix, layers, head);
  return (await linkedParameters(records, folder, notes))(graph);
}

/** Weights drawn as before training. Every name exists, so a weight-normed weight is drawn as it is, without its magnitude. */
async function randomParameters(
  graph: GraphBuilder,
  { config }: HuggingFaceSource,
  layers: readonly number[],
  head: Head | null,
  folder: string,
  seed: number,
): Promise<ParameterSource> {
  const location = 'random.bin';
  const hasAll = () => true;
  const places = await writeSideFile(
    join(folder, location),
    neededParameters(config, layers, hasAll, head).map((parameter) => ({
      name: parameter.name,
      values: () => drawParameter(parameter, seed),
    })),
  );
  return placedParameters(graph, hasAll, ({ name }) => ({ dataType: dataType.float, location, ...places.get(name)! }));
}

/**
 * Writes the graph of an opened Hugging Face encoder, beside hard links to its weights, into a folder of its own in the cache.
 * Nothing is copied or converted, but for random weights and for what cannot be linked.
 * @throws ForetuneError `not-found` for a layer that the encoder lacks, `mismatch` if its files changed since they were opened,
 *   `no-space`, `unreadable`.
 */
export async function buildHuggingFaceEncoder(model: EncoderModel, options: BuildOptions): Promise<BuiltEncoder> {
  const { source, name, path, fingerprint, preprocessing } = model;
  if (source.kind !== 'huggingface')
    throw new ForetuneError('internal', `${name} is no Hugging Face model but was built as one.`);
  const { config, checkpoint, prefix } = source;
  const { cacheDir, weights, layers = allLayers(config) } = options;
  const head = options.head ? source.head : null;
  if (options.head && !head) throw noHead(name, source.headProblem);
  if (layers.length === 0 && !head)
    throw new ForetuneError('usage', `No layer of ${name} was asked for; it has 0 to ${config.num_hidden_layers}.`);
  const missing = layers.find((layer) => !Number.isInteger(layer) || layer < 0 || layer > config.num_hidden_layers);
  if (missing !== undefined)
    throw new ForetuneError('not-found', `${name} has no layer ${missing}; it has 0 to ${config.num_hidden_layers}.`);
  const current = await huggingFaceFingerprint(
    path,
    preprocessing,
    findParameters(path, config, checkpoint, prefix, allLayers(config), source.head),
  );
  if (current !== fingerprint) throw new ForetuneError('mismatch', `${path} has changed since it was opened; open it again.`);

  const key = createHash('sha256')
    .update(JSON.stringify([fingerprint, layers, head !== null, weights]))
    .digest('hex')
    .slice(0, 16);
  const folder = await newBuildFolder(cacheDir, 'encoder', key);
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    const graph = new GraphBuilder();
    const notes: string[] = [];
    const parameters =
      weights === 'own'
        ? await ownParameters(graph, model, source, layers, head, folder, notes)
        : await randomParameters(graph, source, layers, head, folder, weights.randomSeed);
    const { outputs, logits } = emitEncoder(graph, parameters, config, layers, head);
    const file = join(folder, 'graph.onnx');
    await writeFile(file, graph.toModel(name), { flag: 'wx' }).catch((error: unknown) => {
      throw writeError(file, error);
    });
    return {
      path: file,
      input: { name: waveformInput, rank: 2 },
      extraInputs: [],
      outputs,
      logits: head && logits ? { name: logits, kind: head.kind } : undefined,
      notes,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
