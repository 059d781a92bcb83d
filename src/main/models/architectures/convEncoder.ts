import { frontEndNorm } from '../config.ts';
import { activation } from './activation.ts';
import { type EncoderContext, fanIn, type Initialisation, ones, zeros } from './context.ts';
import { defaultEpsilon, layerNorm, swapAxes } from './layers.ts';

/** GroupNorm with a group for each channel: every channel is normalised over time, [batch, channels, frames]. */
function normOverTime({ graph, parameters }: EncoderContext, value: string, name: string, channels: number): string {
  const inputs = [
    value,
    parameters.value({ name: `${name}.weight`, shape: [channels], init: ones }),
    parameters.value({ name: `${name}.bias`, shape: [channels], init: zeros }),
  ];
  return graph.node('InstanceNormalization', inputs, { epsilon: { float: defaultEpsilon } });
}

function biasInit({ config }: EncoderContext, channels: number, kernel: number): Initialisation {
  return config.model_type === 'hubert' ? zeros : { draw: 'uniform', bound: 1 / Math.sqrt(channels * kernel) };
}

/**
 * The strided convolutions over the waveform (Baevski et al. 2020, section 2). With the group norm only the first layer is
 * normalised, over time; with the layer norm every layer is, frame by frame.
 * @param waveform [batch, samples]
 * @returns [batch, channels, frames]
 */
export function convEncoder(context: EncoderContext, waveform: string): string {
  const { graph, parameters, config } = context;
  const norm = frontEndNorm(config);
  let value = graph.node('Unsqueeze', [waveform, graph.integers([1])]);
  let channels = 1;
  for (const [index, width] of config.conv_dim.entries()) {
    const name = `feature_extractor.conv_layers.${index}`;
    const [kernel, stride] = [config.conv_kernel[index], config.conv_stride[index]];
    const inputs = [value, parameters.value({ name: `${name}.conv.weight`, shape: [width, channels, kernel], init: fanIn })];
    if (config.conv_bias)
      inputs.push(parameters.value({ name: `${name}.conv.bias`, shape: [width], init: biasInit(context, channels, kernel) }));
    value = graph.node('Conv', inputs, { kernel_shape: [kernel], strides: [stride] });
    if (norm === 'layer') {
      value = swapAxes(context, layerNorm(context, swapAxes(context, value), `${name}.layer_norm`, width, defaultEpsilon));
    } else if (index === 0) {
      value = normOverTime(context, value, `${name}.layer_norm`, width);
    }
    value = activation(graph, config.feat_extract_activation, value);
    channels = width;
  }
  return value;
}
