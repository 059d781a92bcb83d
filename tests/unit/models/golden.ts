import { readFileSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { encodeSafetensorsHeader, openSafetensors } from '#main/formats/safetensors.ts';
import { type Dtype } from '#main/formats/tensors.ts';
import { type BuiltEncoder } from '#main/models/model.ts';

export const goldenModels = fileURLToPath(new URL('../../golden/models', import.meta.url));
export const demoModels = fileURLToPath(new URL('../../../resources/demo/models', import.meta.url));

/** The clip of tests/golden/make/encoders.py: two tones and noise from a linear congruential generator. */
export function goldenWaveform(samples: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: samples }, (_, i) => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    const noise = state / 2 ** 32 - 0.5;
    return 0.3 * Math.sin(0.05 * i) + 0.2 * Math.sin(0.31 * i + 1) * Math.cos(0.003 * i) + 0.1 * noise;
  });
}

/** A float32 file of `count` equally large layers. */
export function goldenStates(path: string, count: number): Float32Array[] {
  const values = new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  const size = values.length / count;
  return Array.from({ length: count }, (_, layer) => values.subarray(layer * size, (layer + 1) * size));
}

/** Hidden states of waveforms of equal length, by layer: [batch, frames, width]. */
export async function runEncoder(
  built: BuiltEncoder,
  ...waveforms: Float32Array[]
): Promise<Map<number, { dims: readonly number[]; values: Float32Array }>> {
  const session = await InferenceSession.create(built.path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const [{ length }] = waveforms;
    const batch = new Float32Array(waveforms.length * length);
    waveforms.forEach((waveform, index) => batch.set(waveform, index * length));
    const results = await session.run({ [built.input.name]: new Tensor('float32', batch, [waveforms.length, length]) });
    return new Map(
      built.outputs.map(({ layer, name }) => [
        layer,
        { dims: results[name].dims, values: (results[name].data as Float32Array).slice() },
      ]),
    );
  } finally {
    await session.release();
  }
}

/** Frobenius norm of the difference relative to that of the reference. */
export function relativeError(values: Float32Array, reference: Float32Array): number {
  if (values.length !== reference.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < reference.length; i++) {
    difference += (values[i] - reference[i]) ** 2;
    norm += reference[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** A tensor of a checkpoint with its bytes. */
export interface RawTensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  bytes: Uint8Array;
}

/** Every tensor of a safetensors file. */
export async function readTensors(path: string): Promise<RawTensor[]> {
  const file = readFileSync(path);
  const { tensors } = await openSafetensors(path);
  return [...tensors.values()].map(({ name, dtype, shape, offset, length }) => ({
    name,
    dtype,
    shape,
    bytes: new Uint8Array(file.subarray(offset, offset + length)),
  }));
}

/** A copy of a golden model whose tensors and configuration were edited. */
export async function editedModel(
  into: string,
  name: string,
  edit: { tensors?: (tensors: RawTensor[]) => RawTensor[]; config?: Record<string, unknown> },
): Promise<string> {
  await cp(join(goldenModels, name), into, { recursive: true });
  const config = JSON.parse(readFileSync(join(into, 'config.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(join(into, 'config.json'), JSON.stringify({ ...config, ...edit.config }));
  if (edit.tensors) {
    const path = join(into, 'model.safetensors');
    const tensors = edit.tensors(await readTensors(path));
    const { header } = encodeSafetensorsHeader(tensors);
    await writeFile(path, Buffer.concat([header, ...tensors.map(({ bytes }) => bytes)]));
  }
  return into;
}
