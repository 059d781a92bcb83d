import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { decodeValues } from '#main/formats/readTensor.ts';
import { encodeSafetensorsHeader } from '#main/formats/safetensors.ts';
import { openFile } from '#main/formats/bytes.ts';
import { type MergeSettings } from '#main/merging/method.ts';
import { type MergeRequest } from '#main/weights/mergeModels.ts';
import { openWeights } from '#main/weights/open.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const golden = join(root, 'tests', 'golden', 'merging');
export const demoModel = (name: string): string => join(root, 'resources', 'demo', 'models', name);

export const usualSettings: MergeSettings = { density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 };

/** A merge by linear interpolation at 0.25, unless told otherwise. */
export function request<T extends Partial<MergeRequest>>(options: T): MergeRequest & T {
  const usual: MergeRequest = {
    base: join(golden, 'base'),
    finetuned: [],
    method: 'linear',
    alphas: [{ value: 0.25 }],
    settings: usualSettings,
    heads: 'base',
  };
  return { ...usual, ...options };
}

export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'foretune-merge-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Writes float32 tensors as a bare safetensors file, or with a config.json as a folder. */
export function writeModel(path: string, tensors: Record<string, Float32Array>, config?: Record<string, unknown>): string {
  const layouts = Object.entries(tensors).map(([name, values]) => ({ name, dtype: 'F32' as const, shape: [values.length] }));
  const { header } = encodeSafetensorsHeader(layouts);
  const bytes = Buffer.concat([header, ...Object.values(tensors).map((values) => new Uint8Array(values.buffer))]);
  if (!config) {
    writeFileSync(path, bytes);
    return path;
  }
  mkdirSync(path);
  writeFileSync(join(path, 'model.safetensors'), bytes);
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  return path;
}

/** Raw bytes of every tensor of a model, by name. */
export async function tensorBytes(path: string): Promise<Map<string, Uint8Array>> {
  const { tensors } = await openWeights(path);
  const found = new Map<string, Uint8Array>();
  for (const [name, { file, offset, length }] of tensors) {
    const source = await openFile(file);
    found.set(name, await source.read(offset, length));
    await source.close();
  }
  return found;
}

/** Values of every tensor of a model, by name. */
export async function tensorValues(path: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await openWeights(path);
  const bytes = await tensorBytes(path);
  return new Map([...bytes].map(([name, raw]) => [name, decodeValues(raw, tensors.get(name)!.dtype)]));
}
