import { type Checkpoint } from '#main/formats/tensors.ts';

import { type MemberCard } from '#shared/merge.ts';

import { type EncoderConfig } from './config.ts';
import { type FrontEnd } from './frames.ts';
import { type Head } from './heads.ts';
import { type OnnxSource } from './onnxModel.ts';

export type { FrontEnd };

export type Family = 'hubert' | 'wav2vec2' | 'wavlm' | 'data2vec-audio' | 'onnx';

/** Where a Hugging Face folder's weights are and what its config.json says. */
export interface HuggingFaceSource {
  kind: 'huggingface';
  config: EncoderConfig;
  checkpoint: Checkpoint;
  /** What tensor names begin with in the checkpoint: `hubert.` in a checkpoint with a head, often nothing. */
  prefix: string;
  /** What stands on the encoder; null where there is none that can be used. */
  head: Head | null;
  /** Why the head that config.json names cannot be used. */
  headProblem?: string;
}

/** Weights that are merged when the graph is built: nothing of them is kept. */
export interface MergedSource {
  kind: 'merged';
  build(options: {
    cacheDir: string;
    weights: 'own' | { randomSeed: number };
    layers?: number[];
    head?: boolean;
  }): Promise<BuiltEncoder>;
}

/** What a head gives: logits of characters for every frame, or of classes for the utterance. */
export interface HeadCard {
  kind: Head['kind'];
  /** Characters or classes; 0 where the file does not say. */
  outputs: number;
  /** Names of the classes, where they are known. */
  labels: string[];
}

/** An opened speech encoder: everything known about it without reading its weights. */
export interface EncoderModel {
  /** Base name of the folder or file. */
  name: string;
  /** Absolute. */
  path: string;
  family: Family;
  /** Hidden states exposed: L + 1 for L blocks; the index is that of Hugging Face's hidden_states. */
  layers: number;
  width: number;
  parameters: number;
  /** `F32`, `F16`, ...; several as `F16+F32`. */
  dtype: string;
  /** Of the weight files. */
  bytes: number;
  /** SHA-256 in hexadecimal over the configuration, the checkpoint's headers and samples of every tensor. */
  fingerprint: string;
  preprocessing: { samplingRate: number; doNormalize: boolean; source: string };
  /** null where it is unknown. */
  frontEnd: FrontEnd | null;
  /** Does a norm run over time, so that padding would change results? */
  wholeUtteranceNorm: boolean;
  /** null for a bare encoder. */
  head: HeadCard | null;
  /** What was guessed or ignored, one sentence each. */
  notes: string[];
  /** Of a merge that is not written: what it is made of. */
  merge?: MemberCard;
  source: HuggingFaceSource | OnnxSource | MergedSource;
}

/** A graph on disk that onnxruntime opens by path. */
export interface BuiltEncoder {
  path: string;
  /** The waveform, float32 [1, samples] or [1, 1, samples]. */
  input: { name: string; rank: 2 | 3 };
  extraInputs: { name: string; kind: 'attention-mask' | 'length'; type: 'int64' | 'int32' | 'bool' | 'float32' }[];
  /** Hidden states, float32 [1, frames, width]. */
  outputs: { layer: number; name: string }[];
  /** The head's output where it was asked for: float32 [1, frames, characters] or [1, classes]. */
  logits?: { name: string; kind: Head['kind'] };
  /** What a user should know about this build, one sentence each. */
  notes?: string[];
  /** Removes what this build put into the cache. */
  dispose(): Promise<void>;
}
