import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { openSafetensors } from '#main/formats/safetensors.ts';
import { elementCount, type TensorRecord } from '#main/formats/tensors.ts';
import { dataType } from '#main/onnx/dataTypes.ts';
import { GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Parameter, type ParameterSource } from './architectures/context.ts';
import { emitStage } from './architectures/stages.ts';
import { newBuildFolder, type SideTensor, writeSideFile } from './cacheFolder.ts';
import { noHead } from './heads.ts';
import { linkedParameters } from './huggingFaceGraph.ts';
import { type EncoderModel, type HuggingFaceSource } from './model.ts';
import { allLayers, findParameters, placedParameters } from './parameters.ts';
import { quantiseWeight } from './quantisedWeights.ts';
import { type StagePorts, type StageSpec } from './stages.ts';

/** A stage's graph on disk, which onnxruntime opens by path. */
export interface BuiltStage extends StagePorts {
  id: string;
  path: string;
  /** Bytes that its weights take in memory. */
  weightBytes: number;
}

export interface BuiltStages {
  stages: BuiltStage[];
  notes: string[];
  dispose(): Promise<void>;
}

/** The encoder in pieces needs its architecture, which exported graphs do not show. */
export function stageSource({ name, source }: EncoderModel): HuggingFaceSource {
  if (source.kind !== 'huggingface')
    throw new ForetuneError(
      'unsupported',
      `${name} is an exported ONNX graph; its blocks cannot be taken apart. Give the Hugging Face folder it was exported from.`,
    );
  return source;
}

type Attach = (graph: GraphBuilder) => ParameterSource;

/** A tensor that stages ask for, and where it is. */
interface Found {
  record: TensorRecord;
  parameter: Parameter;
}

/** What one stage asks for: tensors as they are, and linear weights in 8-bit integers. */
interface Asked {
  whole: Map<string, Found>;
  small: Map<string, Found>;
}

/** Heads decide the characters, and layers with few inputs or outputs cost next to nothing: both stay in float32. */
const isWorthIt = ({ beside, shape }: Parameter): boolean => beside !== true && Math.min(...shape) >= 32;

/** Finds what each stage asks for, in the checkpoint or in the file of exit heads, by emitting it once. */
async function findTensors(model: EncoderModel, specs: readonly StageSpec[], exitHeads: string | undefined): Promise<Asked[]> {
  const { config, checkpoint, prefix, head, headProblem } = stageSource(model);
  if (!head && specs.some(({ pieces }) => pieces.some(({ kind }) => kind === 'own-head'))) throw noHead(model.name, headProblem);
  const own = findParameters(model.path, config, checkpoint, prefix, allLayers(config), head);
  const trained = exitHeads === undefined ? undefined : (await openSafetensors(exitHeads)).tensors;
  const find = (parameter: Parameter): Found => {
    const { name, shape } = parameter;
    const record = own.get(name) ?? trained?.get(name);
    if (!record) throw new ForetuneError('mismatch', `${exitHeads ?? model.path} lacks the tensor "${name}".`);
    if (record.shape.join() !== shape.join()) {
      throw new ForetuneError(
        'mismatch',
        `${record.file}: tensor "${name}" has shape [${record.shape.join(', ')}], but [${shape.join(', ')}] is needed.`,
      );
    }
    return { record, parameter };
  };
  return specs.map((spec) => {
    const asked: Asked = { whole: new Map(), small: new Map() };
    const recorder: ParameterSource = {
      has: (name) => own.has(name),
      value(parameter) {
        asked.whole.set(parameter.name, find(parameter));
        return parameter.name;
      },
      quantised(parameter) {
        if (spec.precision !== 'int8' || !isWorthIt(parameter)) return undefined;
        asked.small.set(parameter.name, find(parameter));
        return { values: parameter.name, scales: parameter.name };
      },
    };
    emitStage(new GraphBuilder(), recorder, config, spec, head);
    return asked;
  });
}

