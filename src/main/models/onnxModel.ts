import { createHash } from 'node:crypto';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { type ByteSource, openFile } from '#main/formats/bytes.ts';
import { isJsonObject, parseJson } from '#main/formats/json.ts';
import { type AddedInitializer, type Additions, graphSuffix } from '#main/onnx/append.ts';
import { dataType, elementBytes, isFloat } from '#main/onnx/dataTypes.ts';
import { confineExternalData, type ExternalFile, relativeSteps } from '#main/onnx/externalData.ts';
import { convolutionChain, normalisesOverTime, widthOf } from '#main/onnx/frontEnd.ts';
import { type ExtraInput, findInputs } from '#main/onnx/inputs.ts';
import { rewriteModel, staysInline } from '#main/onnx/rewrite.ts';
import { type OnnxInitializer, type OnnxStructure, readStructure } from '#main/onnx/structure.ts';
import { findTaps, mainDataFlow, type Tap } from '#main/onnx/taps.ts';
import { encodeFloats, gaussianLike, readFloats } from '#main/onnx/weights.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { linkOrCopy, newBuildFolder, writeSideFile } from './cacheFolder.ts';
import { noHead } from './heads.ts';

// A type-only statement: model.ts imports this file.
import type { BuiltEncoder, EncoderModel, HeadCard } from './model.ts';

/** What a user may say about an exported encoder instead of letting it be guessed. */
export interface OnnxMapping {
  /** Name of the waveform input. */
  input?: string;
  /** Tensor names; the index is the layer. */
  layers?: string[];
  samplingRate?: number;
  doNormalize?: boolean;
}

/** Where an exported encoder's weights and hidden states are. */
export interface OnnxSource {
  kind: 'onnx';
  /** Path of the .onnx file. */
  file: string;
  input: { name: string; rank: 2 | 3 };
  extraInputs: ExtraInput[];
  taps: OnnxTap[];
  /** The output "logits"; null where there is none. */
  logits: OnnxLogits | null;
}

/** A head's output, and whether it has to be brought to float32. */
export interface OnnxLogits {
  tensor: string;
  kind: HeadCard['kind'];
  cast: boolean;
}

/** A hidden state, and whether it has to be brought to float32. */
export interface OnnxTap extends Tap {
  cast: boolean;
}

/** Smaller models are copied into the cache; larger ones are linked and never copied if the file system allows. */
const copyBelow = 64 * 2 ** 20;

const dtypeNames: Record<number, string> = { 1: 'F32', 10: 'F16', 16: 'BF16', 11: 'F64', 3: 'I8', 2: 'U8' };

/** The .onnx file of a path: the file itself, the only one of a folder, or its onnx/model.onnx. */
export async function findOnnxFile(path: string): Promise<string> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    const { code, message } = toErrorValue(error);
    throw new ForetuneError(code, code === 'not-found' ? `${path} does not exist.` : `${path} cannot be read: ${message}.`, {
      cause: error,
    });
  }
  if (!isFolder) return path;
  for (const folder of [path, join(path, 'onnx')]) {
    const files = (await readdir(folder).catch(() => [])).filter((name) => name.toLowerCase().endsWith('.onnx')).sort();
    if (files.length === 1) return join(folder, files[0]);
    if (folder !== path && files.includes('model.onnx')) return join(folder, 'model.onnx');
    if (files.length > 1) {
      throw new ForetuneError(
        'usage',
        `${folder} holds ${files.length} ONNX files (${files.slice(0, 5).join(', ')}); give the path of one of them.`,
      );
    }
  }
  throw new ForetuneError('not-found', `${path} holds no .onnx file.`);
}

