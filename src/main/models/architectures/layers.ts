import { dataType } from '#main/onnx/dataTypes.ts';
import { type GraphBuilder } from '#main/onnx/graph.ts';

import { type EncoderContext, type Initialisation, ones, type Parameter, zeros } from './context.ts';

/** nn.Linear's shape and how it is drawn. */
export interface LinearShape {
  from: number;
  to: number;
  weight?: Initialisation;
  bias?: Initialisation;
  /** A head's: see Parameter. */
  beside?: boolean;
}

/** x W' + b on rows [n, from], times `scale` if given: the weight [to, from] is read as it lies in the checkpoint. */
export function linear(
  { graph, parameters, config }: EncoderContext,
  rows: string,
  name: string,
  { from, to, weight, bias = zeros, beside }: LinearShape,
  scale = 1,
): string {
  const normal: Initialisation = { draw: 'normal', deviation: config.initializer_range };
  const weights: Parameter = { name: `${name}.weight`, shape: [to, from], init: weight ?? normal, beside };
  const held = parameters.quantised?.(weights) ?? parameters.value(weights);
  const offset = parameters.value({ name: `${name}.bias`, shape: [to], init: bias, beside });
  if (typeof held !== 'string') return quantisedLinear(graph, rows, held, offset, scale);
  const inputs = [rows, held, offset];
  return graph.node('Gemm', inputs, { transB: 1, ...(scale === 1 ? {} : { alpha: { float: scale }, beta: { float: scale } }) });
}

/**
 * A linear layer in 8-bit integers: rows are quantised as they come, one step size for all of them, and the products are exact.
 * The order of operators is the one that onnxruntime fuses into one.
 */
function quantisedLinear(
  graph: GraphBuilder,
  rows: string,
  { values, scales }: { values: string; scales: string },
  bias: string,
  scale: number,
): string {
  const [integers, step, zero] = graph.nodes('DynamicQuantizeLinear', [rows], {}, 3);
  const products = graph.node('Cast', [graph.node('MatMulInteger', [integers, values, zero])], { to: dataType.float });
  const sum = graph.node('Add', [graph.node('Mul', [products, graph.node('Mul', [step, scales])]), bias]);
  return scale === 1 ? sum : graph.node('Mul', [sum, graph.floats(scale)]);
}

/** torch's default epsilon, in front ends and wherever the configuration has no say. */
export const defaultEpsilon = 1e-5;

/** nn.LayerNorm over the last axis, of size `width`. */
export function layerNorm(
  { graph, parameters }: EncoderContext,
  value: string,
  name: string,
  width: number,
  epsilon: number,
): string {
  const inputs = [
    value,
    parameters.value({ name: `${name}.weight`, shape: [width], init: ones }),
    parameters.value({ name: `${name}.bias`, shape: [width], init: zeros }),
  ];
  return graph.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
}

/** [batch, a, b] as [batch, b, a]: between channels first (convolutions) and channels last (norms). */
export function swapAxes({ graph }: Pick<EncoderContext, 'graph'>, value: string): string {
  return graph.node('Transpose', [value], { perm: [0, 2, 1] });
}
