import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';

import { createRandom } from '#main/linalg/random.ts';

/** HuBERT-base as transformers configures it. */
export const hubertBase = { layers: 12, width: 768, heads: 12, inner: 3072, convWidth: 512, positions: 128, groups: 16 };

type Shape = typeof hubertBase;

const kernels = [10, 3, 3, 3, 3, 2, 2];
const strides = [5, 2, 2, 2, 2, 2, 2];

function tensorShapes({ layers, width, inner, convWidth, positions, groups }: Shape): [string, number[]][] {
  const linear = (name: string, out: number, input: number): [string, number[]][] => [
    [`${name}.weight`, [out, input]],
    [`${name}.bias`, [out]],
  ];
  const norm = (name: string, size: number): [string, number[]][] => [
    [`${name}.weight`, [size]],
    [`${name}.bias`, [size]],
  ];
  return [
    ...kernels.map((kernel, i): [string, number[]] => [
      `feature_extractor.conv_layers.${i}.conv.weight`,
      [convWidth, i === 0 ? 1 : convWidth, kernel],
    ]),
    ...norm('feature_extractor.conv_layers.0.layer_norm', convWidth),
    ...norm('feature_projection.layer_norm', convWidth),
    ...linear('feature_projection.projection', width, convWidth),
    ['encoder.pos_conv_embed.conv.bias', [width]],
    ['encoder.pos_conv_embed.conv.parametrizations.weight.original0', [1, 1, positions]],
    ['encoder.pos_conv_embed.conv.parametrizations.weight.original1', [width, width / groups, positions]],
    ...norm('encoder.layer_norm', width),
    ...Array.from({ length: layers }, (_, i) => `encoder.layers.${i}`).flatMap((block) => [
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) => linear(`${block}.attention.${name}`, width, width)),
      ...norm(`${block}.layer_norm`, width),
      ...linear(`${block}.feed_forward.intermediate_dense`, inner, width),
      ...linear(`${block}.feed_forward.output_dense`, width, inner),
      ...norm(`${block}.final_layer_norm`, width),
    ]),
  ];
}

/** Writes a Hugging Face HuBERT folder with random float32 weights: as large as the real thing, and as slow. */
export async function writeRandomModel(folder: string, shape: Shape): Promise<void> {
  const config = {
    model_type: 'hubert',
    hidden_size: shape.width,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    intermediate_size: shape.inner,
    conv_dim: kernels.map(() => shape.convWidth),
    conv_kernel: kernels,
    conv_stride: strides,
    conv_bias: false,
    feat_extract_norm: 'group',
    do_stable_layer_norm: false,
    num_conv_pos_embeddings: shape.positions,
    num_conv_pos_embedding_groups: shape.groups,
    num_feat_extract_layers: kernels.length,
    hidden_act: 'gelu',
    feat_extract_activation: 'gelu',
    layer_norm_eps: 1e-5,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify({ do_normalize: false, sampling_rate: 16000 }));
  const tensors = tensorShapes(shape).map(([name, dims]) => ({ name, dims, count: dims.reduce((a, b) => a * b, 1) }));
  let offset = 0;
  const header = Object.fromEntries(
    tensors.map(({ name, dims, count }) => [name, { dtype: 'F32', shape: dims, data_offsets: [offset, (offset += 4 * count)] }]),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = createWriteStream(join(folder, 'model.safetensors'));
  file.write(length);
  file.write(text);
  const random = createRandom('bench model');
  // Values matter little for speed; a pool of normals keeps writing 378 MB short.
  const pool = Float32Array.from({ length: 1 << 16 }, () => 0.02 * random.normal());
  for (const { name, count } of tensors) {
    const values = new Float32Array(count);
    if (/norm\.weight$|original0$/.test(name)) values.fill(1);
    else if (!name.endsWith('.bias')) for (let i = 0; i < count; i++) values[i] = pool[(i * 7 + count) & 0xffff];
    if (!file.write(Buffer.from(values.buffer))) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}