/** Opens a file for the time of `use`. */
export async function withSource<T>(path: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openFile(path);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** Opens the model's own file and its external ones for the time of `use`; `sourceOf` gives the file that holds a payload. */
async function withPayloads<T>(
  source: ByteSource,
  files: ReadonlyMap<string, ExternalFile>,
  use: (sourceOf: (initializer: OnnxInitializer) => ByteSource) => Promise<T>,
): Promise<T> {
  const opened = new Map<string, ByteSource>();
  try {
    for (const { location, path } of files.values()) opened.set(location, await openFile(path));
    return await use(({ payload }) => (payload.kind === 'external' ? (opened.get(payload.location) ?? source) : source));
  } finally {
    for (const file of opened.values()) await file.close();
  }
}

const sampleBytes = 1024;
const hashChunk = 1 << 20;

/** SHA-256 over everything but the weights, and over the first, middle and last kilobyte of every weight. */
async function fingerprintOf(
  source: ByteSource,
  structure: OnnxStructure,
  files: ReadonlyMap<string, ExternalFile>,
): Promise<string> {
  const hash = createHash('sha256');
  for (const { start, end } of [...structure.modelFields, ...structure.graphFields]) {
    for (let at = start; at < end; at += hashChunk) hash.update(await source.read(at, Math.min(hashChunk, end - at)));
  }
  await withPayloads(source, files, async (sourceOf) => {
    for (const initializer of structure.initializers.values()) {
      const { name, dataType: type, dims, elements, payload, message } = initializer;
      hash.update(`${name}\0${type}\0${dims.join(',')}\0`);
      const offset = payload.kind === 'encoded' ? message.start : payload.offset;
      const length =
        payload.kind === 'encoded' ? message.end - message.start : (payload.length ?? elements * (elementBytes(type) ?? 0));
      const last = Math.max(0, length - sampleBytes);
      const starts = new Set([0, Math.floor(last / 2), last]);
      for (const start of starts)
        hash.update(await sourceOf(initializer).read(offset + start, Math.min(sampleBytes, length - start)));
    }
  });
  return hash.digest('hex');
}

const maxConfigBytes = 1 << 20;

/** Sampling rate and normalisation: the mapping's word, else preprocessor_config.json's, else an assumption that is noted. */
async function preprocessingOf(
  file: string,
  mapping: OnnxMapping,
): Promise<{ preprocessing: EncoderModel['preprocessing']; notes: string[] }> {
  const folder = dirname(resolve(file));
  const folders = basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder];
  const notes: string[] = [];
  let config: Record<string, unknown> = {};
  let source = 'assumed';
  for (const place of folders) {
    const path = join(place, 'preprocessor_config.json');
    const bytes = await withSource(path, (from) => from.read(0, Math.min(from.size, maxConfigBytes))).catch((error: unknown) => {
      if (error instanceof ForetuneError && error.code === 'not-found') return null;
      throw error;
    });
    if (!bytes) continue;
    const value = parseJson(bytes, path);
    if (isJsonObject(value)) [config, source] = [value, 'preprocessor_config.json'];
    break;
  }
  const { sampling_rate: rate, do_normalize: normalize } = config;
  const knownRate = typeof rate === 'number' && rate > 0 ? rate : undefined;
  const knownNormalize = typeof normalize === 'boolean' ? normalize : undefined;
  if (mapping.samplingRate !== undefined || mapping.doNormalize !== undefined)
    source = source === 'assumed' ? 'mapping' : `mapping, ${source}`;
  const samplingRate = mapping.samplingRate ?? knownRate;
  const doNormalize = mapping.doNormalize ?? knownNormalize;
  const beside = 'put preprocessor_config.json beside the file or give it in the mapping';
  if (samplingRate === undefined) notes.push(`A sampling rate of 16000 Hz is assumed; ${beside} ("samplingRate").`);
  if (doNormalize === undefined) notes.push(`Waveforms are assumed to be fed without normalisation; ${beside} ("doNormalize").`);
  return { preprocessing: { samplingRate: samplingRate ?? 16000, doNormalize: doNormalize ?? false, source }, notes };
}

/** Is every floating-point tensor of the graph float32? Otherwise hidden states go through a Cast. */
function isFloat32Throughout({ nodes, initializers, valueInfo, outputs }: OnnxStructure): boolean {
  const isOther = (type: number) => isFloat(type) && type !== dataType.float;
  return !(
    [...initializers.values()].some(({ dataType: type }) => isOther(type)) ||
    [...valueInfo.values(), ...outputs].some(({ elementType }) => isOther(elementType)) ||
    nodes.some(
      ({ constant, opType, attributes }) =>
        isOther(constant?.dataType ?? 0) || (opType === 'Cast' && isOther(Number(attributes.get('to')))),
    )
  );
}

