import { type FeatureMoments, type TargetMoments, createFeatureMoments, createTargetMoments } from '#main/scoring/moments.ts';
import { isAligned, type LabelKind, type LabelValue } from '#main/tasks/labels.ts';
import { classesAt } from '#main/tasks/targets.ts';
import { type Unit } from '#shared/score.ts';

import { createRows, type GramKernel, type Rows } from './gram.ts';
import { type RowSample, type RowSamplePlan, RowSampler } from './rowSample.ts';

/** A label column as the statistics see it. */
export interface TargetColumn {
  name: string;
  kind: LabelKind;
  /** Classes, or numbers of a regression target. */
  k: number;
}

export interface StatisticsPlan {
  /** Layer indices, in the order in which features arrive. */
  layers: number[];
  width: number;
  units: Unit[];
  columns: TargetColumn[];
  /** Rows to keep besides the moments; none where absent. */
  sample?: RowSamplePlan;
}

/** One column's value on one utterance; null where the utterance has no label. */
export type TargetValue = LabelValue | null;

/**
 * Features are summed once per *stratum*: the set of samples that carry labels of the same columns (a bit per column).
 * A column's statistics are those of all strata that hold it, so columns with gaps still share one pass and one Gram.
 */
export interface UnitStatistics {
  strata: Map<number, FeatureMoments>;
  /** Cross terms with each column, over all its strata. */
  targets: TargetMoments[];
  /** Some of the rows themselves, where the plan asks for them. */
  sample?: RowSample;
}

/** Everything that scoring needs of one layer. */
export interface LayerStatistics {
  layer: number;
  units: Map<Unit, UnitStatistics>;
}

/** The stratum of a sample: one bit per column that has a value. A plain sum, since shifts end at 31 columns. */
export function stratumOf(values: readonly TargetValue[]): number {
  return values.reduce<number>((mask, value, column) => (value === null ? mask : mask + 2 ** column), 0);
}

/** Whether a stratum holds labels of a column. */
export function stratumHolds(stratum: number, column: number): boolean {
  return Math.floor(stratum / 2 ** column) % 2 === 1;
}

/** Rows per call of the Gram kernel: large enough for the GEMM to run at full speed, small enough to stay out of the way. */
const blockRows: Record<Unit, number> = { frame: 2048, utterance: 128 };

/** Frames of one stretch that carry labels of the same columns. */
interface FrameSet {
  mask: number;
  /** Numbers of the frames, ascending; undefined for all of them. */
  frames: Int32Array | undefined;
}

/** Whole runs of consecutive frames: [first, end). */
function* runsOf(frames: Int32Array): Generator<[number, number]> {
  for (let i = 0; i < frames.length;) {
    let end = i + 1;
    while (end < frames.length && frames[end] === frames[end - 1] + 1) end++;
    yield [frames[i], frames[end - 1] + 1];
    i = end;
  }
}

/** Sums over the rows of a frames x width array, less the shift. */
function sumRows(into: Float64Array, features: Float32Array, frames: number, width: number, shift: Float64Array): void {
  for (let t = 0; t < frames; t++) {
    const row = t * width;
    for (let c = 0; c < width; c++) into[c] += features[row + c] - shift[c];
  }
}

/** The column means of the first features seen: what makes later sums keep their digits. */
function columnMeans(features: Float32Array, frames: number, width: number): Float64Array {
  const mean = new Float64Array(width);
  sumRows(mean, features, frames, width, new Float64Array(width));
  return mean.map((sum) => sum / frames);
}

/** Rows that wait for the Gram kernel, and the moments they belong to. */
interface Waiting {
  x: Rows;
  into: FeatureMoments;
  /** What is still to be taken off the rows. */
  shift: Float64Array;
}

interface Accumulator {
  statistics: LayerStatistics;
  shift: Float64Array;
  /** Sum over the frames of the utterance in progress, less the shift. */
  utteranceSum: Float64Array;
  /** Rows waiting for the Gram kernel, by unit and stratum. */
  waiting: Map<string, Waiting>;
}

/**
 * Streaming statistics of all layers against all label columns: one pass over the audio, float64 throughout, memory
 * independent of its length. The order of additions depends only on the order of utterances and on where `flush` is called,
 * so equal calls give equal bits.
 */
