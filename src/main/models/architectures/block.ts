import { isPreNorm } from '../config.ts';
import { activation } from './activation.ts';
import { type Attention } from './attention.ts';
import { type EncoderContext } from './context.ts';
import { defaultEpsilon, layerNorm, linear } from './layers.ts';

/** Two linear layers with an activation between them, on rows. */
function feedForward(context: EncoderContext, rows: string, name: string): string {
  const { graph, config } = context;
  const { hidden_size: width, intermediate_size: inner } = config;
  const opened = linear(context, rows, `${name}.intermediate_dense`, { from: width, to: inner });
  return linear(context, activation(graph, config.hidden_act, opened), `${name}.output_dense`, { from: inner, to: width });
}

/** The small bottleneck that some pre-norm blocks end with, one for each language (Pratap et al. 2023). */
function languageAdapter(context: EncoderContext, rows: string, name: string, inner: number): string {
  const { graph, config } = context;
  const width = config.hidden_size;
  const normed = layerNorm(context, rows, `${name}.norm`, width, defaultEpsilon);
  const opened = linear(context, normed, `${name}.linear_1`, { from: width, to: inner });
  return linear(context, graph.node('Relu', [opened]), `${name}.linear_2`, { from: inner, to: width });
}

/** Norms after attention and feed-forward, as in base models. */
function postNormBlock(context: EncoderContext, rows: string, name: string, attention: Attention): string {
  const { graph, config } = context;
  const norm = (value: string, part: string) =>
    layerNorm(context, value, `${name}.${part}`, config.hidden_size, config.layer_norm_eps);
  const attended = norm(graph.node('Add', [rows, attention(rows, `${name}.attention`)]), 'layer_norm');
  const fed = graph.node('Add', [attended, feedForward(context, attended, `${name}.feed_forward`)]);
  return norm(fed, 'final_layer_norm');
}

/** Norms before attention and feed-forward ("stable layer norm"), as in large models. */
function preNormBlock(context: EncoderContext, rows: string, name: string, attention: Attention): string {
  const { graph, config } = context;
  const norm = (value: string, part: string) =>
    layerNorm(context, value, `${name}.${part}`, config.hidden_size, config.layer_norm_eps);
  const attended = graph.node('Add', [rows, attention(norm(rows, 'layer_norm'), `${name}.attention`)]);
  const fed = graph.node('Add', [attended, feedForward(context, norm(attended, 'final_layer_norm'), `${name}.feed_forward`)]);
  const adapter = 'adapter_attn_dim' in config ? config.adapter_attn_dim : undefined;
  return adapter ? graph.node('Add', [fed, languageAdapter(context, fed, `${name}.adapter_layer`, adapter)]) : fed;
}

/** One transformer block on rows [batch x frames, width]. `index` counts from 0, as in the checkpoint. */
export function block(context: EncoderContext, rows: string, index: number, attention: Attention): string {
  const emit = isPreNorm(context.config) ? preNormBlock : postNormBlock;
  return context.graph.scoped(`layers.${index}`, () => emit(context, rows, `encoder.layers.${index}`, attention));
}
