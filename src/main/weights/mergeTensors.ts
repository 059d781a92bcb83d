import { dtypeBytes, elementCount } from '#main/formats/tensors.ts';
import { type AlphaSchedule, alphaOf } from '#main/merging/alpha.ts';
import {
  type MergeMethod,
  type MergeRun,
  type MergeSettings,
  type Survey,
  type TensorChunk,
  type TensorFacts,
  type TensorMerge,
  type Values,
} from '#main/merging/method.ts';
import { type MergePlan, type PlannedTensor } from '#main/merging/plan.ts';
import { encodeShort, firstNonFinite, type FloatDtype, isFloatDtype } from '#main/merging/rounding.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type Progress } from '#shared/jobs.ts';

import { createTurns, cut, type LoadedPiece, type Piece, readPieces } from './chunks.ts';
import { Progressing } from './progressing.ts';
import { TensorReader, viewValues } from './reader.ts';

/** Memory for all that is read, made and written at a time. */
const memoryBudget = 128e6;
const largestPiece = 1 << 18;
/** Methods that look at whole tensors first read those of up to so many elements once only. */
const largestWholeTensor = 1 << 22;

/** Where merged values go. */
export interface MergeSink {
  /** Bytes of one member's tensor, from byte `start` of it. They may be overwritten once the promise has settled. */
  write(member: number, tensor: Pick<PlannedTensor, 'name'>, start: number, bytes: Uint8Array): Promise<void>;
}

export interface MergeWork {
  plan: MergePlan;
  method: MergeMethod;
  settings: MergeSettings;
  /** One result per schedule; all are made from one reading of the inputs. */
  members: readonly AlphaSchedule[];
  sink: MergeSink;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Elements per piece such that everything fits the budget. */
function pieceLimit({ plan, method, members }: MergeWork): number {
  const models = Math.max(1, ...plan.tensors.map(({ tuned }) => tuned.length));
  const turns = 3;
  const input = (1 + models) * 8;
  const output = members.length * 4 * turns;
  const rounding = plan.tensors.some(({ dtype }) => dtype === 'F16' || dtype === 'BF16') ? members.length * 8 + 4 : 0;
  const scratch = 8 * (method.scratch.arrays + (method.scratch.perModel ? models : 0));
  const perElement = input * turns + output + rounding + scratch;
  return Math.max(
    1 << 14,
    Math.min(method.surveysTensors ? largestWholeTensor : largestPiece, Math.floor(memoryBudget / perElement)),
  );
}

const factsOf = ({ canonical, shape }: PlannedTensor): TensorFacts => ({ canonical, size: elementCount(shape) });

/** Makes the bytes of merged tensors, piece by piece. */
class Merger {
  private readonly work: MergeWork;
  private readonly run: MergeRun;
  private readonly limit: number;
  /** Rounding to 16 bits starts from float64. */
  private wide: Float64Array[] = [];
  private bits = new Uint32Array(0);

  constructor(work: MergeWork) {
    this.work = work;
    this.limit = pieceLimit(work);
    const merged = work.plan.tensors.find(({ action }) => action === 'merge');
    this.run = work.method.begin(work.settings, merged?.tuned.length ?? 1, work.plan.parameters);
  }

  async merge(): Promise<void> {
    const { plan, method, signal, sink, members } = this.work;
    const reader = new TensorReader();
    const progress = new Progressing(
      plan.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      this.work.onProgress,
    );
    try {
      const toMerge = plan.tensors.filter(({ action }) => action === 'merge');
      for (let survey = this.run.nextSurvey(), pass = 1; survey; survey = this.run.nextSurvey(), pass++) {
        progress.restart();
        await this.survey(reader, survey, toMerge, (count) => progress.add(count, `looking over all weights, reading ${pass}`));
      }
      progress.restart();
      let current: { tensor: PlannedTensor; merge: TensorMerge; alphas: number[] } | undefined;
      const turns = createTurns();
      for await (const loaded of readPieces(reader, cut(plan.tensors, this.limit), turns, signal)) {
        const { piece } = loaded;
        const { tensor, count } = piece;
        if (tensor.action === 'copy') {
          const bytes = this.copied(loaded, 0, 0);
          loaded.released = this.writeAll(
            sink,
            loaded,
            members.map(() => bytes),
          );
        } else {
          const alphas = current?.tensor === tensor ? current.alphas : members.map((schedule) => alphaOf(schedule, tensor));
          const copies = alphas.filter((alpha) => this.run.isInput(alpha) !== undefined).length;
          if (copies > 0 || !method.showsNonFinite) loaded.checkFinite();
          const chunk = loaded.values();
          if (current?.tensor !== tensor) {
            current = { tensor, alphas, merge: this.run.tensor(factsOf(tensor)) };
            if (copies < members.length) await this.prepare(reader, current.merge, piece, chunk);
          }
          loaded.released = this.writeAll(sink, loaded, this.mergedBytes(loaded, chunk, current.merge, current.alphas));
        }
        // A failed write is heard of at the end at the latest; it must not end the process before.
        loaded.released.catch(() => undefined);
        progress.add(count, `merging ${tensor.name}`);
      }
      await Promise.all(turns.map(({ released }) => released));
    } finally {
      await reader.close();
    }
  }

