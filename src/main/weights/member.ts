import { createHash } from 'node:crypto';
import { open, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { alphaOf, type AlphaSchedule, checkSchedule } from '#main/merging/alpha.ts';
import { linear } from '#main/merging/linear.ts';
import { type MergeMethod, type MergeSettings } from '#main/merging/method.ts';
import { type MergePlan, type PlannedTensor } from '#main/merging/plan.ts';
import { mergeMethod } from '#main/merging/registry.ts';
import { type ParameterSource } from '#main/models/architectures/context.ts';
import { emitEncoder, waveformInput } from '#main/models/architectures/encoder.ts';
import { newBuildFolder } from '#main/models/cacheFolder.ts';
import { type BuildOptions, placeTensors } from '#main/models/huggingFaceGraph.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type BuiltEncoder, type EncoderModel } from '#main/models/model.ts';
import { buildOnnxEncoder, type OnnxMapping, openOnnxModel } from '#main/models/onnxModel.ts';
import { allLayers, floatTypes, neededParameters, placedParameters } from '#main/models/parameters.ts';
import { dataType } from '#main/onnx/dataTypes.ts';
import { GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ScoredModel } from '#shared/experiment.ts';
import { type Member, type MemberCard } from '#shared/merge.ts';

import { isFinetunedItself } from './judgeSpec.ts';
import { checkSettings } from './mergeModels.ts';
import { mergeTensors } from './mergeTensors.ts';
import { createOnnxFolders } from './onnxWeights.ts';
import { openWeights, planSources, type WeightSource } from './open.ts';
import { describeAlpha, usedSettings } from './recipe.ts';

/** What members are called where scores name models. */
export function memberTitle({ finetuned, method, alpha, settings }: Omit<MemberCard, 'base'>): string {
  const { uses } = mergeMethod(method);
  if (isFinetunedItself({ finetuned, method, alpha })) return finetuned[0].name;
  const models = finetuned.map(({ name }) => name).join(' + ');
  const how = method === linear.id ? '' : `${method}${uses.includes('density') ? ` ${settings.density}` : ''} of `;
  return `${how}${models}${uses.includes('alpha') ? ` at alpha ${describeAlpha(alpha)}` : ''}`;
}

interface Mixture {
  method: MergeMethod;
  settings: MergeSettings;
  alpha: AlphaSchedule;
  plan: MergePlan;
}

/** Records of one model by canonical name: only those that the result has. */
function planned({ tensors }: MergePlan): Map<string, PlannedTensor> {
  return new Map(tensors.map((tensor) => [tensor.canonical, tensor]));
}

/**
 * Parameters that the graph itself computes from both models' files, w = w0 + alpha (w1 - w0) in float64, rounded once to the type a
 * written merge would have. onnxruntime does it once, while it loads the graph; nothing is written.
 */
async function interpolated(
  graph: GraphBuilder,
  { plan, alpha }: Mixture,
  wanted: ReadonlySet<string>,
  folder: string,
  notes: string[],
): Promise<ParameterSource> {
  const tensors = planned(plan);
  const ends = [...tensors].filter(([name]) => wanted.has(name));
  const placeOf = await placeTensors(
    folder,
    new Map(
      ends.flatMap(([name, { base, tuned }]) => [
        [`0 ${name}`, base] as const,
        ...tuned.map((record) => [`1 ${name}`, record] as const),
      ]),
    ),
    notes,
  );
  const values = new Map<string, string>();
  return {
    has: (name) => tensors.has(name),
    value({ name, shape }) {
      const known = values.get(name);
      if (known !== undefined) return known;
      const tensor = tensors.get(name)!;
      const step = tensor.action === 'copy' ? 0 : alphaOf(alpha, tensor);
      const end = (which: 0 | 1) => {
        const { dataType: type, ...data } = placeOf(`${which} ${name}`);
        return {
          type,
          value: graph.initializer({ name: which === 0 ? name : `${name}/finetuned`, dataType: type, dims: shape, data }),
        };
      };
      const cast = (value: string, from: number, to: number) => (from === to ? value : graph.node('Cast', [value], { to }));
      const target = floatTypes[tensor.dtype]!;
      let result: string;
      if (step === 0 || step === 1) {
        const { type, value } = end(step);
        result = cast(cast(value, type, target), target, dataType.float);
      } else {
        const [from, to] = ([0, 1] as const).map((which) => {
          const { type, value } = end(which);
          return cast(value, type, dataType.double);
        });
        const way = graph.node('Mul', [graph.double(step), graph.node('Sub', [to, from])]);
        result = cast(cast(graph.node('Add', [from, way]), dataType.double, target), target, dataType.float);
      }
      values.set(name, result);
      return result;
    },
  };
}

const alignment = 64;

/** Parameters merged into a file of the build's folder: for methods that have to look at whole tensors, or at all of them. */
async function mergedAside(graph: GraphBuilder, mixture: Mixture, folder: string): Promise<ParameterSource> {
  const { method, settings, alpha, plan } = mixture;
  const location = 'merged.bin';
  const path = join(folder, location);
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { name, bytes } of plan.tensors) {
    offsets.set(name, end);
    end = Math.ceil((end + bytes) / alignment) * alignment;
  }
  const handle = await open(path, 'wx').catch((error: unknown) => {
    throw writeError(path, error);
  });
  try {
    await mergeTensors({
      plan,
      settings,
      members: [{ method, alpha }],
      sink: {
        async write(_member, { name }, start, bytes) {
          try {
            for (let done = 0; done < bytes.byteLength;)
              done += (await handle.write(bytes, done, bytes.byteLength - done, offsets.get(name)! + start + done)).bytesWritten;
          } catch (error) {
            throw writeError(path, error);
          }
        },
      },
    });
  } finally {
    await handle.close();
  }
  const tensors = planned(plan);
  return placedParameters(
    graph,
    (name) => tensors.has(name),
    ({ name }) => {
      const tensor = tensors.get(name)!;
      return { dataType: floatTypes[tensor.dtype]!, location, offset: offsets.get(tensor.name)!, length: tensor.bytes };
    },
  );
}

