import { type WavlmConfig } from '../config.ts';
import { type Attention, multiHeadAttention } from './attention.ts';
import { type EncoderContext, foldRows, ones, unfoldRows } from './context.ts';
import { linear } from './layers.ts';

/**
 * The bucket of every distance key - query from -maxDistance to maxDistance; those further away share the outermost ones
 * (Chen et al. 2022, eq. 2; Raffel et al. 2020). Half of the buckets are for keys to the right; of each half, half are for
 * exact distances and the others grow logarithmically.
 * Steps are rounded to float32 as torch does, since a distance can lie on the border of two buckets.
 */
export function distanceBuckets(bucketCount: number, maxDistance: number): number[] {
  const perSide = Math.floor(bucketCount / 2);
  const exact = Math.floor(perSide / 2);
  const scale = Math.fround(Math.log(maxDistance / exact));
  const bucketOf = (distance: number) => {
    if (distance < exact) return distance;
    const growth = Math.fround(Math.fround(Math.log(Math.fround(distance / exact))) / scale);
    return Math.min(Math.trunc(Math.fround(exact + Math.fround(growth * (perSide - exact)))), perSide - 1);
  };
  return Array.from({ length: 2 * maxDistance + 1 }, (_, index) => {
    const distance = index - maxDistance;
    return bucketOf(Math.abs(distance)) + (distance > 0 ? perSide : 0);
  });
}

/**
 * The position bias [heads, frames, frames] that all blocks share: a learned number for each head and bucket of distance. Looked
 * up once for each of the 2 frames - 1 distances, then laid out for every pair.
 * @param rows any block's input; only its number of frames matters
 */
export function positionBias(context: EncoderContext<WavlmConfig>, rows: string): string {
  const { graph, parameters, config } = context;
  const { num_buckets: buckets, max_bucket_distance: furthest, num_attention_heads: heads } = config;
  const embedding = parameters.value({
    name: 'encoder.layers.0.attention.rel_attn_embed.weight',
    shape: [buckets, heads],
    init: { draw: 'normal', deviation: config.initializer_range },
  });
  const [zero, one] = [graph.integers(0), graph.integers(1)];
  const sequence = unfoldRows(context, rows, [config.hidden_size]);
  const frames = graph.node('Gather', [graph.node('Shape', [sequence]), one], { axis: 0 });
  const last = graph.node('Sub', [frames, one]);
  const distances = graph.node('Range', [graph.node('Neg', [last]), frames, one]);
  const clipped = graph.node('Clip', [distances, graph.integers(-furthest), graph.integers(furthest)]);
  const bucketOfDistance = graph.node('Gather', [
    graph.integers(distanceBuckets(buckets, furthest)),
    graph.node('Add', [clipped, graph.integers(furthest)]),
  ]);
  const biasOfDistance = graph.node('Transpose', [graph.node('Gather', [embedding, bucketOfDistance])], { perm: [1, 0] });
  const positions = graph.node('Range', [zero, frames, one]);
  const queries = graph.node('Unsqueeze', [positions, graph.integers([1])]);
  const pairs = graph.node('Add', [
    graph.node('Sub', [graph.node('Unsqueeze', [positions, graph.integers([0])]), queries]),
    last,
  ]);
  return graph.node('Gather', [biasOfDistance, pairs], { axis: 1 });
}

/**
 * How strongly each query lets the position bias in (Chen et al. 2022, eq. 3 to 5): a (b c - 1) + 2 with gates a and b from the
 * query's own state. [batch, heads, frames, 1]
 */
function biasGate(context: EncoderContext<WavlmConfig>, rows: string, name: string): string {
  const { graph, parameters, config } = context;
  const { num_attention_heads: heads, hidden_size: width } = config;
  const depth = width / heads;
  const perHead = foldRows(context, rows, depth);
  const eight = linear(context, perHead, `${name}.gru_rel_pos_linear`, { from: depth, to: 8 });
  const sums = graph.node('ReduceSum', [unfoldRows(context, eight, [heads, 2, 4]), graph.integers([-1])], { keepdims: 0 });
  const gates = graph.node('Transpose', [graph.node('Sigmoid', [sums])], { perm: [0, 2, 1, 3] });
  const [a, b] = graph.nodes('Split', [gates], { axis: 3 }, 2);
  const constant = parameters.value({ name: `${name}.gru_rel_pos_const`, shape: [1, heads, 1, 1], init: ones });
  const inner = graph.node('Sub', [graph.node('Mul', [b, constant]), graph.floats(1)]);
  return graph.node('Add', [graph.node('Mul', [a, inner]), graph.floats(2)]);
}

/**
 * WavLM's attention with its gated relative position bias.
 * @param given the bias, where another graph has computed it; else it is computed where the first block asks for it
 */
export function wavlmAttention(context: EncoderContext<WavlmConfig>, given?: string): Attention {
  let bias = given;
  return (rows, name) => {
    bias ??= positionBias(context, rows);
    const gated = context.graph.node('Mul', [biasGate(context, rows, name), bias]);
    return multiHeadAttention(context, rows, name, gated);
  };
}