  /** One reading of some tensors. */
  private async survey(
    reader: TensorReader,
    survey: Survey,
    tensors: PlannedTensor[],
    onCount?: (count: number) => void,
  ): Promise<void> {
    for await (const loaded of readPieces(
      reader,
      cut(tensors, Math.min(this.limit, largestPiece)),
      createTurns(),
      this.work.signal,
    )) {
      loaded.checkFinite();
      survey.see(loaded.values(), factsOf(loaded.piece.tensor));
      onCount?.(loaded.piece.count);
    }
    survey.end();
  }

  /** What a method wants to know of a tensor first: from the piece at hand if that is all of it. */
  private async prepare(reader: TensorReader, merge: TensorMerge, { tensor, count }: Piece, chunk: TensorChunk): Promise<void> {
    const facts = factsOf(tensor);
    for (let survey = merge.nextSurvey(); survey; survey = merge.nextSurvey()) {
      if (count === facts.size) {
        survey.see(chunk, facts);
        survey.end();
      } else await this.survey(reader, survey, [tensor]);
    }
  }

  private async writeAll(sink: MergeSink, { piece }: LoadedPiece, outputs: readonly Uint8Array[]): Promise<void> {
    const start = piece.start * dtypeBytes[piece.tensor.dtype];
    await Promise.all(outputs.map((bytes, member) => sink.write(member, piece.tensor, start, bytes)));
  }

  /** An input as it is, or in another type. */
  private copied(loaded: LoadedPiece, input: number, member: number): Uint8Array {
    const { tensor, count } = loaded.piece;
    const { dtype: from } = input === 0 ? tensor.base : tensor.tuned[input - 1];
    const to = tensor.dtype;
    if (from === to || !isFloatDtype(from) || !isFloatDtype(to)) return loaded.inputs[input];
    const bytes = loaded.output(member, count * dtypeBytes[to]);
    this.store(loaded, viewValues(loaded.inputs[input], count, from), to, bytes);
    return bytes;
  }

  /** Rounds values once into `bytes`. */
  private store(loaded: LoadedPiece, values: Values, dtype: FloatDtype, bytes: Uint8Array): void {
    const { count } = loaded.piece;
    if (dtype === 'F16' || dtype === 'BF16') {
      if (this.bits.length < count) this.bits = new Uint32Array(count);
      encodeShort(values, count, dtype, new Uint16Array(bytes.buffer, bytes.byteOffset, count), this.bits);
    } else viewValues(bytes, count, dtype).set(values.length === count ? values : values.subarray(0, count));
    this.checkRange(loaded, dtype, bytes);
  }

  private checkRange(loaded: LoadedPiece, dtype: FloatDtype, bytes: Uint8Array): void {
    const at = firstNonFinite(bytes, dtype);
    if (at < 0) return;
    loaded.checkFinite();
    const { tensor, start } = loaded.piece;
    throw new ForetuneError(
      'invalid-data',
      `Tensor "${tensor.name}" of the result would be too large for ${dtype} at element ${start + at}; choose a wider type with --dtype, or a smaller alpha.`,
    );
  }

  /** Bytes of a merged piece, one array per member. */
  private mergedBytes(loaded: LoadedPiece, chunk: TensorChunk, merge: TensorMerge, alphas: readonly number[]): Uint8Array[] {
    const { tensor, count } = loaded.piece;
    const dtype = tensor.dtype as FloatDtype;
    const results: Uint8Array[] = [];
    const members: number[] = [];
    for (const [member, alpha] of alphas.entries()) {
      const input = this.run.isInput(alpha);
      if (input === undefined) members.push(member);
      else results[member] = this.copied(loaded, input === 'base' ? 0 : input + 1, member);
    }
    if (members.length === 0) return results;
    const isShort = dtype === 'F16' || dtype === 'BF16';
    for (const member of members) results[member] = loaded.output(member, count * dtypeBytes[dtype]);
    const outs = isShort
      ? this.wideArrays(members.length, count)
      : members.map((member) => viewValues(results[member], count, dtype));
    merge.merge(
      chunk,
      members.map((member) => alphas[member]),
      outs,
    );
    for (const [i, member] of members.entries()) {
      if (isShort) this.store(loaded, outs[i], dtype, results[member]);
      else this.checkRange(loaded, dtype, results[member]);
    }
    return results;
  }

  private wideArrays(arrays: number, count: number): Float64Array[] {
    if (this.wide.length < arrays || this.wide[0].length < count)
      this.wide = Array.from({ length: arrays }, () => new Float64Array(count));
    return this.wide;
  }
}

/**
 * Merges all tensors of a plan and hands their bytes to a sink, tensor by tensor, in pieces; the memory it takes does not depend on
 * the models' size. Reading ahead and writing go on while a piece is worked on.
 * @throws ForetuneError `invalid-data` (a value that is no number, a result out of range), `cancelled`, `corrupt`, what the sink throws
 */
export async function mergeTensors(work: MergeWork): Promise<void> {
  await new Merger(work).merge();
}
