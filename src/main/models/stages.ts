import { type StridedFilter } from './stridedFilter.ts';

/** A head trained or imported for one layer: linear, or linear, LeakyReLU and linear (Zaiem et al. 2023). */
export interface ExitHead {
  /** What its tensors' names begin with: `<name>.weight` [outputs, width or inner], `<name>.bias` and `<name>.inner.weight`, ... */
  name: string;
  /** Width of the layer before the last one; null where there is none. */
  inner: number | null;
  /** Characters. */
  vocabulary: number;
  /** Rows of logits given for each frame: several where frames are rarer than characters. */
  upsampling: number;
}

/** A piece of an encoder that can be run by itself, one after the other. */
export type StagePiece =
  /** Fewer samples, from the waveform. */
  | { kind: 'filter'; filter: StridedFilter; renormalise: boolean }
  /** The conv encoder. */
  | { kind: 'features' }
  /** The mean of every `factor` frames of the conv encoder's output; what is left over at the end is dropped. */
  | { kind: 'pool'; factor: number }
  /** From features to hidden state 0. */
  | { kind: 'project' }
  /** A transformer block; `index` counts from 0, as in the checkpoint. */
  | { kind: 'block'; index: number }
  /** The model's own head, with the norm before it. */
  | { kind: 'own-head' }
  | { kind: 'exit-head'; head: ExitHead };

/**
 * What stages hand to one another. `waveform` float32 [1, samples], `features` [1, channels, frames], `hidden_states` and
 * `previous_hidden_states` (the block before's) [1, frames, width], `position_bias` (WavLM) [heads, frames, frames], `logits`
 * [1, rows, characters].
 */
export type StageValue = 'waveform' | 'features' | 'hidden_states' | 'previous_hidden_states' | 'position_bias' | 'logits';

/** Weights and sums: as they are; linear layers in 8-bit integers; everything in half precision. */
export type StagePrecision = 'float32' | 'int8' | 'float16';

/** A stretch of pieces that becomes one graph. */
export interface StageSpec {
  id: string;
  pieces: StagePiece[];
  /** Also give the hidden states before the last block. */
  previous?: boolean;
  precision?: StagePrecision;
}

/** A graph's name for a value, and the value. */
export interface StagePort {
  name: string;
  value: StageValue;
}

/** What a stage takes and gives. */
export interface StagePorts {
  inputs: StagePort[];
  outputs: StagePort[];
}
