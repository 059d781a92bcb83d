import { type GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type EncoderConfig } from '../config.ts';
import { type Head } from '../heads.ts';
import { type ExitHead, type StagePiece, type StagePorts, type StageSpec, type StageValue } from '../stages.ts';
import { type Attention } from './attention.ts';
import { block } from './block.ts';
import { type EncoderContext, fanIn, foldRows, type ParameterSource, unfoldRows } from './context.ts';
import { convEncoder } from './convEncoder.ts';
import { attentionOf, projectFeatures } from './encoder.ts';
import { emitHead } from './heads.ts';
import { linear } from './layers.ts';
import { positionBias } from './wavlmAttention.ts';

/** What every piece takes and gives. */
const ports: Record<StagePiece['kind'], { takes: StageValue; gives: StageValue }> = {
  filter: { takes: 'waveform', gives: 'waveform' },
  features: { takes: 'waveform', gives: 'features' },
  pool: { takes: 'features', gives: 'features' },
  project: { takes: 'features', gives: 'hidden_states' },
  block: { takes: 'hidden_states', gives: 'hidden_states' },
  'own-head': { takes: 'hidden_states', gives: 'logits' },
  'exit-head': { takes: 'hidden_states', gives: 'logits' },
};

/** (x - mean) / sqrt(variance + 1e-7) over [batch, samples], as feature extractors do. */
function normalised(graph: GraphBuilder, waveform: string): string {
  const mean = (value: string) => graph.node('ReduceMean', [value], { axes: [-1], keepdims: 1 });
  const centred = graph.node('Sub', [waveform, mean(waveform)]);
  const variance = mean(graph.node('Mul', [centred, centred]));
  return graph.node('Div', [centred, graph.node('Sqrt', [graph.node('Add', [variance, graph.floats(1e-7)])])]);
}

function filtered(graph: GraphBuilder, waveform: string, { filter, renormalise }: StagePiece & { kind: 'filter' }): string {
  const { weights, stride, before, after } = filter;
  const kernel = graph.node('Reshape', [graph.floats(weights), graph.integers([1, 1, weights.length])]);
  const channels = graph.node('Unsqueeze', [waveform, graph.integers([1])]);
  const attributes = { kernel_shape: [weights.length], strides: [stride], pads: [before, after] };
  const value = graph.node('Squeeze', [graph.node('Conv', [channels, kernel], attributes), graph.integers([1])]);
  return renormalise ? normalised(graph, value) : value;
}

/** Logits [batch, rows, characters] of a head on raw hidden states; several rows a frame lie side by side in one. */
function emitExitHead(context: EncoderContext, rows: string, { name, inner, vocabulary, upsampling }: ExitHead): string {
  const { graph, config } = context;
  const drawn = { weight: fanIn, beside: true };
  let value = rows;
  if (inner !== null) {
    value = linear(context, value, `${name}.inner`, { from: config.hidden_size, to: inner, ...drawn });
    value = graph.node('LeakyRelu', [value], { alpha: { float: 0.01 } });
  }
  const from = inner ?? config.hidden_size;
  const logits = linear(context, value, name, { from, to: vocabulary * upsampling, ...drawn });
  return unfoldRows(context, logits, [vocabulary]);
}

/** Graph names of what a stage gives. */
const outputName = (value: StageValue): string =>
  value === 'logits' || value === 'previous_hidden_states' ? value : `next_${value}`;

/**
 * Emits a stretch of an encoder as a graph of its own: its inputs are what the first piece takes (blocks of WavLM also the position
 * bias), its outputs what the last one gives.
 * @param head the model's own, for an `own-head` piece
 * @throws ForetuneError `internal` for pieces that do not follow one another.
 */
export function emitStage(
  graph: GraphBuilder,
  parameters: ParameterSource,
  config: EncoderConfig,
  { id, pieces, previous = false }: StageSpec,
  head: Head | null,
): StagePorts {
  const width = config.hidden_size;
  const inputs: StagePorts['inputs'] = [];
  const outputs: StagePorts['outputs'] = [];
  const shapes: Record<StageValue, (string | number)[]> = {
    waveform: ['batch', 'samples'],
    features: ['batch', config.conv_dim[config.conv_dim.length - 1], 'frames'],
    hidden_states: ['batch', 'frames', width],
    previous_hidden_states: ['batch', 'frames', width],
    position_bias: [config.num_attention_heads, 'frames', 'frames'],
    logits: ['batch', 'rows', 'characters'],
  };
  const take = (value: StageValue): string => {
    inputs.push({ name: value, value });
    return graph.input(value, shapes[value]);
  };
  const give = (value: StageValue, from: string): void => {
    const name = outputName(value);
    if (from !== name) graph.output(name, from, shapes[value]);
    outputs.push({ name, value });
  };

  let kind = ports[pieces[0].kind].takes;
  let value = take(kind);
  const batch = graph.node('Slice', [graph.node('Shape', [value]), graph.integers([0]), graph.integers([1])]);
  const context: EncoderContext = { graph, parameters, config, batch };
  // Between blocks hidden states are rows, as in the whole encoder's graph.
  if (kind === 'hidden_states') value = foldRows(context, value, width);
  let before: string | undefined;
  let bias: string | undefined;
  let attention: Attention | undefined;
  for (const piece of pieces) {
    const { takes, gives } = ports[piece.kind];
    if (takes !== kind)
      throw new ForetuneError('internal', `Stage ${id}: the piece "${piece.kind}" takes ${takes}, not ${kind}.`);
    const current = value;
    switch (piece.kind) {
      case 'filter':
        value = graph.scoped('filter', () => filtered(graph, current, piece));
        break;
      case 'features':
        value = graph.scoped('feature_extractor', () => convEncoder(context, current));
        break;
      case 'pool':
        value = graph.node('AveragePool', [current], { kernel_shape: [piece.factor], strides: [piece.factor] });
        break;
      case 'project':
        value = projectFeatures(context, current);
        if (config.model_type === 'wavlm') bias = graph.scoped('encoder', () => positionBias({ ...context, config }, value));
        break;
      case 'block': {
        if (config.model_type === 'wavlm') bias ??= take('position_bias');
        const shared = (attention ??= attentionOf(context, bias));
        before = current;
        value = graph.scoped('encoder', () => block(context, current, piece.index, shared));
        break;
      }
      case 'own-head':
        if (head?.kind !== 'ctc') throw new ForetuneError('internal', `Stage ${id} asks for a head of characters.`);
        value = emitHead(context, [current], head);
        break;
      case 'exit-head':
        value = graph.scoped('exit', () => emitExitHead(context, current, piece.head));
        break;
    }
    kind = gives;
  }
  if (kind !== 'hidden_states') give(kind, value);
  else {
    give(kind, unfoldRows(context, value, [width]));
    if (bias !== undefined && inputs[0].value !== 'hidden_states') give('position_bias', bias);
    if (previous && before !== undefined) give('previous_hidden_states', unfoldRows(context, before, [width]));
  }
  return { inputs, outputs };
}
