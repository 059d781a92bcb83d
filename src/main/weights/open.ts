import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';

import { openFile } from '#main/formats/bytes.ts';
import { openSafetensors } from '#main/formats/safetensors.ts';
import { type Checkpoint } from '#main/formats/tensors.ts';
import { openTorchCheckpoint } from '#main/formats/torchCheckpoint.ts';
import { type MergePlan, type ModelTensors, planGraphMerge, planMerge, type PlanOptions } from '#main/merging/plan.ts';
import { fingerprintOf } from '#main/models/fingerprint.ts';
import { openHuggingFaceModel } from '#main/models/huggingFace.ts';
import { readJsonObject } from '#main/models/jsonFile.ts';
import { findOnnxFile } from '#main/models/onnxModel.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { type OnnxWeights, openOnnxWeights, refuseOtherGraphs } from './onnxWeights.ts';

/** A model's weights as a user gave them. */
export interface WeightSource extends ModelTensors {
  /** Absolute path of the folder or file. */
  path: string;
  /** Base name. */
  name: string;
  /** The folder with config.json and its companions; undefined for a bare checkpoint. */
  folder?: string;
  /** Of an ONNX file: its graph. */
  onnx?: OnnxWeights;
  fingerprint: string;
}

/** The plan for models as they were opened: checkpoints, or exports of one graph. Errors as planMerge and refuseOtherGraphs. */
export function planSources(base: WeightSource, tuned: readonly WeightSource[], options: PlanOptions): MergePlan {
  if ([base, ...tuned].every(({ onnx }) => onnx === undefined)) return planMerge(base, tuned, options);
  refuseOtherGraphs(base, tuned);
  return planGraphMerge(base, tuned);
}

/** Where transformers looks for weights, in its order. */
const usualFiles = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model.bin.index.json'];
const safetensorsExtension = '.safetensors';
const torchExtensions = ['.bin', '.pt', '.pth', '.ckpt'];

const isOnnx = (path: string): boolean => path.toLowerCase().endsWith('.onnx');
const isIndex = (name: string): boolean => name.endsWith('.index.json');
const looksLikeWeights = (name: string): boolean =>
  [safetensorsExtension, ...torchExtensions].includes(extname(name).toLowerCase());

/** The weight file of a folder: one of transformers' names, or the only one there is. */
async function findWeights(folder: string): Promise<string> {
  const names = await readdir(folder);
  const usual = usualFiles.find((name) => names.includes(name));
  if (usual !== undefined) return join(folder, usual);
  // Training leaves other pickles beside the weights.
  const graphs = await findOnnxFile(folder).catch(() => undefined);
  if (graphs !== undefined && !names.some(looksLikeWeights)) return graphs;
  const candidates = names
    .filter((name) => looksLikeWeights(name) && !/^(?:optimizer|scheduler|rng_state|training_args|scaler)/.test(name))
    .sort();
  if (candidates.length === 1) return join(folder, candidates[0]);
  const why =
    candidates.length === 0
      ? 'holds no weights'
      : `holds several weight files (${candidates.slice(0, 4).join(', ')}); give one of them instead`;
  throw new ForetuneError('not-found', `${folder} ${why}: none of ${usualFiles.join(', ')} is there.`);
}

async function isTorch(path: string): Promise<boolean> {
  if (torchExtensions.includes(extname(path).toLowerCase())) return true;
  if (path.toLowerCase().endsWith(safetensorsExtension)) return false;
  const source = await openFile(path);
  try {
    const start = await source.read(0, Math.min(2, source.size));
    return (start[0] === 0x50 && start[1] === 0x4b) || start[0] === 0x80;
  } finally {
    await source.close();
  }
}

async function openCheckpoint(path: string): Promise<Checkpoint> {
  const name = basename(path);
  const asTorch = isIndex(name) ? name.includes('.bin.') : await isTorch(path);
  return asTorch ? openTorchCheckpoint(path) : openSafetensors(path);
}

/** The fingerprint that the model library knows it by, or one of the configuration and tensors alone. */
async function fingerprint(folder: string | undefined, configBytes: Uint8Array, checkpoint: Checkpoint): Promise<string> {
  if (folder !== undefined) {
    try {
      return (await openHuggingFaceModel(folder)).fingerprint;
    } catch (error) {
      // An architecture the library cannot run can still be merged.
      if (!(error instanceof ForetuneError)) throw error;
    }
  }
  return fingerprintOf([configBytes], checkpoint.tensors);
}

/**
 * Opens the weights of a Hugging Face folder (safetensors or .bin, sharded or not), a bare .safetensors file or index, or a torch
 * checkpoint as s3prl, fairseq and training scripts save it, or an ONNX file with its weights. Reads headers, the configuration, and samples for the fingerprint.
 * @throws ForetuneError `not-found`, `unreadable`, `corrupt` (a truncated shard), `unsupported`, `unsafe`, `mismatch`
 */
export async function openWeights(path: string): Promise<WeightSource> {
  const place = resolve(path);
  const found = await stat(place).catch((error: unknown) => {
    const { code, message } = toErrorValue(error);
    throw new ForetuneError(code, code === 'not-found' ? `${place} does not exist.` : `${place} cannot be read: ${message}.`, {
      cause: error,
    });
  });
  const file = found.isDirectory() ? await findWeights(place) : place;
  if (isOnnx(file)) {
    const { tensors, onnx } = await openOnnxWeights(file);
    return {
      path: place,
      name: basename(place),
      tensors,
      onnx,
      fingerprint: await fingerprintOf([Buffer.from(onnx.graphHash)], tensors),
    };
  }
  const near = found.isDirectory() ? place : usualFiles.includes(basename(file)) ? dirname(file) : undefined;
  const config = near === undefined ? undefined : await readJsonObject(join(near, 'config.json'));
  const folder = config ? near : undefined;
  const checkpoint = await openCheckpoint(file);
  return {
    path: place,
    name: basename(place),
    folder,
    config: config?.json,
    tensors: checkpoint.tensors,
    fingerprint: await fingerprint(folder, config?.bytes ?? new Uint8Array(0), checkpoint),
  };
}