/** Types of the weight matrices, as `F32` or `F16+F32`. */
function weightTypes(initializers: readonly OnnxInitializer[]): string {
  const names = initializers.flatMap(({ dataType: type, dims }) => (dims.length >= 2 ? (dtypeNames[type] ?? []) : []));
  return [...new Set(names)].sort().join('+') || 'F32';
}

/** Float constants of at least this many elements inside nodes are weights that the random-weights control cannot reach. */
const weightElements = 4096;

function constantNote({ nodes }: OnnxStructure): string[] {
  const count = nodes.filter(
    ({ constant }) =>
      constant &&
      isFloat(constant.dataType) &&
      constant.dims.length >= 2 &&
      constant.dims.reduce((all, size) => all * size, 1) >= weightElements,
  ).length;
  return count > 0
    ? [`${count} weights are constants inside operators; the random-weights control leaves them as they are.`]
    : [];
}

/** The output named "logits": characters for every frame, or classes for the utterance by its rank. */
function findLogits({ outputs, valueInfo }: OnnxStructure): { tensor: string; card: HeadCard } | null {
  const found = outputs.find(({ name, elementType }) => /^logits$/i.test(name) && (elementType === 0 || isFloat(elementType)));
  if (!found) return null;
  const shape = found.shape ?? valueInfo.get(found.name)?.shape ?? null;
  const last = shape?.at(-1);
  if (shape !== null && shape.length !== 2 && shape.length !== 3) return null;
  const kind = shape?.length === 2 ? 'classification' : 'ctc';
  return { tensor: found.name, card: { kind, outputs: typeof last === 'number' && last > 0 ? last : 0, labels: [] } };
}

/**
 * Opens an exported encoder: finds the waveform input, the hidden states, the front end and the preprocessing without reading
 * the weights, and says in `notes` what was guessed.
 * @param path an .onnx file, or a folder that holds exactly one (or onnx/model.onnx)
 * @throws ForetuneError `not-found`, `unreadable`, `corrupt` (not an ONNX file, truncated), `unsafe` (external data outside the
 *   folder), `unsupported` (inputs or outputs that cannot be used), `usage` (a mapping with unknown names).
 */
export async function openOnnxModel(path: string, options: { mapping?: OnnxMapping } = {}): Promise<EncoderModel> {
  const { mapping = {} } = options;
  const file = await findOnnxFile(path);
  return withSource(file, async (source) => {
    const structure = await readStructure(source);
    const files = await confineExternalData(file, structure);
    const { input, extraInputs, notes: inputNotes } = findInputs(structure, mapping.input);
    const { taps, how, notes: tapNotes } = findTaps(structure, { input: input.name, layers: mapping.layers });
    const flow = mainDataFlow(structure, input.name);
    const maker = (tensor: string) => flow?.nodes.findIndex(({ outputs }) => outputs.includes(tensor)) ?? -1;
    const frontEndEnd = maker(taps[0].tensor);
    const { preprocessing, notes: preprocessingNotes } = await preprocessingOf(file, mapping);
    const initializers = [...structure.initializers.values()];
    const isPlain = isFloat32Throughout(structure);
    const logits = findLogits(structure);
    const notes = [how, ...tapNotes, ...inputNotes, ...preprocessingNotes, ...constantNote(structure)];
    if (structure.functions > 0)
      notes.push(`The graph calls ${structure.functions} functions of its own, into which no layer search goes.`);
    return {
      name: basename(resolve(path)),
      path: resolve(path),
      family: 'onnx',
      layers: taps[taps.length - 1].layer + 1,
      width: taps.reduce((width, { tensor }) => width || widthOf(structure, tensor), 0),
      parameters: initializers.reduce((sum, { dataType: type, elements }) => sum + (isFloat(type) ? elements : 0), 0),
      dtype: weightTypes(initializers),
      bytes: [...new Map([...files.values()].map((data) => [data.path, data.size])).values()].reduce(
        (sum, size) => sum + size,
        source.size,
      ),
      fingerprint: await fingerprintOf(source, structure, files),
      preprocessing,
      frontEnd: flow && frontEndEnd >= 0 ? convolutionChain(structure, flow, frontEndEnd) : null,
      wholeUtteranceNorm: flow !== null && frontEndEnd >= 0 && normalisesOverTime(flow, frontEndEnd),
      head: logits && logits.card,
      notes,
      source: {
        kind: 'onnx',
        file: resolve(file),
        input,
        extraInputs,
        taps: taps.map((tap) => ({ ...tap, cast: !isPlain })),
        logits: logits && { tensor: logits.tensor, kind: logits.card.kind, cast: !isPlain },
      },
    };
  });
}

