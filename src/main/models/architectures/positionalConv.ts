import { activation } from './activation.ts';
import { type EncoderContext, fanIn, foldRows, type Initialisation, ones, type Parameter, unfoldRows, zeros } from './context.ts';
import { defaultEpsilon, swapAxes } from './layers.ts';

/** The names of magnitude and direction of a weight-normed weight: torch's parametrization, and its older weight_norm. */
const weightNormNames = [
  ['parametrizations.weight.original0', 'parametrizations.weight.original1'],
  ['weight_g', 'weight_v'],
];

/** A weight-normed weight [width, width / groups, kernel]: g v / ||v||, one norm for each kernel position (dim=2). */
function weightNormed({ graph, parameters }: EncoderContext, name: string, plain: Parameter): string {
  // The control draws it as it is, and from some checkpoints the norm was removed.
  if (parameters.has(plain.name)) return parameters.value(plain);
  const { shape, init } = plain;
  const [magnitude, direction] = weightNormNames.find(([g]) => parameters.has(`${name}.${g}`)) ?? weightNormNames[0];
  const g = parameters.value({ name: `${name}.${magnitude}`, shape: [1, 1, shape[2]], init: ones });
  const v = parameters.value({ name: `${name}.${direction}`, shape, init });
  const length = graph.node('ReduceL2', [v], { axes: [0, 1], keepdims: 1 });
  return graph.node('Mul', [v, graph.node('Div', [g, length])]);
}

/** A grouped convolution that keeps the number of frames: even kernels see one frame less of the future. [batch, width, frames] */
function sameConv(
  { graph, parameters, config }: EncoderContext,
  value: string,
  weight: string,
  name: string,
  kernel: number,
): string {
  const half = Math.floor(kernel / 2);
  const inputs = [value, weight, parameters.value({ name: `${name}.bias`, shape: [config.hidden_size], init: zeros })];
  return graph.node('Conv', inputs, {
    kernel_shape: [kernel],
    pads: [half, kernel % 2 === 0 ? half - 1 : half],
    group: config.num_conv_pos_embedding_groups,
  });
}

/** BatchNorm1d at inference over [batch, width, frames]. */
function batchNorm({ graph, parameters, config }: EncoderContext, value: string, name: string): string {
  const part = (key: string, init: Initialisation) =>
    parameters.value({ name: `${name}.${key}`, shape: [config.hidden_size], init });
  const inputs = [value, part('weight', ones), part('bias', zeros), part('running_mean', zeros), part('running_var', ones)];
  return graph.node('BatchNormalization', inputs, { epsilon: { float: defaultEpsilon } });
}

/** LayerNorm without parameters over the channels of [batch, width, frames]. */
function plainChannelNorm(context: EncoderContext, value: string): string {
  const { graph, config } = context;
  const scale = graph.floats(new Float32Array(config.hidden_size).fill(1));
  const normed = graph.node('LayerNormalization', [swapAxes(context, value), scale], {
    axis: -1,
    epsilon: { float: defaultEpsilon },
  });
  return swapAxes(context, normed);
}

/** One wide convolution with weight norm (wav2vec 2.0), or behind a batch norm (some HuBERTs). [batch, width, frames] */
function wideConv(context: EncoderContext, value: string, kernel: number): string {
  const { graph, parameters, config } = context;
  const { hidden_size: width, num_conv_pos_embedding_groups: groups } = config;
  const name = 'encoder.pos_conv_embed.conv';
  const isBatchNormed = config.model_type === 'hubert' && config.conv_pos_batch_norm;
  const weight: Parameter = {
    name: `${name}.weight`,
    shape: [width, width / groups, kernel],
    // transformers means to draw a weight-normed weight otherwise, but writes to the product, which is then computed anew from
    // torch's own initial values.
    init: isBatchNormed ? fanIn : { draw: 'uniform', bound: 1 / Math.sqrt((width / groups) * kernel) },
  };
  const convolved = isBatchNormed
    ? sameConv(context, batchNorm(context, value, 'encoder.pos_conv_embed.batch_norm'), parameters.value(weight), name, kernel)
    : sameConv(context, value, weightNormed(context, name, weight), name, kernel);
  return activation(graph, config.feat_extract_activation, convolved);
}

/** Several narrow convolutions, each followed by a norm without parameters (data2vec). [batch, width, frames] */
function stackedConvs(context: EncoderContext, value: string, kernel: number, count: number): string {
  const { graph, parameters, config } = context;
  const { hidden_size: width, num_conv_pos_embedding_groups: groups } = config;
  for (let index = 0; index < count; index++) {
    const name = `encoder.pos_conv_embed.layers.${index}.conv`;
    const weight = parameters.value({ name: `${name}.weight`, shape: [width, width / groups, kernel], init: fanIn });
    value = plainChannelNorm(context, sameConv(context, value, weight, name, kernel));
    value = activation(graph, config.feat_extract_activation, value);
  }
  return value;
}

/** Adds what convolutions over neighbouring frames say about position. Rows [batch x frames, width] to rows. */
export function addPositions(context: EncoderContext, rows: string): string {
  const { graph, config } = context;
  const channelsFirst = swapAxes(context, unfoldRows(context, rows, [config.hidden_size]));
  const positions =
    config.model_type === 'data2vec-audio'
      ? stackedConvs(context, channelsFirst, config.conv_pos_kernel_size, config.num_conv_pos_embeddings)
      : wideConv(context, channelsFirst, config.num_conv_pos_embeddings);
  return graph.node('Add', [rows, foldRows(context, swapAxes(context, positions), config.hidden_size)]);
}