export class StreamingStatistics {
  readonly plan: StatisticsPlan;
  private readonly kernel: GramKernel;
  private layers: Accumulator[] | undefined;
  /** Frames of the utterance in progress: all of them, and those with a label in each column. */
  private frames = 0;
  private labelled: number[] = [];
  private mask = 0;
  private values: TargetValue[] = [];
  private utterance = 0;
  private samplers = new Map<Unit, RowSampler>();

  constructor(plan: StatisticsPlan, kernel: GramKernel) {
    this.plan = plan;
    this.kernel = kernel;
  }

  private createAccumulator(layer: number, shift: Float64Array): Accumulator {
    const { width, units, columns } = this.plan;
    const createUnit = (): UnitStatistics => ({
      strata: new Map(),
      targets: columns.map(({ k }) => createTargetMoments(k, width)),
    });
    return {
      statistics: { layer, units: new Map(units.map((unit) => [unit, createUnit()])) },
      shift,
      utteranceSum: new Float64Array(width),
      waiting: new Map(),
    };
  }

  /** Starts an utterance with its value in every column, and its number in the data set. */
  beginUtterance(values: TargetValue[], utterance = 0): void {
    this.values = values;
    this.mask = stratumOf(values.map((value) => (isAligned(value) ? null : value)));
    this.utterance = utterance;
    this.frames = 0;
    this.labelled = values.map(() => 0);
    for (const { utteranceSum } of this.layers ?? []) utteranceSum.fill(0);
  }

  /**
   * Adds a stretch of the utterance: one frames x width array per layer.
   *
   * @param times [frames] centres of the frames' receptive fields, in seconds from the beginning of the utterance; needed where a
   *   column has labels of stretches
   */
  async addFrames(layers: Float32Array[], frames: number, times?: Float64Array): Promise<void> {
    if (frames === 0) return;
    const { width } = this.plan;
    const classes = this.values.map((value) => (isAligned(value) ? classesAt(value, times!) : undefined));
    const sets = this.frameSets(frames, classes);
    const first = this.frames;
    this.frames += frames;
    for (const { mask, frames: some } of sets)
      this.labelled.forEach((count, column) => {
        if (stratumHolds(mask, column)) this.labelled[column] = count + (some?.length ?? frames);
      });
    if (sets.length === 0) return;
    this.layers ??= layers.map((features, i) =>
      this.createAccumulator(this.plan.layers[i], columnMeans(features, frames, width)),
    );
    for (const [i, accumulator] of this.layers.entries()) {
      const { statistics, shift, utteranceSum } = accumulator;
      if (this.mask !== 0) sumRows(utteranceSum, layers[i], frames, width, shift);
      if (!statistics.units.has('frame')) continue;
      for (const set of sets) {
        if (set.frames) await this.addFrameSet(accumulator, layers[i], set, classes);
        else await this.pushFrames(accumulator, set.mask, layers[i], 0, frames);
      }
    }
    this.offerFrames(layers, first, frames, sets, classes);
  }

  /**
   * The frames of a stretch by their stratum. Without labels of stretches all frames are alike, and what their labels have in common
   * is added when the utterance ends.
   */
  private frameSets(frames: number, classes: readonly (Int32Array | undefined)[]): FrameSet[] {
    const aligned = [...classes.entries()].filter((entry): entry is [number, Int32Array] => entry[1] !== undefined);
    if (aligned.length === 0) return this.mask === 0 ? [] : [{ mask: this.mask, frames: undefined }];
    const sets = new Map<number, number[]>();
    for (let frame = 0; frame < frames; frame++) {
      const mask = aligned.reduce((bits, [column, labels]) => (labels[frame] < 0 ? bits : bits + 2 ** column), this.mask);
      if (mask === 0) continue;
      const set = sets.get(mask);
      if (set) set.push(frame);
      else sets.set(mask, [frame]);
    }
    return [...sets].sort(([a], [b]) => a - b).map(([mask, some]) => ({ mask, frames: Int32Array.from(some) }));
  }