/** 8-bit linear weights in a file of the folder. */
async function quantisedParameters(
  tensors: ReadonlyMap<string, Found>,
  folder: string,
): Promise<(graph: GraphBuilder) => NonNullable<ParameterSource['quantised']>> {
  const location = 'quantised.bin';
  function* parts(): Generator<SideTensor> {
    for (const { record, parameter } of tensors.values()) {
      const { name, shape } = parameter;
      const made = async () => quantiseWeight(await readTensor(record), shape[0], shape[1]);
      let scales: Float32Array | undefined;
      yield {
        name: `${name}/values`,
        async values() {
          const quantised = await made();
          scales = quantised.scales;
          return quantised.values;
        },
      };
      yield { name: `${name}/scales`, values: () => scales! };
    }
  }
  const places = tensors.size === 0 ? new Map<string, never>() : await writeSideFile(join(folder, location), parts());
  return (graph) => {
    const known = new Map<string, { values: string; scales: string }>();
    return ({ name, shape: [outputs, inputs] }) => {
      if (!tensors.has(name)) return undefined;
      const place = (part: string) => ({ location, ...places.get(`${name}/${part}`)! });
      const made = known.get(name) ?? {
        values: graph.initializer({
          name: `${name}.int8`,
          dataType: dataType.int8,
          dims: [inputs, outputs],
          data: place('values'),
        }),
        scales: graph.initializer({
          name: `${name}.scale`,
          dataType: dataType.float,
          dims: [outputs],
          data: place('scales'),
        }),
      };
      known.set(name, made);
      return made;
    };
  };
}

/** Weights in one file of the folder's own, as float32, so that it can be taken elsewhere. */
async function copiedParameters(records: ReadonlyMap<string, TensorRecord>, folder: string, location: string): Promise<Attach> {
  const places = await writeSideFile(
    join(folder, location),
    [...records].map(([name, record]) => ({ name, values: () => readTensor(record) })),
  );
  return (graph) =>
    placedParameters(
      graph,
      (name) => records.has(name),
      ({ name }) => ({ dataType: dataType.float, location, ...places.get(name)! }),
    );
}

/**
 * Writes the graphs of some stages into a folder.
 * @param options.weights `link`: beside hard links to the checkpoint's files; `copy`: with a file of weights that holds just these
 * @param options.exitHeads safetensors file with the tensors of exit heads
 */
export async function writeStages(
  model: EncoderModel,
  specs: readonly StageSpec[],
  folder: string,
  options: { weights: 'link' | 'copy'; exitHeads?: string },
): Promise<{ stages: BuiltStage[]; notes: string[] }> {
  const source = stageSource(model);
  const asked = await findTensors(model, specs, options.exitHeads);
  const notes: string[] = [];
  const records = new Map(asked.flatMap(({ whole }) => [...whole].map(([name, { record }]) => [name, record])));
  const attach =
    options.weights === 'link'
      ? await linkedParameters(records, folder, notes)
      : await copiedParameters(records, folder, 'weights.bin');
  const attachSmall = await quantisedParameters(new Map(asked.flatMap(({ small }) => [...small])), folder);
  const stages: BuiltStage[] = [];
  for (const [index, spec] of specs.entries()) {
    const graph = new GraphBuilder(spec.precision === 'float16' ? { float: 'float16' } : {});
    const { whole, small } = asked[index];
    const inSmall = attachSmall(graph);
    const parameters: ParameterSource = {
      ...attach(graph),
      quantised: (parameter) => (small.has(parameter.name) ? inSmall(parameter) : undefined),
    };
    const ports = emitStage(graph, parameters, source.config, spec, source.head);
    const path = join(folder, `${spec.id}.onnx`);
    await writeFile(path, graph.toModel(`${model.name} ${spec.id}`), { flag: 'wx' }).catch((error: unknown) => {
      throw writeError(path, error);
    });
    const count = (found: Map<string, Found>) =>
      [...found.values()].reduce((sum, { parameter }) => sum + elementCount(parameter.shape), 0);
    const weightBytes = count(whole) * (spec.precision === 'float16' ? 2 : 4) + count(small);
    stages.push({ id: spec.id, path, ...ports, weightBytes });
  }
  return { stages, notes };
}

/** Writes the graphs of some stages into a folder of their own in the cache; see writeStages. */
export async function buildStages(
  model: EncoderModel,
  specs: readonly StageSpec[],
  options: { cacheDir: string; exitHeads?: string },
): Promise<BuiltStages> {
  const key = createHash('sha256')
    .update(JSON.stringify([model.fingerprint, specs]))
    .digest('hex')
    .slice(0, 16);
  const folder = await newBuildFolder(options.cacheDir, 'stages', key);
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    return { ...(await writeStages(model, specs, folder, { weights: 'link', exitHeads: options.exitHeads })), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
