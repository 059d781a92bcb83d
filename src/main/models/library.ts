import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { openHuggingFaceModel } from './huggingFace.ts';
import { buildHuggingFaceEncoder, type BuildOptions } from './huggingFaceGraph.ts';
import { type BuiltEncoder, type EncoderModel } from './model.ts';
import { buildOnnxEncoder, type OnnxMapping, openOnnxModel } from './onnxModel.ts';

async function holdsOnnx(folder: string): Promise<boolean> {
  const names = await Promise.all([folder, join(folder, 'onnx')].map((place) => readdir(place).catch(() => [])));
  return names.flat().some((name) => name.toLowerCase().endsWith('.onnx'));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const { code, message } = toErrorValue(error);
    throw new ForetuneError(code, code === 'not-found' ? `${path} does not exist.` : `${path} cannot be read: ${message}.`, {
      cause: error,
    });
  }
}

/**
 * Opens a speech encoder: a Hugging Face folder, an .onnx file, or a folder that holds one. A folder that holds both is opened
 * by its own weights, unless a mapping is given or its architecture is unknown.
 * @throws ForetuneError `not-found`, `unsupported`, `corrupt`, `mismatch`, `unsafe`, `unreadable`: see openHuggingFaceModel and
 *   openOnnxModel.
 */
export async function openModel(path: string, options: { mapping?: OnnxMapping } = {}): Promise<EncoderModel> {
  const place = resolve(path);
  if (!(await isFolder(place))) {
    if (place.toLowerCase().endsWith('.onnx')) return openOnnxModel(place, options);
    throw new ForetuneError(
      'unsupported',
      `${place} is not an .onnx file; to open a Hugging Face model give the folder that holds its config.json.`,
    );
  }
  const hasOnnx = await holdsOnnx(place);
  if (hasOnnx && options.mapping) return openOnnxModel(place, options);
  try {
    return await openHuggingFaceModel(place);
  } catch (error) {
    const isOther = error instanceof ForetuneError && (error.code === 'not-found' || error.code === 'unsupported');
    if (hasOnnx && isOther) return openOnnxModel(place, options);
    throw error;
  }
}

/** Puts an encoder's graph where onnxruntime can open it by path. Errors as buildHuggingFaceEncoder and buildOnnxEncoder. */
export function buildEncoder(model: EncoderModel, options: BuildOptions): Promise<BuiltEncoder> {
  switch (model.source.kind) {
    case 'huggingface':
      return buildHuggingFaceEncoder(model, options);
    case 'onnx':
      return buildOnnxEncoder(model, options);
    case 'merged':
      return model.source.build(options);
  }
}
