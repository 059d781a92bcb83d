import { ForetuneError } from '#shared/errors.ts';

import { dataType, dataTypeName, isFloat } from './dataTypes.ts';
import { type OnnxStructure, type OnnxValue } from './structure.ts';

/** An input beside the waveform that can be filled without being told. */
export interface ExtraInput {
  name: string;
  /** Ones for every sample, or the number of samples. */
  kind: 'attention-mask' | 'length';
  type: 'int64' | 'int32' | 'bool' | 'float32';
}

/** What to feed to a graph. */
export interface OnnxInputs {
  /** [1, samples] (rank 2) or [1, 1, samples] (rank 3). */
  input: { name: string; rank: 2 | 3 };
  extraInputs: ExtraInput[];
  notes: string[];
}

const describe = ({ name, elementType, shape }: OnnxValue) =>
  `"${name}" (${dataTypeName(elementType)}${shape ? ` [${shape.map((size) => size ?? '?').join(', ')}]` : ''})`;

const looksLikeMask = (name: string) => /mask|padding/i.test(name);

function extraInput(file: string, value: OnnxValue): ExtraInput {
  const rank = value.shape?.length;
  const types: Record<number, ExtraInput['type']> = {
    [dataType.int64]: 'int64',
    [dataType.int32]: 'int32',
    [dataType.bool]: 'bool',
    [dataType.float]: 'float32',
  };
  const type = types[value.elementType];
  if (type === 'bool' && /pad/i.test(value.name)) {
    throw new ForetuneError(
      'unsupported',
      `${file}: the input ${describe(value)} seems to be true where samples are padding, the opposite of an attention mask; export the encoder without it.`,
    );
  }
  if (type && rank === 2 && (type !== 'float32' || looksLikeMask(value.name)))
    return { name: value.name, kind: 'attention-mask', type };
  if ((type === 'int64' || type === 'int32') && rank === 1) return { name: value.name, kind: 'length', type };
  throw new ForetuneError(
    'unsupported',
    `${file}: nothing is known to feed to the input ${describe(value)}; export the encoder without it, or name the waveform with the mapping option "input".`,
  );
}

function rankOf(file: string, value: OnnxValue): 2 | 3 {
  const { shape } = value;
  if (value.elementType !== dataType.float && value.elementType !== 0) {
    throw new ForetuneError(
      'unsupported',
      `${file}: the waveform input ${describe(value)} is not float32; export the encoder with float32 inputs.`,
    );
  }
  if (shape && shape.length !== 2 && shape.length !== 3) {
    throw new ForetuneError(
      'unsupported',
      `${file}: the waveform input ${describe(value)} has rank ${shape.length}; expected [batch, samples] or [batch, 1, samples].`,
    );
  }
  const samples = shape?.at(-1);
  const channels = shape?.length === 3 ? shape[1] : null;
  if (typeof channels === 'number' && channels !== 1) {
    throw new ForetuneError(
      'unsupported',
      `${file}: the input ${describe(value)} takes ${channels} channels or features a frame; expected a waveform, [batch, samples] or [batch, 1, samples].`,
    );
  }
  if (typeof samples === 'number') {
    throw new ForetuneError(
      'unsupported',
      `${file}: the input ${describe(value)} takes exactly ${samples} samples; export the encoder with a dynamic length.`,
    );
  }
  if (typeof shape?.[0] === 'number' && shape[0] !== 1) {
    throw new ForetuneError(
      'unsupported',
      `${file}: the input ${describe(value)} takes exactly ${shape[0]} utterances at once; export the encoder with a dynamic batch.`,
    );
  }
  return shape?.length === 3 ? 3 : 2;
}

/**
 * Finds the waveform among the graph's inputs and what else has to be fed: the float input is the waveform, integers or truth
 * values of rank 2 are an attention mask, integers of rank 1 a length.
 * @param wanted name of the waveform input, an explicit mapping
 * @throws ForetuneError `usage` for an unknown name, `unsupported` for inputs that cannot be filled.
 */
export function findInputs(structure: OnnxStructure, wanted?: string): OnnxInputs {
  const { file, inputs } = structure;
  const all = inputs.map(describe).join(', ') || 'none';
  let waveform: OnnxValue | undefined;
  if (wanted !== undefined) {
    waveform = inputs.find(({ name }) => name === wanted);
    if (!waveform)
      throw new ForetuneError('usage', `${file} has no input "${wanted}", which the mapping names; its inputs are ${all}.`);
  } else {
    const floats = inputs.filter(
      ({ elementType, name }) => (elementType === 0 || isFloat(elementType)) && (inputs.length === 1 || !looksLikeMask(name)),
    );
    if (floats.length !== 1) {
      throw new ForetuneError(
        'unsupported',
        `${file}: ${floats.length === 0 ? 'no' : 'more than one'} input could be the waveform among ${all}; name it with the mapping option "input".`,
      );
    }
    waveform = floats[0];
  }
  const rank = rankOf(file, waveform);
  const extraInputs = inputs.filter((value) => value !== waveform).map((value) => extraInput(file, value));
  const notes = extraInputs.map(
    ({ name, kind }) =>
      `Input "${name}" is taken for ${kind === 'length' ? 'the number of samples' : 'an attention mask and filled with ones'}.`,
  );
  if (!waveform.shape) notes.push(`Input "${waveform.name}" says no shape; it is taken for [batch, samples].`);
  return { input: { name: waveform.name, rank }, extraInputs, notes };
}