/** Nodes and outputs that give the taps as float32 [batch, frames, width], and the outputs' names. */
function tapAdditions(
  structure: OnnxStructure,
  taps: readonly OnnxTap[],
  logits: OnnxLogits | null,
): { additions: Required<Pick<Additions, 'nodes' | 'outputs'>> } & Pick<BuiltEncoder, 'outputs' | 'logits'> {
  const taken = new Set(structure.nodes.flatMap(({ outputs }) => outputs));
  const existing = new Map(structure.outputs.map(({ name, elementType }) => [name, elementType]));
  const nodes: Additions['nodes'] = [];
  const added = new Map<string, { name: string }>();
  const addOutput = (label: string, { tensor, permutation, cast }: Pick<OnnxTap, 'tensor' | 'permutation' | 'cast'>): string => {
    let name = tensor;
    const step = (opType: string, attributes: Record<string, number | number[]>) => {
      let result = `foretune.${label}.${opType}`;
      while (taken.has(result)) result += '_';
      taken.add(result);
      nodes.push({ opType, inputs: [name], outputs: [result], attributes });
      name = result;
    };
    if (cast && existing.get(tensor) !== dataType.float) step('Cast', { to: dataType.float });
    if (permutation) step('Transpose', { perm: permutation });
    if (!existing.has(name)) added.set(name, { name });
    return name;
  };
  const outputs = taps.map((tap) => ({ layer: tap.layer, name: addOutput(`layer.${tap.layer}`, tap) }));
  const head = logits && { name: addOutput('logits', { ...logits, permutation: null }), kind: logits.kind };
  return { additions: { nodes, outputs: [...added.values()] }, outputs, logits: head ?? undefined };
}

/** A file name that no external data uses. */
function freeName(wanted: string, files: ReadonlyMap<string, ExternalFile>): string {
  const taken = new Set([...files.keys()].map((location) => (relativeSteps(location) ?? [])[0]?.toLowerCase()));
  let name = wanted;
  while (taken.has(name.toLowerCase())) name = `_${name}`;
  return name;
}

type Place = Exclude<AddedInitializer['data'], Uint8Array>;

/** Writes random values for every float weight of rank 2 or more into one file; gives where each went. */
async function writeRandomWeights(
  path: string,
  location: string,
  seed: number,
  structure: OnnxStructure,
  sourceOf: (initializer: OnnxInitializer) => ByteSource,
): Promise<Map<string, Place>> {
  const weights = [...structure.initializers.values()].filter(
    ({ dims, dataType: type, elements }) => isFloat(type) && dims.length >= 2 && elements > 0,
  );
  if (weights.length === 0) {
    throw new ForetuneError(
      'unsupported',
      `${structure.file} has no floating-point weights that could be made random; the random-weights control needs an export that is not quantised.`,
    );
  }
  const places = await writeSideFile(
    path,
    weights.map((initializer) => ({
      name: initializer.name,
      values: async () =>
        encodeFloats(
          gaussianLike(await readFloats(sourceOf(initializer), initializer), seed, initializer.name),
          initializer.dataType,
        ),
    })),
  );
  return new Map([...places].map(([name, place]) => [name, { location, ...place }]));
}

