import { type EncoderContext, foldRows, unfoldRows } from './context.ts';
import { linear } from './layers.ts';

/** Emits self-attention on rows [batch x frames, width]; `name` is the module's, such as `encoder.layers.0.attention`. */
export type Attention = (rows: string, name: string) => string;

/**
 * Multi-head self-attention (Vaswani et al. 2017): softmax(Q K' / sqrt d + bias) V per head.
 * @param bias added to the scores, [batch, heads, frames, frames] or broadcast to it
 */
export function multiHeadAttention(context: EncoderContext, rows: string, name: string, bias?: string): string {
  const { graph, config } = context;
  const { hidden_size: width, num_attention_heads: heads } = config;
  const depth = width / heads;
  const shape = { from: width, to: width };
  const perHead = (part: string, perm: readonly number[], scale?: number) =>
    graph.node('Transpose', [unfoldRows(context, linear(context, rows, `${name}.${part}`, shape, scale), [heads, depth])], {
      perm,
    });
  const queries = perHead('q_proj', [0, 2, 1, 3], 1 / Math.sqrt(depth));
  const keys = perHead('k_proj', [0, 2, 3, 1]);
  const values = perHead('v_proj', [0, 2, 1, 3]);
  const scores = graph.node('MatMul', [queries, keys]);
  const weights = graph.node('Softmax', [bias === undefined ? scores : graph.node('Add', [scores, bias])], { axis: -1 });
  const mixed = graph.node('Transpose', [graph.node('MatMul', [weights, values])], { perm: [0, 2, 1, 3] });
  return linear(context, foldRows(context, mixed, width), `${name}.out_proj`, shape);
}
