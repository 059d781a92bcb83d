import { moduleNames, type TensorModule, tensorModules } from '#shared/merge.ts';

/**
 * One name for the same tensor of the same encoder, whoever saved it: Hugging Face's present names without a prefix. Known are the
 * names of transformers with any prefix (`hubert.`, `module.wav2vec2.`), its older weight norm, and fairseq's, which s3prl keeps.
 */

export { moduleNames, type TensorModule, tensorModules };

/** Every encoder of the wav2vec 2.0 family has this tensor, first in Hugging Face's naming, then in fairseq's. */
const landmark = /(?:^|\.)feature_extractor\.conv_layers\.0\.(?:conv|0)\.weight$/;

/** Below the prefix, all else is a head: of pre-training (quantizer, final_proj) or of a task. */
const backbone = /^(?:feature_extractor|feature_projection|encoder|adapter)\.|^masked_spec_embed$/;

/** Heads of models of unknown architecture, where there is no list of what an encoder consists of. */
const usualHeads =
  /^(?:lm_head|classifier|projector|score|final_proj|label_embs_concat|project_q|project_hid|quantizer|layer_weights|tdnn|objective)\b/;

/** fairseq's names, as transformers' conversion scripts map them. Applied in order, each to the result of the one before. */
const fromFairseq: readonly [RegExp, string][] = [
  [/^(feature_extractor\.conv_layers\.\d+)\.0\./, '$1.conv.'],
  [/^(feature_extractor\.conv_layers\.\d+)\.2\.(?:1\.)?/, '$1.layer_norm.'],
  [/^layer_norm\./, 'feature_projection.layer_norm.'],
  [/^post_extract_proj\./, 'feature_projection.projection.'],
  [/^mask_emb$/, 'masked_spec_embed'],
  [/^encoder\.pos_conv\.(\d+)\.0\./, 'encoder.pos_conv_embed.layers.$1.conv.'],
  [/^encoder\.pos_conv\.0\./, 'encoder.pos_conv_embed.conv.'],
  [/^(encoder\.layers\.\d+)\.self_attn\.relative_attention_bias\./, '$1.attention.rel_attn_embed.'],
  [/^(encoder\.layers\.\d+)\.self_attn\.grep_linear\./, '$1.attention.gru_rel_pos_linear.'],
  [/^(encoder\.layers\.\d+)\.self_attn\.grep_a$/, '$1.attention.gru_rel_pos_const'],
  [/^(encoder\.layers\.\d+)\.self_attn\./, '$1.attention.'],
  [/^(encoder\.layers\.\d+)\.self_attn_layer_norm\./, '$1.layer_norm.'],
  [/^(encoder\.layers\.\d+)\.fc1\./, '$1.feed_forward.intermediate_dense.'],
  [/^(encoder\.layers\.\d+)\.fc2\./, '$1.feed_forward.output_dense.'],
];

const fromOldWeightNorm: readonly [RegExp, string][] = [
  [/\.weight_g$/, '.parametrizations.weight.original0'],
  [/\.weight_v$/, '.parametrizations.weight.original1'],
];

/** What the names of an encoder's tensors begin with: `hubert.`, `model.`, often nothing. undefined where no encoder is recognised. */
export function encoderPrefix(names: Iterable<string>): string | undefined {
  let shortest: string | undefined;
  for (const name of names) {
    const found = landmark.exec(name);
    if (!found) continue;
    const prefix = name.slice(0, found.index + (found[0].startsWith('.') ? 1 : 0));
    if (shortest === undefined || prefix.length < shortest.length) shortest = prefix;
  }
  return shortest;
}

/** Canonical name and part of the model of every tensor; heads are named without the prefix too. */
export function canonicalNames(names: Iterable<string>): Map<string, { canonical: string; isHead: boolean }> {
  const all = [...names];
  const prefix = encoderPrefix(all);
  const isFairseq = prefix !== undefined && all.includes(`${prefix}feature_extractor.conv_layers.0.0.weight`);
  const rename = (name: string, rules: readonly [RegExp, string][]) =>
    rules.reduce((text, [from, to]) => text.replace(from, to), name);
  return new Map(
    all.map((name) => {
      const isBelow = prefix !== undefined && name.startsWith(prefix);
      const bare = isBelow ? name.slice(prefix.length) : name;
      const canonical = rename(isFairseq && isBelow ? rename(bare, fromFairseq) : bare, fromOldWeightNorm);
      const isHead = prefix === undefined ? usualHeads.test(canonical) : !isBelow || !backbone.test(canonical);
      return [name, { canonical, isHead }];
    }),
  );
}

/** Whether a name is that of a usual head: for graphs, where there is no list of what an encoder consists of. */
export function isUsualHead(canonical: string): boolean {
  return usualHeads.test(canonical);
}

/** Statistics of batch norm and counters: they follow from data, not from gradients, and are not merged. */
export function isBuffer(canonical: string): boolean {
  return /(?:^|\.)(?:running_mean|running_var|num_batches_tracked|embed_positions\.weights?)$/.test(canonical);
}

/** Which part of an encoder a canonical name belongs to. */
export function moduleOf(canonical: string): TensorModule {
  if (canonical.startsWith('feature_extractor.')) return 'conv';
  if (canonical.startsWith('feature_projection.')) return 'projection';
  if (/^encoder\.pos_conv_embed\./.test(canonical)) return 'position';
  if (/\.(?:attention|self_attn)\./.test(canonical)) return 'attention';
  if (/(?:^|\.)[a-z_]*layer_?norm\./.test(canonical)) return 'norm';
  if (/\.(?:feed_forward|ffn|fc1|fc2|intermediate_dense|output_dense)\b/.test(canonical)) return 'ffn';
  return 'other';
}

/**
 * The layer a tensor belongs to, as the index of Hugging Face's hidden_states: block i, `encoder.layers.i`, makes layer i + 1; all
 * before the blocks belongs to layer 0. `encoder.layer_norm` stands before the first block, or after the last where norms come first
 * (`normsFirst`, do_stable_layer_norm), which then is layer `blocks`.
 */
export function layerOf(canonical: string, { blocks, normsFirst }: { blocks: number; normsFirst: boolean }): number {
  const block = /(?:^|\.)layers\.(\d+)\./.exec(canonical);
  if (block && !canonical.startsWith('encoder.pos_conv_embed.') && !canonical.startsWith('adapter.')) return Number(block[1]) + 1;
  if (canonical.startsWith('adapter.') || (normsFirst && canonical.startsWith('encoder.layer_norm.'))) return blocks;
  return 0;
}

/** Number of blocks that the names tell of. */
export function countBlocks(canonicals: Iterable<string>): number {
  let blocks = 0;
  for (const name of canonicals) blocks = Math.max(blocks, layerOf(name, { blocks: 0, normsFirst: false }));
  return blocks;
}
