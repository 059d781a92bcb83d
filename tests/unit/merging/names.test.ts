import { describe, expect, it } from 'vitest';

import { canonicalNames, countBlocks, encoderPrefix, isBuffer, layerOf, moduleOf } from '#main/merging/names.ts';

const canonicalOf = (names: string[]) =>
  Object.fromEntries(
    [...canonicalNames(names)].map(([name, { canonical, isHead }]) => [name, isHead ? `head ${canonical}` : canonical]),
  );

describe('names of tensors', () => {
  it('lose their prefix; what stands beside the encoder is a head', () => {
    expect(
      canonicalOf([
        'hubert.feature_extractor.conv_layers.0.conv.weight',
        'hubert.encoder.layers.0.final_layer_norm.bias',
        'hubert.masked_spec_embed',
        'lm_head.weight',
      ]),
    ).toEqual({
      'hubert.feature_extractor.conv_layers.0.conv.weight': 'feature_extractor.conv_layers.0.conv.weight',
      'hubert.encoder.layers.0.final_layer_norm.bias': 'encoder.layers.0.final_layer_norm.bias',
      'hubert.masked_spec_embed': 'masked_spec_embed',
      'lm_head.weight': 'head lm_head.weight',
    });
    expect(encoderPrefix(['module.wav2vec2.feature_extractor.conv_layers.0.conv.weight'])).toBe('module.wav2vec2.');
    expect(encoderPrefix(['a.weight'])).toBeUndefined();
  });

  it('of fairseq and s3prl are those of Hugging Face', () => {
    const fairseq = {
      'model.feature_extractor.conv_layers.0.0.weight': 'feature_extractor.conv_layers.0.conv.weight',
      'model.feature_extractor.conv_layers.0.2.weight': 'feature_extractor.conv_layers.0.layer_norm.weight',
      'model.feature_extractor.conv_layers.1.2.1.bias': 'feature_extractor.conv_layers.1.layer_norm.bias',
      'model.layer_norm.weight': 'feature_projection.layer_norm.weight',
      'model.post_extract_proj.bias': 'feature_projection.projection.bias',
      'model.mask_emb': 'masked_spec_embed',
      'model.encoder.pos_conv.0.weight_g': 'encoder.pos_conv_embed.conv.parametrizations.weight.original0',
      'model.encoder.layers.3.self_attn.k_proj.weight': 'encoder.layers.3.attention.k_proj.weight',
      'model.encoder.layers.3.self_attn_layer_norm.weight': 'encoder.layers.3.layer_norm.weight',
      'model.encoder.layers.3.fc1.weight': 'encoder.layers.3.feed_forward.intermediate_dense.weight',
      'model.encoder.layers.3.fc2.bias': 'encoder.layers.3.feed_forward.output_dense.bias',
      'model.encoder.layers.0.self_attn.relative_attention_bias.weight': 'encoder.layers.0.attention.rel_attn_embed.weight',
      'model.encoder.layers.0.self_attn.grep_a': 'encoder.layers.0.attention.gru_rel_pos_const',
      'model.encoder.layer_norm.weight': 'encoder.layer_norm.weight',
      'model.final_proj.weight': 'head final_proj.weight',
      'model.label_embs_concat': 'head label_embs_concat',
    };
    expect(canonicalOf(Object.keys(fairseq))).toEqual(fairseq);
  });

  it('of models that nobody knows stay, but for the usual heads', () => {
    expect(canonicalOf(['blocks.0.weight_v', 'classifier.weight'])).toEqual({
      'blocks.0.weight_v': 'blocks.0.parametrizations.weight.original1',
      'classifier.weight': 'head classifier.weight',
    });
  });

  it('tell the module and the layer of hidden_states', () => {
    const place = { blocks: 12, normsFirst: false };
    expect(
      [
        'feature_extractor.conv_layers.0.layer_norm.weight',
        'feature_projection.layer_norm.weight',
        'encoder.pos_conv_embed.conv.bias',
        'encoder.pos_conv_embed.layers.3.conv.weight',
        'encoder.layer_norm.weight',
        'encoder.layers.0.attention.k_proj.weight',
        'encoder.layers.11.feed_forward.output_dense.bias',
        'encoder.layers.4.final_layer_norm.weight',
        'masked_spec_embed',
      ].map((name) => `${moduleOf(name)} ${layerOf(name, place)}`),
    ).toEqual(['conv 0', 'projection 0', 'position 0', 'position 0', 'norm 0', 'attention 1', 'ffn 12', 'norm 5', 'other 0']);
    expect(layerOf('encoder.layer_norm.weight', { blocks: 12, normsFirst: true })).toBe(12);
    expect(countBlocks(['encoder.layers.0.x', 'encoder.layers.11.x', 'encoder.pos_conv_embed.layers.40.conv.weight'])).toBe(12);
    expect(isBuffer('encoder.pos_conv_embed.batch_norm.running_var')).toBe(true);
  });
});
