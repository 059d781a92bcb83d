import { basename, dirname, isAbsolute, relative, resolve } from 'node:path';

import { ForetuneError } from '#shared/errors.ts';

import { openFile } from './bytes.ts';
import { isJsonObject, parseJson } from './json.ts';
import { type Checkpoint, type TensorRecord } from './tensors.ts';

const maxIndexBytes = 100_000_000;

/** A `*.index.json`: which shard holds which tensor. */
interface ShardIndex {
  /** Absolute paths of the shards, in order of name. */
  shards: string[];
  /** Tensor name to the absolute path of its shard. */
  shardOf: Map<string, string>;
}

async function readShardIndex(path: string): Promise<ShardIndex> {
  const source = await openFile(path);
  try {
    if (source.size > maxIndexBytes) {
      throw new ForetuneError(
        'corrupt',
        `${path} has ${source.size} bytes, more than a shard index can have (${maxIndexBytes}).`,
      );
    }
    const index = parseJson(await source.read(0, source.size), path);
    if (!isJsonObject(index) || !isJsonObject(index.weight_map)) {
      throw new ForetuneError('corrupt', `${path} has no "weight_map": it is not the index of a sharded checkpoint.`);
    }
    const folder = dirname(path);
    const shardOf = new Map<string, string>();
    for (const [name, shard] of Object.entries(index.weight_map)) {
      if (typeof shard !== 'string' || shard === '') {
        throw new ForetuneError('corrupt', `${path}: "weight_map" names no file for tensor "${name}".`);
      }
      const file = resolve(folder, shard);
      const inside = relative(folder, file);
      // Only the written path is confined: Hugging Face's cache links shards to files outside the folder.
      if (isAbsolute(shard) || isAbsolute(inside) || inside === '' || /^\.\.([\\/]|$)/.test(inside)) {
        throw new ForetuneError(
          'unsafe',
          `${path}: the shard "${shard}" of tensor "${name}" lies outside the folder; it is not opened.`,
        );
      }
      shardOf.set(name, file);
    }
    if (shardOf.size === 0) throw new ForetuneError('corrupt', `${path}: "weight_map" is empty, so there are no tensors.`);
    return { shards: [...new Set(shardOf.values())].sort(), shardOf };
  } finally {
    await source.close();
  }
}

/**
 * Opens the shards that an index file names and joins their tensors.
 * Throws `not-found` naming a missing shard, `mismatch` naming tensors that are listed but absent, `unsafe` for a shard outside the folder.
 */
export async function openShards(path: string, openShard: (path: string) => Promise<Checkpoint>): Promise<Checkpoint> {
  const { shards, shardOf } = await readShardIndex(path);
  const tensors = new Map<string, TensorRecord>();
  let format: Checkpoint['format'] = 'safetensors';
  for (const [number, shard] of shards.entries()) {
    const checkpoint = await openShard(shard).catch((error: unknown) => {
      if (!(error instanceof ForetuneError) || error.code !== 'not-found') throw error;
      throw new ForetuneError(
        'not-found',
        `${shard} is missing: it is shard ${number + 1} of ${shards.length} in ${basename(path)}.`,
      );
    });
    format = checkpoint.format;
    for (const [name, record] of checkpoint.tensors) {
      if ((shardOf.get(name) ?? shard) === shard) tensors.set(name, record);
    }
  }
  const absent = [...shardOf.keys()].filter((name) => !tensors.has(name));
  if (absent.length > 0) {
    const [first] = absent;
    const others = absent.length === 1 ? '' : ` and ${absent.length - 1} more`;
    throw new ForetuneError(
      'mismatch',
      `${path} places tensor "${first}"${others} in ${basename(shardOf.get(first) ?? '')}, where there is no such tensor.`,
    );
  }
  return { format, files: [path, ...shards], tensors };
}
