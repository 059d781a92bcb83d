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

/** One result: how it is merged, and how far. */
export interface MergeMember {
  method: MergeMethod;
  alpha: AlphaSchedule;
}

export interface MergeWork {
  plan: MergePlan;
  settings: MergeSettings;
  /** All are made from the same readings of the inputs, whatever their methods. */
  members: readonly MergeMember[];
  sink: MergeSink;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Elements per piece such that everything fits the budget. */
function pieceLimit({ plan, members }: MergeWork, methods: readonly MergeMethod[]): number {
  const models = Math.max(1, ...plan.tensors.map(({ tuned }) => tuned.length));
  const turns = 3;
  const input = (1 + models) * 8;
  const output = members.length * 4 * turns;
  const rounding = plan.tensors.some(({ dtype }) => dtype === 'F16' || dtype === 'BF16') ? members.length * 8 + 4 : 0;
  const scratch = methods.reduce((sum, { scratch: own }) => sum + 8 * (own.arrays + (own.perModel ? models : 0)), 0);
  const perElement = input * turns + output + rounding + scratch;
  return Math.max(
    1 << 14,
    Math.min(
      methods.some(({ surveysTensors }) => surveysTensors) ? largestWholeTensor : largestPiece,
      Math.floor(memoryBudget / perElement),
    ),
  );
}

const factsOf = ({ canonical, shape }: PlannedTensor): TensorFacts => ({ canonical, size: elementCount(shape) });

/** A method at work, for those members that it makes. */
interface Party {
  method: MergeMethod;
  run: MergeRun;
  /** Their numbers. */
  members: number[];
}

/** A party at work on one tensor. */
interface TensorParty extends Party {
  merge: TensorMerge;
  /** Of each of its members, in this tensor. */
  alphas: number[];
}

/** Makes the bytes of merged tensors, piece by piece. */
class Merger {
  private readonly work: MergeWork;
  private readonly parties: Party[];
  private readonly limit: number;
  /** Rounding to 16 bits starts from float64. */
  private wide: Float64Array[] = [];
  private bits = new Uint32Array(0);

  constructor(work: MergeWork) {
    this.work = work;
    const methods = [...new Set(work.members.map(({ method }) => method))];
    this.limit = pieceLimit(work, methods);
    const merged = work.plan.tensors.find(({ action }) => action === 'merge');
    this.parties = methods.map((method) => ({
      method,
      run: method.begin(work.settings, merged?.tuned.length ?? 1, work.plan.parameters),
      members: [...work.members.keys()].filter((member) => work.members[member].method === method),
    }));
  }

  async merge(): Promise<void> {
    const { plan, signal, sink, members } = this.work;
    const reader = new TensorReader();
    const progress = new Progressing(
      plan.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      this.work.onProgress,
    );
    try {
      const toMerge = plan.tensors.filter(({ action }) => action === 'merge');
      const wanted = () => this.parties.map(({ run }) => run.nextSurvey()).filter((survey) => survey !== undefined);
      for (let surveys = wanted(), pass = 1; surveys.length > 0; surveys = wanted(), pass++) {
        progress.restart();
        await this.survey(reader, surveys, toMerge, (count) => progress.add(count, `looking over all weights, reading ${pass}`));
      }
      progress.restart();
      let current: { tensor: PlannedTensor; parties: TensorParty[] } | undefined;
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
          const isNew = current?.tensor !== tensor;
          if (current?.tensor !== tensor) current = { tensor, parties: this.begin(tensor) };
          const { parties } = current;
          const copied = ({ run, alphas }: TensorParty) => alphas.filter((alpha) => run.isInput(alpha) !== undefined).length;
          if (parties.some((party) => copied(party) > 0 || !party.method.showsNonFinite)) loaded.checkFinite();
          const chunk = loaded.values();
          if (isNew) {
            const working = parties.filter((party) => copied(party) < party.members.length).map(({ merge }) => merge);
            await this.prepare(reader, working, piece, chunk);
          }
          loaded.released = this.writeAll(sink, loaded, this.mergedBytes(loaded, chunk, parties));
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

  private begin(tensor: PlannedTensor): TensorParty[] {
    return this.parties.map((party) => ({
      ...party,
      merge: party.run.tensor(factsOf(tensor)),
      alphas: party.members.map((member) => alphaOf(this.work.members[member].alpha, tensor)),
    }));
  }

  /** One reading of some tensors. */
  private async survey(
    reader: TensorReader,
    surveys: readonly Survey[],
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
      const values = loaded.values();
      for (const survey of surveys) survey.see(values, factsOf(loaded.piece.tensor));
      onCount?.(loaded.piece.count);
    }
    for (const survey of surveys) survey.end();
  }

  /** What methods want to know of a tensor first: from the piece at hand if that is all of it. */
  private async prepare(
    reader: TensorReader,
    merges: readonly TensorMerge[],
    { tensor, count }: Piece,
    chunk: TensorChunk,
  ): Promise<void> {
    const facts = factsOf(tensor);
    const wanted = () => merges.map((merge) => merge.nextSurvey()).filter((survey) => survey !== undefined);
    for (let surveys = wanted(); surveys.length > 0; surveys = wanted()) {
      if (count === facts.size) {
        for (const survey of surveys) {
          survey.see(chunk, facts);
          survey.end();
        }
      } else await this.survey(reader, surveys, [tensor]);
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
  private mergedBytes(loaded: LoadedPiece, chunk: TensorChunk, parties: readonly TensorParty[]): Uint8Array[] {
    const results: Uint8Array[] = [];
    for (const party of parties) this.mergeBytes(loaded, chunk, party, results);
    return results;
  }

  /** Puts what one party makes of a piece into `results`, by member. */
  private mergeBytes(loaded: LoadedPiece, chunk: TensorChunk, party: TensorParty, results: Uint8Array[]): void {
    const { tensor, count } = loaded.piece;
    const dtype = tensor.dtype as FloatDtype;
    const members: number[] = [];
    const alphas: number[] = [];
    for (const [i, member] of party.members.entries()) {
      const input = party.run.isInput(party.alphas[i]);
      if (input === undefined) {
        members.push(member);
        alphas.push(party.alphas[i]);
      } else results[member] = this.copied(loaded, input === 'base' ? 0 : input + 1, member);
    }
    if (members.length === 0) return;
    const isShort = dtype === 'F16' || dtype === 'BF16';
    for (const member of members) results[member] = loaded.output(member, count * dtypeBytes[dtype]);
    const outs = isShort
      ? this.wideArrays(members.length, count)
      : members.map((member) => viewValues(results[member], count, dtype));
    party.merge.merge(chunk, alphas, outs);
    for (const [i, member] of members.entries()) {
      if (isShort) this.store(loaded, outs[i], dtype, results[member]);
      else this.checkRange(loaded, dtype, results[member]);
    }
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
