import { isPreNorm } from '../config.ts';
import { type ClassificationHead, type ConvAdapter, type CtcHead, type Head } from '../heads.ts';
import { type EncoderContext, fanIn, foldRows, ones, unfoldRows, zeros } from './context.ts';
import { defaultEpsilon, layerNorm, linear, swapAxes } from './layers.ts';

/** The graph's output of a head. */
export const logitsOutput = 'logits';

/**
 * What heads are given: the last block's output, which pre-norm encoders normalise first (it is transformers' last_hidden_state).
 * Rows [batch x frames, width] to rows.
 */
export function lastState(context: EncoderContext, rows: string): string {
  const { hidden_size: width, layer_norm_eps: epsilon } = context.config;
  return isPreNorm(context.config) ? layerNorm(context, rows, 'encoder.layer_norm', width, epsilon) : rows;
}

/** Strided convolutions with gated linear units (Dauphin et al. 2017) between encoder and head. Rows to fewer rows. */
function convAdapter(context: EncoderContext, rows: string, { layers, kernel, stride, width }: ConvAdapter): string {
  const { graph, parameters, config } = context;
  if (width !== config.hidden_size) {
    rows = linear(context, rows, 'adapter.proj', { from: config.hidden_size, to: width });
    rows = layerNorm(context, rows, 'adapter.proj_layer_norm', width, defaultEpsilon);
  }
  let value = swapAxes(context, unfoldRows(context, rows, [width]));
  for (let layer = 0; layer < layers; layer++) {
    const name = `adapter.layers.${layer}.conv`;
    const inputs = [
      value,
      parameters.value({ name: `${name}.weight`, shape: [2 * width, width, kernel], init: fanIn }),
      parameters.value({ name: `${name}.bias`, shape: [2 * width], init: zeros }),
    ];
    const convolved = graph.node('Conv', inputs, { kernel_shape: [kernel], strides: [stride], pads: [1, 1] });
    const [open, gate] = graph.nodes('Split', [convolved], { axis: 1 }, 2);
    value = graph.node('Mul', [open, graph.node('Sigmoid', [gate])]);
  }
  return foldRows(context, swapAxes(context, value), width);
}

function ctcHead(context: EncoderContext, rows: string, { vocabulary, adapter }: CtcHead): string {
  const [value, from] = adapter ? [convAdapter(context, rows, adapter), adapter.width] : [rows, context.config.hidden_size];
  const logits = linear(context, value, 'lm_head', { from, to: vocabulary, beside: true });
  return context.graph.output(logitsOutput, unfoldRows(context, logits, [vocabulary]), ['batch', 'outputs', vocabulary]);
}

/** The hidden states' sum, weighted by a softmax over layers (Yang et al. 2021, section 3.2). */
function weightedSum({ graph, parameters }: EncoderContext, states: readonly string[]): string {
  const weights = parameters.value({ name: 'layer_weights', shape: [states.length], init: ones, beside: true });
  const shares = graph.nodes('Split', [graph.node('Softmax', [weights], { axis: 0 })], { axis: 0 }, states.length);
  return graph.node(
    'Sum',
    states.map((state, layer) => graph.node('Mul', [state, shares[layer]])),
  );
}

function classificationHead(context: EncoderContext, rows: string, { projection, labels }: ClassificationHead): string {
  const { graph, config } = context;
  const projected = linear(context, rows, 'projector', { from: config.hidden_size, to: projection, beside: true });
  const mean = graph.node('ReduceMean', [unfoldRows(context, projected, [projection])], { axes: [1], keepdims: 0 });
  const logits = linear(context, mean, 'classifier', { from: projection, to: labels.length, beside: true });
  return graph.output(logitsOutput, logits, ['batch', labels.length]);
}

/**
 * Emits a head on an encoder's hidden states and makes its logits an output: [batch, frames, vocabulary] or [batch, classes].
 * @param states every layer's rows [batch x frames, width]; only the last one is read unless the head weighs all of them
 */
export function emitHead(context: EncoderContext, states: readonly string[], head: Head): string {
  return context.graph.scoped('head', () => {
    if (head.kind === 'classification' && head.weightedLayerSum)
      return classificationHead(context, weightedSum(context, states), head);
    const last = lastState(context, states[states.length - 1]);
    return head.kind === 'ctc' ? ctcHead(context, last, head) : classificationHead(context, last, head);
  });
}