  /** Adds frames of one stratum to its moments and to the targets of its columns. */
  private async addFrameSet(
    accumulator: Accumulator,
    features: Float32Array,
    { mask, frames }: FrameSet,
    classes: readonly (Int32Array | undefined)[],
  ): Promise<void> {
    const { width } = this.plan;
    const { strata, targets } = accumulator.statistics.units.get('frame')!;
    const moments = this.stratum(mask, accumulator.shift, strata);
    const sum = new Float64Array(width);
    const held = this.values.flatMap((_, column) => (stratumHolds(mask, column) ? [column] : []));
    const row = new Float64Array(width);
    for (const frame of frames!) {
      for (let c = 0; c < width; c++) sum[c] += row[c] = features[frame * width + c] - accumulator.shift[c];
      for (const column of held) {
        const labels = classes[column];
        if (!labels) continue;
        targets[column].n++;
        this.addProduct(targets[column], labels[frame], 1, 1, row);
      }
    }
    for (const column of held) if (!classes[column]) this.addValue(targets[column], column, frames!.length, sum);
    moments.n += frames!.length;
    for (let c = 0; c < width; c++) moments.sum[c] += sum[c];
    for (const [from, to] of runsOf(frames!)) await this.pushFrames(accumulator, mask, features, from, to);
  }

  /** The value of each column on a row: the class or the number of a label that has one, else NaN. */
  private rowValues(classes: readonly (Int32Array | undefined)[] = [], frame = 0): Float64Array {
    return Float64Array.from(this.values, (value, column) => {
      const labels = classes[column];
      if (labels) return labels[frame] < 0 ? NaN : labels[frame];
      return typeof value === 'number' ? value : NaN;
    });
  }

  private sampler(unit: Unit): RowSampler | undefined {
    const { units, sample, width, layers, columns } = this.plan;
    if (!sample || !units.includes(unit)) return undefined;
    let sampler = this.samplers.get(unit);
    if (!sampler) this.samplers.set(unit, (sampler = new RowSampler(sample, width, layers.length, columns.length)));
    return sampler;
  }

  /** Offers the labelled frames of a stretch whose first frame is the utterance's frame `first`. */
  private offerFrames(
    layers: Float32Array[],
    first: number,
    frames: number,
    sets: FrameSet[],
    classes: readonly (Int32Array | undefined)[],
  ): void {
    const sampler = this.sampler('frame');
    if (!sampler) return;
    const { width } = this.plan;
    for (const { frames: some } of sets) {
      for (const [from, to] of some ? runsOf(some) : [[0, frames]]) {
        const rows = layers.map((features) => features.subarray(from * width, to * width));
        sampler.offer(this.utterance, first + from, to - from, rows, (row) => this.rowValues(classes, from + row));
      }
    }
  }

  /** Ends the utterance; returns its number of frames, and of those with a label in each column. */
  async endUtterance(): Promise<{ frames: number; labelled: number[] }> {
    const { frames, labelled, values, mask } = this;
    const counts = { frames, labelled };
    // Where stretches have labels, frames were added one by one; a mean over the utterance takes the other columns only.
    const frameByFrame = values.some(isAligned);
    if (frames === 0 || mask === 0 || !this.layers) return counts;
    const means = this.layers.map(({ shift, utteranceSum }) => utteranceSum.map((sum, c) => shift[c] + sum / frames));
    this.sampler('utterance')?.offer(this.utterance, 0, 1, means, () => this.rowValues());
    for (const accumulator of this.layers) {
      const { statistics, utteranceSum } = accumulator;
      for (const [unit, { strata, targets }] of statistics.units) {
        if (unit === 'frame' && frameByFrame) continue;
        const samples = unit === 'frame' ? frames : 1;
        const sum = unit === 'frame' ? utteranceSum : utteranceSum.map((total) => total / frames);
        const features = this.stratum(mask, accumulator.shift, strata);
        features.n += samples;
        sum.forEach((value, c) => (features.sum[c] += value));
        if (unit === 'utterance') {
          const waiting = this.waiting(accumulator, unit, mask);
          waiting.x.data.set(sum, waiting.x.rows++ * this.plan.width);
          await this.emptyIfFull(waiting);
        }
        values.forEach((_, column) => {
          if (stratumHolds(mask, column)) this.addValue(targets[column], column, samples, sum);
        });
      }
    }
    return counts;
  }