/**
 * Makes a graph that gives the hidden states, without copying large weights: the new file points into a hard link of the
 * user's own (a copy only where links do not work). Random weights keep each tensor's mean and standard deviation.
 * @param options.cacheDir the build gets a folder in it, which `dispose` removes
 * @param options.layers hidden_states indices, all by default
 * @param options.head whether the logits are given too
 * @throws ForetuneError `mismatch` if the file changed since it was opened, `not-found` for a layer that the export lacks,
 *   `no-space`, and everything that `openOnnxModel` throws.
 */
export async function buildOnnxEncoder(
  model: EncoderModel,
  options: { cacheDir: string; weights: 'own' | { randomSeed: number }; layers?: number[]; head?: boolean },
): Promise<BuiltEncoder> {
  const { source: origin, fingerprint, name } = model;
  if (origin.kind !== 'onnx') throw new ForetuneError('internal', `${name} is no ONNX model but was built as one.`);
  const { weights, layers } = options;
  if (options.head && !origin.logits) throw noHead(name);
  const head = options.head ? origin.logits : null;
  const missing = layers?.find((layer) => !origin.taps.some((tap) => tap.layer === layer));
  if (missing !== undefined) {
    throw new ForetuneError(
      'not-found',
      `${name} has no layer ${missing}; it has ${origin.taps.map(({ layer }) => layer).join(', ')}.`,
    );
  }
  const taps = layers ? layers.flatMap((layer) => origin.taps.filter((tap) => tap.layer === layer)) : origin.taps;
  return withSource(origin.file, async (source) => {
    const structure = await readStructure(source);
    const files = await confineExternalData(origin.file, structure);
    if ((await fingerprintOf(source, structure, files)) !== fingerprint) {
      throw new ForetuneError('mismatch', `${origin.file} has changed since it was opened; open it again.`);
    }
    const { additions, outputs, logits } = tapAdditions(structure, taps, head);
    const key = createHash('sha256')
      .update(JSON.stringify([fingerprint, taps, head, weights]))
      .digest('hex')
      .slice(0, 16);
    const folder = await newBuildFolder(options.cacheDir, 'onnx', key);
    const dispose = () => rm(folder, { recursive: true, force: true });
    try {
      const path = join(folder, freeName('graph.onnx', files));
      let bytes: Uint8Array;
      if (weights === 'own' && source.size < copyBelow) {
        const suffix = graphSuffix(additions);
        bytes = new Uint8Array(source.size + suffix.byteLength);
        bytes.set(await source.read(0, source.size));
        bytes.set(suffix, source.size);
      } else {
        const own = freeName('weights.onnx', files);
        const random = freeName('random.bin', files);
        const places =
          weights === 'own'
            ? new Map<string, Place>()
            : await withPayloads(source, files, (sourceOf) =>
                writeRandomWeights(join(folder, random), random, weights.randomSeed, structure, sourceOf),
              );
        let usesOwn = false;
        const place = (initializer: OnnxInitializer): Place | null => {
          const { payload } = initializer;
          const randomPlace = places.get(initializer.name);
          if (randomPlace) return randomPlace;
          if (staysInline(initializer) || payload.kind !== 'inline') return null;
          usesOwn = true;
          return { location: own, offset: payload.offset, length: payload.length };
        };
        bytes = await rewriteModel(source, structure, place, additions);
        if (usesOwn) await linkOrCopy(origin.file, join(folder, own));
      }
      // Two locations, such as "w" and "./w", may name one file.
      const copies = new Map(
        [...files.values()].map((data) => [join(folder, ...(relativeSteps(data.location) ?? [])), data.path]),
      );
      for (const [to, data] of copies) await linkOrCopy(data, to);
      await writeFile(path, bytes, { flag: 'wx' }).catch((error: unknown) => {
        throw writeError(path, error);
      });
      const notes = weights === 'own' ? [] : constantNote(structure);
      return { path, input: origin.input, extraInputs: origin.extraInputs, outputs, logits, notes, dispose };
    } catch (error) {
      await dispose();
      throw error;
    }
  });
}
