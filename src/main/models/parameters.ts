import { type Checkpoint, type Dtype, type TensorRecord } from '#main/formats/tensors.ts';
import { dataType } from '#main/onnx/dataTypes.ts';
import { GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Parameter, type ParameterSource } from './architectures/context.ts';
import { emitEncoder } from './architectures/encoder.ts';
import { type EncoderConfig } from './config.ts';
import { type Head } from './heads.ts';

/** A parameter's bytes: a range of a file in the graph's folder. */
export interface PlacedTensor {
  /** TensorProto.DataType of one of the floating-point types. */
  dataType: number;
  location: string;
  offset: number;
  length: number;
}

/** The types in which onnxruntime reads weights from a file. */
export const floatTypes: Partial<Record<Dtype, number>> = {
  F32: dataType.float,
  F16: dataType.float16,
  BF16: dataType.bfloat16,
  F64: dataType.double,
};

/** Parameters that lie in files of the graph's folder. Other types are cast to the graph's, which onnxruntime does once, at load. */
export function placedParameters(
  graph: GraphBuilder,
  has: (name: string) => boolean,
  placeOf: (parameter: Parameter) => PlacedTensor,
): ParameterSource {
  const values = new Map<string, string>();
  return {
    has,
    value(parameter) {
      const { name, shape } = parameter;
      let value = values.get(name);
      if (value === undefined) {
        const { dataType: type, ...data } = placeOf(parameter);
        value = graph.initializer({ name, dataType: type, dims: shape, data });
        if (type !== graph.floatType) value = graph.node('Cast', [value], { to: graph.floatType });
        values.set(name, value);
      }
      return value;
    },
  };
}

/** Every parameter that the graph up to the given layers, or to its head, asks for, in the graph's order. Found by emitting it once. */
export function neededParameters(
  config: EncoderConfig,
  layers: readonly number[],
  has: (name: string) => boolean,
  head: Head | null = null,
): Parameter[] {
  const needed = new Map<string, Parameter>();
  const recorder: ParameterSource = {
    has,
    value(parameter) {
      needed.set(parameter.name, parameter);
      return parameter.name;
    },
  };
  emitEncoder(new GraphBuilder(), recorder, config, layers, head);
  return [...needed.values()];
}

/** hidden_states indices of an encoder. */
export function allLayers(config: EncoderConfig): number[] {
  return Array.from({ length: config.num_hidden_layers + 1 }, (_, layer) => layer);
}

/** What tensor names begin with in a checkpoint: `hubert.`, `wav2vec2.` and so on where there is a head, nothing otherwise. */
export function findPrefix(checkpoint: Checkpoint): string {
  const landmark = 'feature_extractor.conv_layers.0.conv.weight';
  const found = [...checkpoint.tensors.keys()].filter((name) => name === landmark || name.endsWith(`.${landmark}`));
  return found.length === 0 ? '' : found.reduce((a, b) => (b.length < a.length ? b : a)).slice(0, -landmark.length);
}

/**
 * Finds the parameters of the encoder, and of its head if that is given, in a checkpoint.
 * @param path begins the sentences
 * @returns the records by parameter name (without prefix), in the graph's order
 * @throws ForetuneError `mismatch` for missing tensors or wrong shapes, `unsupported` for weights that are not floating-point.
 */
export function findParameters(
  path: string,
  config: EncoderConfig,
  checkpoint: Checkpoint,
  prefix: string,
  layers: readonly number[] = allLayers(config),
  head: Head | null = null,
): Map<string, TensorRecord> {
  const { tensors } = checkpoint;
  const needed = neededParameters(config, layers, (name) => tensors.has(prefix + name), head);
  const stored = ({ name, beside }: Parameter) => (beside ? name : prefix + name);
  const missing = needed.filter((parameter) => !tensors.has(stored(parameter)));
  if (missing.length > 0) {
    throw new ForetuneError(
      'mismatch',
      `${path} lacks ${missing.length} of the ${needed.length} tensors that config.json asks for, the first being "${stored(missing[0])}"; the weights are incomplete or belong to another configuration.`,
    );
  }
  const found = new Map<string, TensorRecord>();
  for (const parameter of needed) {
    const { name, shape } = parameter;
    const record = tensors.get(stored(parameter))!;
    if (record.shape.length !== shape.length || record.shape.some((size, axis) => size !== shape[axis])) {
      throw new ForetuneError(
        'mismatch',
        `${path}: tensor "${stored(parameter)}" has shape [${record.shape.join(', ')}], but config.json asks for [${shape.join(', ')}]; the weights belong to another configuration.`,
      );
    }
    if (floatTypes[record.dtype] === undefined) {
      throw new ForetuneError(
        'unsupported',
        `${path}: tensor "${stored(parameter)}" has type ${record.dtype}; Foretune opens weights in F32, F16, BF16 and F64, not quantised ones.`,
      );
    }
    found.set(name, record);
  }
  return found;
}
