import { type GraphBuilder } from '#main/onnx/graph.ts';

import { type EncoderConfig, isPreNorm } from '../config.ts';
import { type Head } from '../heads.ts';
import { type Attention, multiHeadAttention } from './attention.ts';
import { block } from './block.ts';
import { type EncoderContext, type ParameterSource, unfoldRows } from './context.ts';
import { convEncoder } from './convEncoder.ts';
import { featureProjection } from './featureProjection.ts';
import { emitHead } from './heads.ts';
import { layerNorm } from './layers.ts';
import { addPositions } from './positionalConv.ts';
import { wavlmAttention } from './wavlmAttention.ts';

/** The graph's waveform input, float32 [batch, samples]. */
export const waveformInput = 'waveform';

/** The graph's output for a layer. */
export const layerOutput = (layer: number) => `hidden_states.${layer}`;

/**
 * The attention that all blocks of an encoder share.
 * @param bias WavLM's position bias, where it is at hand
 */
export function attentionOf(context: EncoderContext, bias?: string): Attention {
  const { config } = context;
  return config.model_type === 'wavlm'
    ? wavlmAttention({ ...context, config }, bias)
    : (rows, name) => multiHeadAttention(context, rows, name);
}

/**
 * The input of the first block, rows [batch x frames, width]: hidden state 0. Post-norm encoders normalise it; pre-norm ones use
 * that norm after the last block, outside of the hidden states.
 */
export function blockInput(context: EncoderContext, waveform: string): string {
  return projectFeatures(
    context,
    context.graph.scoped('feature_extractor', () => convEncoder(context, waveform)),
  );
}

/** From the conv encoder's features [batch, channels, frames] to hidden state 0, as rows. */
export function projectFeatures(context: EncoderContext, features: string): string {
  const { graph, config } = context;
  const projected = graph.scoped('feature_projection', () => featureProjection(context, features));
  return graph.scoped('encoder', () => {
    const positioned = addPositions(context, projected);
    return isPreNorm(config)
      ? positioned
      : layerNorm(context, positioned, 'encoder.layer_norm', config.hidden_size, config.layer_norm_eps);
  });
}

/**
 * Emits a speech encoder up to the highest layer asked for, with an output [batch, frames, width] for each layer; with a head all
 * blocks and the head's logits.
 * Layer 0 is the input of the first block, layer i the output of block i, as transformers 5 gives them; in pre-norm encoders the
 * last one is not normalised either, but what their head is given is.
 * @param layers hidden_states indices, in order of outputs
 */
export function emitEncoder(
  graph: GraphBuilder,
  parameters: ParameterSource,
  config: EncoderConfig,
  layers: readonly number[],
  head: Head | null = null,
): { outputs: { layer: number; name: string }[]; logits?: string } {
  const waveform = graph.input(waveformInput, ['batch', 'samples']);
  const batch = graph.node('Slice', [graph.node('Shape', [waveform]), graph.integers([0]), graph.integers([1])]);
  const context: EncoderContext = { graph, parameters, config, batch };
  const states = [blockInput(context, waveform)];
  const attention = attentionOf(context);
  const last = head ? config.num_hidden_layers : Math.max(...layers);
  for (let index = 0; index < last; index++)
    states.push(graph.scoped('encoder', () => block(context, states[index], index, attention)));
  const outputs = layers.map((layer) => {
    const sequence = unfoldRows(context, states[layer], [config.hidden_size]);
    return { layer, name: graph.output(layerOutput(layer), sequence, ['batch', 'frames', config.hidden_size]) };
  });
  return { outputs, logits: head ? emitHead(context, states, head) : undefined };
}
