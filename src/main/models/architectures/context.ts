import { type GraphBuilder } from '#main/onnx/graph.ts';

import { type EncoderConfig } from '../config.ts';

/**
 * How transformers' _init_weights draws a parameter. `fan-in` is a normal distribution with variance 2 / fan_in
 * (He et al. 2015, eq. 10), fan_in being the product of all axes but the first.
 */
export type Initialisation =
  | { draw: 'zeros' }
  | { draw: 'ones' }
  | { draw: 'normal'; deviation: number }
  | { draw: 'fan-in' }
  | { draw: 'uniform'; bound: number };

export const zeros: Initialisation = { draw: 'zeros' };
export const ones: Initialisation = { draw: 'ones' };
export const fanIn: Initialisation = { draw: 'fan-in' };

/** A parameter as the architecture asks for it. Names are those of transformers without the model's prefix. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  /** For the random-weights control. */
  init: Initialisation;
  /** Belongs to a head: it stands beside the encoder in the checkpoint, without the encoder's prefix. */
  beside?: boolean;
}

/** Where parameters come from: a checkpoint, a random generator, or a mixture of two checkpoints. */
export interface ParameterSource {
  has(name: string): boolean;
  /** The parameter as a float32 value of the graph. */
  value(parameter: Parameter): string;
  /** A linear layer's weight [out, in] as int8 [in, out] and a float32 scale for each output [out], where it is held so. */
  quantised?(parameter: Parameter): { values: string; scales: string } | undefined;
}

/** What every piece of an architecture is given. */
export interface EncoderContext<C extends EncoderConfig = EncoderConfig> {
  graph: GraphBuilder;
  parameters: ParameterSource;
  config: C;
  /** int64 [1]: the batch size. The residual stream is kept as rows [batch x frames, width]. */
  batch: string;
}

/** Rows [batch x frames, width] as [batch, frames, ...inner], where the product of `inner` is the width. */
export function unfoldRows(
  { graph, batch }: Pick<EncoderContext, 'graph' | 'batch'>,
  rows: string,
  inner: readonly number[],
): string {
  const shape = graph.node('Concat', [batch, graph.integers([-1, ...inner])], { axis: 0 });
  return graph.node('Reshape', [rows, shape]);
}

/** [..., width] as rows [batch x frames, width]. */
export function foldRows({ graph }: Pick<EncoderContext, 'graph'>, value: string, width: number): string {
  return graph.node('Reshape', [value, graph.integers([-1, width])]);
}