  /** Adds samples that share the utterance's label of a column; `sum` is that of their features, less the shift. */
  private addValue(target: TargetMoments, column: number, samples: number, sum: Float64Array): void {
    const value = this.values[column] as number | Float64Array;
    target.n += samples;
    if (typeof value !== 'number') value.forEach((y, index) => this.addProduct(target, index, y, samples, sum));
    else if (this.plan.columns[column].kind === 'classification') this.addProduct(target, value, 1, samples, sum);
    else this.addProduct(target, 0, value, samples, sum);
  }

  private addProduct(target: TargetMoments, index: number, y: number, samples: number, sum: Float64Array): void {
    if (y === 0) return;
    const offset = index * this.plan.width;
    target.sum[index] += samples * y;
    target.squares[index] += samples * y * y;
    for (let c = 0; c < sum.length; c++) target.cross[offset + c] += y * sum[c];
  }

  private stratum(mask: number, shift: Float64Array, strata: Map<number, FeatureMoments>): FeatureMoments {
    let features = strata.get(mask);
    if (!features) {
      features = createFeatureMoments(this.plan.width, shift);
      strata.set(mask, features);
    }
    return features;
  }

  /** The rows of this unit and stratum that wait for the Gram kernel. */
  private waiting(accumulator: Accumulator, unit: Unit, mask: number): Waiting {
    const key = `${unit} ${mask}`;
    let waiting = accumulator.waiting.get(key);
    if (!waiting) {
      const { width } = this.plan;
      const [kind, shift] =
        unit === 'frame' ? (['float32', accumulator.shift] as const) : (['float64', new Float64Array(width)] as const);
      const strata = accumulator.statistics.units.get(unit)!.strata;
      waiting = { x: createRows(kind, blockRows[unit], width), into: this.stratum(mask, accumulator.shift, strata), shift };
      accumulator.waiting.set(key, waiting);
    }
    return waiting;
  }

  /** Hands the frames [first, end) to the Gram kernel. */
  private async pushFrames(
    accumulator: Accumulator,
    mask: number,
    features: Float32Array,
    first: number,
    end: number,
  ): Promise<void> {
    const { width } = this.plan;
    const waiting = this.waiting(accumulator, 'frame', mask);
    const { x } = waiting;
    for (let from = first; from < end;) {
      const to = Math.min(end, from + x.capacity - x.rows);
      x.data.set(features.subarray(from * width, to * width), x.rows * width);
      x.rows += to - from;
      from = to;
      await this.emptyIfFull(waiting);
    }
  }

  private async emptyIfFull(waiting: Waiting): Promise<void> {
    if (waiting.x.rows === waiting.x.capacity) await this.empty(waiting);
  }

  /** Adds waiting rows to their Gram matrix. */
  private async empty({ x, into, shift }: Waiting): Promise<void> {
    await this.kernel.addTo(into.gram, x, shift);
    x.rows = 0;
  }

  /** Adds all waiting rows to the Gram matrices and returns the statistics so far. */
  async flush(): Promise<LayerStatistics[]> {
    for (const { waiting } of this.layers ?? []) {
      for (const rows of waiting.values()) await this.empty(rows);
    }
    for (const [unit, sampler] of this.samplers) {
      const samples = sampler.samples();
      this.layers?.forEach(({ statistics }, i) => (statistics.units.get(unit)!.sample = samples[i]));
    }
    return (this.layers ?? []).map(({ statistics }) => statistics);
  }

  /** Replaces the statistics by those of an earlier run, to go on from there. */
  restore(saved: LayerStatistics[]): void {
    this.layers = saved.map((statistics) => {
      const shift = [...statistics.units.values()].flatMap(({ strata }) => [...strata.values()])[0].shift;
      return { ...this.createAccumulator(statistics.layer, shift), statistics };
    });
    this.samplers.clear();
    for (const unit of this.plan.units) {
      const samples = saved.map(({ units }) => units.get(unit)?.sample).filter((sample) => sample !== undefined);
      if (samples.length > 0) this.sampler(unit)?.restore(samples);
    }
  }

  /** Forgets all sums but keeps the provisional means, which must be the same in all groups: another group of utterances begins. */
  reset(): void {
    this.layers = this.layers?.map(({ shift }, i) => this.createAccumulator(this.plan.layers[i], shift));
    this.samplers.clear();
  }
}
