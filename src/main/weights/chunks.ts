import { type Dtype, dtypeBytes, elementCount, type TensorRecord } from '#main/formats/tensors.ts';
import { type TensorChunk } from '#main/merging/method.ts';
import { type PlannedTensor } from '#main/merging/plan.ts';
import { firstNonFinite, type FloatDtype, isFloatDtype } from '#main/merging/rounding.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TensorReader, viewValues } from './reader.ts';

/** A run of elements of one planned tensor. */
export interface Piece {
  tensor: PlannedTensor;
  start: number;
  count: number;
}

/** Cuts tensors into pieces of at most `limit` elements. */
export function cut(tensors: Iterable<PlannedTensor>, limit: number): Piece[] {
  const pieces: Piece[] = [];
  for (const tensor of tensors) {
    const size = elementCount(tensor.shape);
    for (let start = 0; start < size; start += limit) pieces.push({ tensor, start, count: Math.min(limit, size - start) });
  }
  return pieces;
}

/** The records a piece is read from: base first. */
const recordsOf = ({ base, tuned }: PlannedTensor): TensorRecord[] => [base, ...tuned];

/** One piece in memory. */
export class LoadedPiece {
  piece!: Piece;
  /** What was read, base first, in the files' types. */
  readonly inputs: Uint8Array[] = [];
  /** Memory of what is made of it, by member; see `output`. */
  private readonly outputs: Uint8Array[] = [];
  /** Until it settles, this memory may not be used for another piece. */
  released: Promise<unknown> = Promise.resolve();
  private readonly buffers: Uint8Array[] = [];

  /** Reads a piece in place of the one before. */
  async load(reader: TensorReader, piece: Piece): Promise<void> {
    await this.released;
    this.piece = piece;
    const records = recordsOf(piece.tensor);
    this.inputs.length = records.length;
    await Promise.all(
      records.map(async (record, i) => {
        const bytes = piece.count * dtypeBytes[record.dtype];
        if ((this.buffers[i]?.byteLength ?? 0) < bytes) this.buffers[i] = new Uint8Array(Math.ceil(bytes / 8) * 8);
        this.inputs[i] = this.buffers[i].subarray(0, bytes);
        await reader.read(record, piece.start, piece.count, this.inputs[i]);
      }),
    );
  }

  /** `bytes` bytes for the result of one member. */
  output(member: number, bytes: number): Uint8Array {
    if ((this.outputs[member]?.byteLength ?? 0) < bytes) this.outputs[member] = new Uint8Array(Math.ceil(bytes / 8) * 8);
    return this.outputs[member].subarray(0, bytes);
  }

  /** The values of a piece that is to be merged. */
  values(): TensorChunk {
    const { tensor, start, count } = this.piece;
    const [base, ...tuned] = recordsOf(tensor).map(({ dtype }, i) => viewValues(this.inputs[i], count, floatType(dtype)));
    return { base, tuned, count, start };
  }

  /** Throws `invalid-data` for an input with a value that is infinite or no number, naming the tensor. */
  checkFinite(): void {
    const { tensor, start } = this.piece;
    for (const [i, { name, file, dtype, shape }] of recordsOf(tensor).entries()) {
      const at = firstNonFinite(this.inputs[i], floatType(dtype));
      if (at >= 0) {
        throw new ForetuneError(
          'invalid-data',
          `${file}: tensor "${name}" [${shape.join(', ')}] holds a value that is no finite number, at element ${start + at}; the model is damaged or its training diverged.`,
        );
      }
    }
  }
}

function floatType(dtype: Dtype): FloatDtype {
  if (!isFloatDtype(dtype)) throw new ForetuneError('internal', `Values of type ${dtype} cannot be merged.`);
  return dtype;
}

/** Memory that pieces take turns in: one is being read, one worked on, one written. */
export function createTurns(): LoadedPiece[] {
  return [new LoadedPiece(), new LoadedPiece(), new LoadedPiece()];
}

/**
 * Reads pieces one ahead of the consumer, who may set `released` while something still uses a piece's memory.
 * @throws ForetuneError `cancelled`, `corrupt`, `unreadable`
 */
export async function* readPieces(
  reader: TensorReader,
  pieces: readonly Piece[],
  turns: readonly LoadedPiece[],
  signal?: AbortSignal,
): AsyncGenerator<LoadedPiece> {
  const load = (index: number): Promise<void> => {
    const loading = turns[index % turns.length].load(reader, pieces[index]);
    // It is awaited one turn later; until then nobody else would hear of its failure.
    loading.catch(() => undefined);
    return loading;
  };
  let next = pieces.length > 0 ? load(0) : undefined;
  try {
    for (let index = 0; index < pieces.length; index++) {
      await next;
      if (signal?.aborted) throw new ForetuneError('cancelled', 'The work was stopped; nothing was written.');
      next = index + 1 < pieces.length ? load(index + 1) : undefined;
      yield turns[index % turns.length];
    }
  } finally {
    await next?.catch(() => undefined);
    await Promise.allSettled(turns.map(({ released }) => released));
  }
}
