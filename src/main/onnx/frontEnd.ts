import { type DataFlow } from './residualStream.ts';
import { type OnnxNode, type OnnxStructure } from './structure.ts';

/** Convolutions that turn samples into frames. */
export interface ConvolutionChain {
  kernels: number[];
  strides: number[];
}

function single(node: OnnxNode, name: string, otherwise: number): number | null {
  const value = node.attributes.get(name);
  if (value === undefined) return otherwise;
  return Array.isArray(value) && value.length === 1 ? value[0] : null;
}

function kernelOf(node: OnnxNode, structure: OnnxStructure): number | null {
  if (node.attributes.has('kernel_shape')) return single(node, 'kernel_shape', 0);
  const weight = structure.initializers.get(node.inputs[1]);
  return weight?.dims.length === 3 ? weight.dims[2] : null;
}

/** Operators that change the number of frames in other ways than a plain convolution. */
const resampling = /Pool|^Resize$|^Upsample$|^ConvTranspose$|^STFT$|^DFT$/;

/**
 * The chain of one-dimensional convolutions on the waveform's way to the first hidden state, or null if the front end is not a
 * plain chain (padding, dilation, pooling, branches), so that frame times cannot be told from it.
 * @param end position of the first hidden state in the flow
 */
export function convolutionChain(structure: OnnxStructure, flow: DataFlow, end: number): ConvolutionChain | null {
  const kernels: number[] = [];
  const strides: number[] = [];
  const onPath = new Set(flow.cuts.map(({ node }) => node));
  for (const node of flow.nodes.slice(0, end + 1)) {
    if (resampling.test(node.opType)) return null;
    if (node.opType !== 'Conv') continue;
    const stride = single(node, 'strides', 1);
    // A convolution beside the main path is the positional one: it must keep the number of frames.
    if (!onPath.has(node)) {
      if (stride !== 1) return null;
      continue;
    }
    const kernel = kernelOf(node, structure);
    const pads = node.attributes.get('pads') ?? [];
    const autoPad = node.attributes.get('auto_pad') ?? 'NOTSET';
    const isPlain = Array.isArray(pads) && pads.every((pad) => pad === 0) && (autoPad === 'NOTSET' || autoPad === 'VALID');
    if (kernel === null || kernel < 1 || stride === null || stride < 1 || !isPlain || single(node, 'dilations', 1) !== 1)
      return null;
    kernels.push(kernel);
    strides.push(stride);
  }
  return kernels.length > 0 ? { kernels, strides } : null;
}

/** Does the front end normalise over the whole utterance (group norm), so that padding and cutting change its results? */
export function normalisesOverTime(flow: DataFlow, end: number): boolean {
  return flow.nodes.slice(0, end + 1).some(({ opType }) => /^(InstanceNormalization|GroupNormalization|GroupNorm)$/.test(opType));
}

const elementwise = /^(Sub|Div|Mul|Add|Pow|Sqrt|Cast|Identity|Dropout|ReduceMean|(Skip)?(Simplified)?LayerNormalization)$/;

/**
 * Width of a hidden state: from the file's own shapes, else from the first weight that its readers multiply it with or
 * normalise it by. 0 if neither tells.
 */
export function widthOf(structure: OnnxStructure, tensor: string): number {
  const declared = structure.valueInfo.get(tensor) ?? structure.outputs.find(({ name }) => name === tensor);
  const last = declared?.shape?.at(-1);
  if (typeof last === 'number' && last > 0) return last;
  const reached = new Set([tensor]);
  let steps = 0;
  for (const node of structure.nodes) {
    if (node.outputs.includes(tensor) && /LayerNormalization$/.test(node.opType)) {
      const scale = structure.initializers.get(node.inputs[/^Skip/.test(node.opType) ? 2 : 1]);
      if (scale?.dims.length === 1) return scale.dims[0];
    }
    if (!node.inputs.some((name) => reached.has(name))) continue;
    for (const name of node.inputs) {
      const weight = structure.initializers.get(name);
      if (/^(MatMul|Gemm)$/.test(node.opType) && weight?.dims.length === 2)
        return weight.dims[node.attributes.get('transB') === 1 ? 1 : 0];
      if (elementwise.test(node.opType) && weight?.dims.length === 1 && weight.dims[0] > 1) return weight.dims[0];
    }
    if (elementwise.test(node.opType)) for (const name of node.outputs) reached.add(name);
    if (++steps > 64) break;
  }
  return 0;
}
