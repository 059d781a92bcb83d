import { type FeatureMoments, type TargetMoments, createFeatureMoments, createTargetMoments } from '#main/scoring/moments.ts';
import { type Unit } from '#shared/score.ts';

import { createRows, type GramKernel, type Rows } from './gram.ts';

/** A label column as the statistics see it. */
export interface TargetColumn {
  name: string;
  kind: 'classification' | 'regression';
  /** Classes, or 1 for a regression target. */
  k: number;
}

export interface StatisticsPlan {
  /** Layer indices, in the order in which features arrive. */
  layers: number[];
  width: number;
  units: Unit[];
  columns: TargetColumn[];
}

/** One column's value on one utterance: class index or number; null where the utterance has no label. */
export type TargetValue = number | null;

/**
 * Features are summed once per *stratum*: the set of utterances that carry labels of the same columns (a bit per column).
 * A column's statistics are those of all strata that hold it, so columns with gaps still share one pass and one Gram.
 */
export interface UnitStatistics {
  strata: Map<number, FeatureMoments>;
  /** Cross terms with each column, over all its strata. */
  targets: TargetMoments[];
}

/** Everything that scoring needs of one layer. */
export interface LayerStatistics {
  layer: number;
  units: Map<Unit, UnitStatistics>;
}

/** The stratum of an utterance: one bit per column that has a value. A plain sum, since shifts end at 31 columns. */
export function stratumOf(values: readonly TargetValue[]): number {
  return values.reduce<number>((mask, value, column) => (value === null ? mask : mask + 2 ** column), 0);
}

/** Whether a stratum holds labels of a column. */
export function stratumHolds(stratum: number, column: number): boolean {
  return Math.floor(stratum / 2 ** column) % 2 === 1;
}

/** Rows per call of the Gram kernel: large enough for the GEMM to run at full speed, small enough to stay out of the way. */
const blockRows: Record<Unit, number> = { frame: 2048, utterance: 128 };

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
  private frames = 0;
  private mask = 0;
  private values: TargetValue[] = [];

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

  /** Starts an utterance with its value in every column. */
  beginUtterance(values: TargetValue[]): void {
    this.values = values;
    this.mask = stratumOf(values);
    this.frames = 0;
    for (const { utteranceSum } of this.layers ?? []) utteranceSum.fill(0);
  }

  /** Adds a stretch of the utterance: one frames x width array per layer. */
  async addFrames(layers: Float32Array[], frames: number): Promise<void> {
    if (frames === 0 || this.mask === 0) return;
    const { width } = this.plan;
    this.layers ??= layers.map((features, i) =>
      this.createAccumulator(this.plan.layers[i], columnMeans(features, frames, width)),
    );
    for (const [i, accumulator] of this.layers.entries()) {
      const { statistics, shift, utteranceSum } = accumulator;
      sumRows(utteranceSum, layers[i], frames, width, shift);
      if (statistics.units.has('frame')) await this.pushFrames(accumulator, layers[i], frames);
    }
    this.frames += frames;
  }

  /** Ends the utterance; returns its number of frames. */
  async endUtterance(): Promise<number> {
    const { frames, values, mask } = this;
    if (frames === 0 || mask === 0 || !this.layers) return 0;
    for (const accumulator of this.layers) {
      const { statistics, utteranceSum } = accumulator;
      for (const [unit, { strata, targets }] of statistics.units) {
        const samples = unit === 'frame' ? frames : 1;
        const sum = unit === 'frame' ? utteranceSum : utteranceSum.map((total) => total / frames);
        const features = this.stratum(accumulator.shift, strata);
        features.n += samples;
        sum.forEach((value, c) => (features.sum[c] += value));
        if (unit === 'utterance') {
          const waiting = this.waiting(accumulator, unit);
          waiting.x.data.set(sum, waiting.x.rows++ * this.plan.width);
          await this.emptyIfFull(waiting);
        }
        values.forEach((value, column) => {
          if (value !== null) this.addTarget(targets[column], column, value, samples, sum);
        });
      }
    }
    return frames;
  }

  private addTarget(target: TargetMoments, column: number, value: number, samples: number, sum: Float64Array): void {
    const isClass = this.plan.columns[column].kind === 'classification';
    const index = isClass ? value : 0;
    const y = isClass ? 1 : value;
    const offset = index * this.plan.width;
    target.n += samples;
    target.sum[index] += samples * y;
    target.squares[index] += samples * y * y;
    for (let c = 0; c < sum.length; c++) target.cross[offset + c] += y * sum[c];
  }

  private stratum(shift: Float64Array, strata: Map<number, FeatureMoments>): FeatureMoments {
    let features = strata.get(this.mask);
    if (!features) {
      features = createFeatureMoments(this.plan.width, shift);
      strata.set(this.mask, features);
    }
    return features;
  }

  /** The rows of this unit and stratum that wait for the Gram kernel. */
  private waiting(accumulator: Accumulator, unit: Unit): Waiting {
    const key = `${unit} ${this.mask}`;
    let waiting = accumulator.waiting.get(key);
    if (!waiting) {
      const { width } = this.plan;
      const [kind, shift] =
        unit === 'frame' ? (['float32', accumulator.shift] as const) : (['float64', new Float64Array(width)] as const);
      const strata = accumulator.statistics.units.get(unit)!.strata;
      waiting = { x: createRows(kind, blockRows[unit], width), into: this.stratum(accumulator.shift, strata), shift };
      accumulator.waiting.set(key, waiting);
    }
    return waiting;
  }

  private async pushFrames(accumulator: Accumulator, features: Float32Array, frames: number): Promise<void> {
    const { width } = this.plan;
    const waiting = this.waiting(accumulator, 'frame');
    const { x } = waiting;
    for (let from = 0; from < frames;) {
      const to = Math.min(frames, from + x.capacity - x.rows);
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
    return (this.layers ?? []).map(({ statistics }) => statistics);
  }

  /** Replaces the statistics by those of an earlier run, to go on from there. */
  restore(saved: LayerStatistics[]): void {
    this.layers = saved.map((statistics) => {
      const shift = [...statistics.units.values()].flatMap(({ strata }) => [...strata.values()])[0].shift;
      return { ...this.createAccumulator(statistics.layer, shift), statistics };
    });
  }

  /** Forgets all sums but keeps the provisional means, which must be the same in all groups: another group of utterances begins. */
  reset(): void {
    this.layers = this.layers?.map(({ shift }, i) => this.createAccumulator(this.plan.layers[i], shift));
  }
}
