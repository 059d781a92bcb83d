import { ForetuneError } from '#shared/errors.ts';

import { type LabelColumn } from './labels.ts';

/** What the frames of one utterance are to be: all the same, or one class index each (-1: no label, the frame is dropped). */
export type FrameTargets = { kind: 'constant'; value: number; frames: number } | { kind: 'frames'; values: Int32Array };

/**
 * Targets of an utterance's frames: every frame inherits its utterance's label (temporal independence: every frame is a sample).
 * Null where the utterance has no label. Throws `internal` for an utterance the column does not have.
 */
export function frameTargets(column: LabelColumn, utterance: number, frames: number): FrameTargets | null {
  const value = column.values[utterance];
  if (value === undefined) {
    throw new ForetuneError(
      'internal',
      `utterance ${utterance} is none of the ${column.values.length} of column "${column.name}".`,
    );
  }
  return value === null ? null : { kind: 'constant', value, frames };
}
