import { join, resolve } from 'node:path';

import { openFile } from '#main/formats/bytes.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { type TensorRecord } from '#main/formats/tensors.ts';
import { readJsonObject } from '#main/models/jsonFile.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { stageSource } from '#main/models/stageGraphs.ts';
import { describeBlocks } from '#main/speedup/layerRemoval.ts';

import { checkVacant, companionsOf, createModelFolders } from './folder.ts';

const chunkBytes = 16 * 2 ** 20;

/** All blocks of WavLM look up positions in the first one's table, so it is kept whatever goes. */
const sharedTable = 'encoder.layers.0.attention.rel_attn_embed.weight';

/** Name of a tensor in the model with fewer blocks; null where its block is gone. `kept` counts blocks from 1. */
export function renamedTensor(name: string, prefix: string, kept: readonly number[]): string | null {
  if (name === prefix + sharedTable) return name;
  const start = `${prefix}encoder.layers.`;
  if (!name.startsWith(start)) return name;
  const found = /^(\d+)(\..*)$/s.exec(name.slice(start.length));
  if (!found) return name;
  const index = kept.indexOf(Number(found[1]) + 1);
  return index === -1 ? null : `${start}${index}${found[2]}`;
}

function readme(model: EncoderModel, blocks: number, kept: readonly number[]): string {
  return `# ${model.name}, ${describeBlocks(blocks, kept)}

Made by Foretune from \`${model.name}\` (fingerprint ${model.fingerprint.slice(0, 16)}) by layer removal (Zaiem et al. 2023): of ${blocks} transformer blocks ${kept.length} are left,
numbered anew. Kept: ${kept.join(', ')}. Weights are those of the original, unchanged; the final norm stays. Fine-tuning the result wins back most of what removal costs.

\`\`\`python
from transformers import AutoModelForCTC
model = AutoModelForCTC.from_pretrained("path/to/this/folder")
\`\`\`
`;
}

/**
 * Writes a Hugging Face folder of a model with fewer blocks: tensors of the kept ones renamed, values byte for byte, config.json
 * with their number. The folder appears when it is complete.
 * @param kept blocks that stay, counted from 1, in order
 * @throws ForetuneError `mismatch` (the place is taken), `no-space`, `unsupported` (an ONNX file)
 */
export async function writeWithoutBlocks(
  model: EncoderModel,
  kept: readonly number[],
  place: string,
  signal?: AbortSignal,
): Promise<string> {
  const out = resolve(place);
  await checkVacant(out);
  const { config, checkpoint, prefix } = stageSource(model);
  const blocks = config.num_hidden_layers;
  const renamed = [...checkpoint.tensors].flatMap(([name, record]) => {
    const to = renamedTensor(name, prefix, kept);
    return to === null ? [] : [{ name: to, record }];
  });
  const layouts = renamed.map(({ name, record }) => ({
    name,
    shape: record.shape,
    // Values that do not lie in order are read as float32.
    dtype: record.strides ? ('F32' as const) : record.dtype,
  }));
  const { json } = (await readJsonObject(join(model.path, 'config.json')))!;
  const written = { ...json, num_hidden_layers: kept.length };
  const writer = await createModelFolders(out, [''], layouts);
  try {
    for (const { name, record } of renamed) {
      signal?.throwIfAborted();
      for await (const { start, bytes } of bytesOf(record)) await writer.write(0, { name }, start, bytes);
    }
    const copies = (await companionsOf(model.path)).map((name) => ({ from: join(model.path, name), name }));
    const texts = {
      'config.json': `${JSON.stringify(written, null, 2)}\n`,
      'README.md': readme(model, blocks, kept),
    };
    await writer.commit([{ name: '', texts }], copies);
  } finally {
    await writer.discard();
  }
  return out;
}

async function* bytesOf(record: TensorRecord): AsyncGenerator<{ start: number; bytes: Uint8Array }> {
  if (record.strides) {
    const values = await readTensor(record);
    yield { start: 0, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    return;
  }
  const source = await openFile(record.file);
  try {
    for (let start = 0; start < record.length; start += chunkBytes)
      yield { start, bytes: await source.read(record.offset + start, Math.min(chunkBytes, record.length - start)) };
  } finally {
    await source.close();
  }
}