/** An exported graph has its weights in its own file, so that a merge of it is written into the cache, whole. */
async function buildGraphMember(
  base: WeightSource,
  fingerprint: string,
  mapping: OnnxMapping | undefined,
  mixture: Mixture,
  options: BuildOptions,
): Promise<BuiltEncoder> {
  const { method, settings, alpha, plan } = mixture;
  const onnx = base.onnx!;
  const folder = await newBuildFolder(options.cacheDir, 'member', fingerprint.slice(0, 16));
  try {
    const merged = join(folder, 'merged');
    const writer = await createOnnxFolders(merged, [''], onnx);
    try {
      await mergeTensors({ plan, settings, members: [{ method, alpha }], sink: writer });
      await writer.commit([{ name: '', texts: {} }], []);
    } finally {
      await writer.discard();
    }
    const built = await buildOnnxEncoder(await openOnnxModel(join(merged, basename(onnx.file)), { mapping }), options);
    return {
      ...built,
      async dispose() {
        await built.dispose();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function buildMember(
  base: EncoderModel,
  name: string,
  fingerprint: string,
  mixture: Mixture,
  options: BuildOptions,
): Promise<BuiltEncoder> {
  if (base.source.kind !== 'huggingface') throw new ForetuneError('internal', `${base.name} is no Hugging Face model.`);
  if (options.head) throw new ForetuneError('unsupported', `${name} is a merge of encoders and has no head.`);
  const { config } = base.source;
  const layers = options.layers ?? allLayers(config);
  const missing = layers.find((layer) => !Number.isInteger(layer) || layer < 0 || layer > config.num_hidden_layers);
  if (missing !== undefined)
    throw new ForetuneError('not-found', `${name} has no layer ${missing}; it has 0 to ${config.num_hidden_layers}.`);
  const folder = await newBuildFolder(options.cacheDir, 'member', fingerprint.slice(0, 16));
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    const graph = new GraphBuilder();
    const notes: string[] = [];
    const { method, plan } = mixture;
    const inGraph = method === linear && plan.tensors.every(({ tuned }) => tuned.length <= 1);
    const tensors = planned(plan);
    const wanted = new Set(
      neededParameters(config, layers, (parameter) => tensors.has(parameter)).map((parameter) => parameter.name),
    );
    const lacking = [...wanted].find((parameter) => !tensors.has(parameter));
    if (lacking !== undefined)
      throw new ForetuneError('mismatch', `${base.path} lacks the tensor "${lacking}" that its config.json asks for.`);
    const parameters = inGraph
      ? await interpolated(graph, mixture, wanted, folder, notes)
      : await mergedAside(graph, mixture, folder);
    const { outputs } = emitEncoder(graph, parameters, config, layers);
    const file = join(folder, 'graph.onnx');
    await writeFile(file, graph.toModel(name), { flag: 'wx' }).catch((error: unknown) => {
      throw writeError(file, error);
    });
    return { path: file, input: { name: waveformInput, rank: 2 }, extraInputs: [], outputs, notes, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * A merge as a model that can be run, without being written: its graph computes the weights from both models' files, or reads them from a file
 * in the cache that goes when the graph goes.
 * @throws ForetuneError as planSources and openModel
 */
export async function openMember(
  path: string,
  { finetuned, method: id, alpha, settings }: Member,
  mapping?: OnnxMapping,
): Promise<EncoderModel> {
  const method = mergeMethod(id);
  checkSettings({ finetuned, alphas: [alpha], settings }, method);
  const base = await openModel(path, { mapping });
  const [baseWeights, ...tuned] = await Promise.all([path, ...finetuned].map(openWeights));
  const plan = planSources(baseWeights, tuned, { heads: 'drop', canonicalNames: true });
  const told = ({ name, path: place, fingerprint }: WeightSource) => ({ name, path: place, fingerprint });
  const merge: MemberCard = {
    base: told(baseWeights),
    finetuned: tuned.map(told),
    method: id,
    alpha,
    settings: usedSettings(method, settings),
  };
  const name = memberTitle(merge);
  const fingerprint = createHash('sha256')
    .update(
      JSON.stringify([
        base.fingerprint,
        ...merge.finetuned.map((model) => model.fingerprint),
        id,
        method.uses.includes('alpha') ? alpha : null,
        merge.settings,
      ]),
    )
    .digest('hex');
  const warnings = method.uses.includes('alpha') ? checkSchedule(alpha, plan.tensors) : [];
  const mixture: Mixture = { method, settings, alpha, plan };
  return {
    ...base,
    name,
    fingerprint,
    head: null,
    notes: [...base.notes.filter((note) => !note.startsWith('Not needed and ignored')), ...warnings],
    merge,
    source: {
      kind: 'merged',
      build(options) {
        // What is drawn at random depends on the architecture alone.
        if (options.weights !== 'own') return buildEncoder(base, options);
        return baseWeights.onnx
          ? buildGraphMember(baseWeights, fingerprint, mapping, mixture, options)
          : buildMember(base, name, fingerprint, mixture, options);
      },
    },
  };
}

/** A model as an experiment names it: one on disk, or a merge that is not written. */
export function openScoredModel({ path, mapping, merge }: ScoredModel): Promise<EncoderModel> {
  return merge ? openMember(path, merge, mapping) : openModel(path, { mapping });
}
