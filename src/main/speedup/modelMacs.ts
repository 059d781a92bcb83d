import { basename, dirname, resolve } from 'node:path';

import { readModelConfig } from '#main/models/huggingFace.ts';
import { frameCount, receptiveField } from '#main/models/frames.ts';
import { readPreprocessing } from '#main/models/preprocessing.ts';
import { ForetuneError } from '#shared/errors.ts';

import { countMacs, type LengthRule, type MacConvention, type Macs, stretchOf } from './macs.ts';

export interface ModelMacsRequest {
  /** A Hugging Face model folder, or its config.json; weights are not needed. */
  model: string;
  /** Of audio, as one utterance. */
  seconds: number;
  convention: MacConvention;
  lengths: LengthRule;
}

export interface ModelMacs {
  model: string;
  seconds: number;
  samplingRate: number;
  /** Frames of the encoder's output; fractional at steady lengths. */
  frames: number;
  convention: MacConvention;
  lengths: LengthRule;
  macs: Macs;
}

/**
 * Multiply-accumulate operations that a model takes for some seconds of audio, by stage.
 * @throws ForetuneError what reading config.json throws, `invalid-data` for audio that is too short for a frame.
 */
export async function macsOfModel({ model, seconds, convention, lengths }: ModelMacsRequest): Promise<ModelMacs> {
  const place = resolve(model);
  const folder = basename(place) === 'config.json' ? dirname(place) : place;
  if (folder.toLowerCase().endsWith('.onnx'))
    throw new ForetuneError(
      'unsupported',
      `${folder} is an ONNX file; MACs are counted from the config.json of a Hugging Face model folder.`,
    );
  const { config, head } = await readModelConfig(folder);
  const { preprocessing } = await readPreprocessing(folder);
  const frontEnd = { kernels: config.conv_kernel, strides: config.conv_stride };
  const samples = Math.round(seconds * preprocessing.samplingRate);
  if (frameCount(frontEnd, samples) === 0)
    throw new ForetuneError(
      'invalid-data',
      `${seconds} s are ${samples} samples at ${preprocessing.samplingRate} Hz, but one frame of ${basename(folder)} sees ${receptiveField(frontEnd).length}; give more seconds.`,
    );
  const stretch = stretchOf(lengths, frontEnd, samples);
  return {
    model: basename(folder),
    seconds,
    samplingRate: preprocessing.samplingRate,
    frames: stretch.frames,
    convention,
    lengths,
    macs: countMacs(config, { stretch, convention, head }),
  };
}
