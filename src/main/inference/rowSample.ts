/** Rows of features kept besides the moments, for scores that need samples themselves. */
export interface RowSample {
  /** [rows, width] row-major. */
  features: Float32Array;
  /** [rows] which utterance of the data set each row belongs to. */
  utterances: Float64Array;
  /** [rows] the frame's number in its utterance; 0 for the mean over an utterance. */
  frames: Float64Array;
  /** [rows, columns] value of each label column; NaN where the row has none. */
  values: Float64Array;
}

/** How many rows of a group of utterances are kept, and which. */
export interface RowSamplePlan {
  rows: number;
  seed: number;
}

/**
 * A number in [0, 2^32) for a frame of an utterance, spread like a random draw: the finaliser of MurmurHash3 over a running mix.
 * The smallest ones of all frames are a uniform sample without replacement that depends on neither order nor batches.
 */
export function rowKey(seed: number, utterance: number, frame: number): number {
  let key = mix(seed | 0);
  key = mix(key ^ Math.imul(utterance + 1, 0x9e3779b1));
  return mix(key ^ Math.imul(frame + 1, 0x85ebca77)) >>> 0;
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

interface Chosen {
  key: number;
  utterance: number;
  frame: number;
  values: Float64Array;
}

/** Whether `a` is to be given up before `b`. */
function isAfter(a: Chosen, b: Chosen): boolean {
  return a.key !== b.key ? a.key > b.key : a.utterance !== b.utterance ? a.utterance > b.utterance : a.frame > b.frame;
}

/**
 * A bounded uniform sample of the rows that stream by, the same rows in every layer: those with the smallest keys (bottom-k
 * sampling; Cohen & Kaplan, PODC 2007).
 */
export class RowSampler {
  private readonly plan: RowSamplePlan;
  private readonly width: number;
  private readonly columns: number;
  /** A heap with the row to give up first at its root; a row's place in the heap is its place in `features`. */
  private readonly chosen: Chosen[] = [];
  private readonly features: Float32Array[];

  constructor(plan: RowSamplePlan, width: number, layers: number, columns: number) {
    this.plan = plan;
    this.width = width;
    this.columns = columns;
    this.features = Array.from({ length: layers }, () => new Float32Array(plan.rows * width));
  }

  /**
   * Offers rows of one utterance.
   *
   * @param first number of the first row in its utterance
   * @param rows [count, width] of each layer
   * @param valuesOf the label columns' values of a row, by its place among those offered
   */
  offer(
    utterance: number,
    first: number,
    count: number,
    rows: readonly ArrayLike<number>[],
    valuesOf: (row: number) => Float64Array,
  ): void {
    const { width, chosen, plan } = this;
    for (let row = 0; row < count; row++) {
      const frame = first + row;
      const key = rowKey(plan.seed, utterance, frame);
      const full = chosen.length === plan.rows;
      if (full && (plan.rows === 0 || key > chosen[0].key)) continue;
      const entry: Chosen = { key, utterance, frame, values: valuesOf(row) };
      if (full && !isAfter(chosen[0], entry)) continue;
      const slot = full ? this.sink(entry) : this.rise(entry);
      for (const [layer, source] of rows.entries()) {
        const target = this.features[layer];
        for (let c = 0; c < width; c++) target[slot * width + c] = source[row * width + c];
      }
    }
  }

  private moveRow(from: number, to: number): void {
    const { width } = this;
    for (const rows of this.features) rows.copyWithin(to * width, from * width, (from + 1) * width);
  }

  /** Makes room for a new entry at the end of the heap; returns its place. */
  private rise(entry: Chosen): number {
    const { chosen } = this;
    let at = chosen.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isAfter(entry, chosen[parent])) break;
      chosen[at] = chosen[parent];
      this.moveRow(parent, at);
      at = parent;
    }
    chosen[at] = entry;
    return at;
  }

  /** Puts a new entry in place of the root; returns its place. */
  private sink(entry: Chosen): number {
    const { chosen } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= chosen.length) break;
      if (child + 1 < chosen.length && isAfter(chosen[child + 1], chosen[child])) child++;
      if (!isAfter(chosen[child], entry)) break;
      chosen[at] = chosen[child];
      this.moveRow(child, at);
      at = child;
    }
    chosen[at] = entry;
    return at;
  }

  /** The sample so far, per layer, ordered by utterance and frame. */
  samples(): RowSample[] {
    const { width, columns, chosen } = this;
    const order = chosen
      .map((_, i) => i)
      .sort((a, b) => {
        const [x, y] = [chosen[a], chosen[b]];
        return x.utterance - y.utterance || x.frame - y.frame;
      });
    const utterances = Float64Array.from(order, (i) => chosen[i].utterance);
    const frames = Float64Array.from(order, (i) => chosen[i].frame);
    const values = new Float64Array(order.length * columns);
    order.forEach((i, row) => values.set(chosen[i].values, row * columns));
    return this.features.map((rows) => {
      const features = new Float32Array(order.length * width);
      order.forEach((i, row) => features.set(rows.subarray(i * width, (i + 1) * width), row * width));
      return { features, utterances, frames, values };
    });
  }

  /** Goes on from samples that were saved. */
  restore(samples: readonly RowSample[]): void {
    const { utterances, frames, values } = samples[0];
    const { width, columns } = this;
    this.chosen.length = 0;
    for (let row = 0; row < utterances.length; row++) {
      const [utterance, frame] = [utterances[row], frames[row]];
      const own = values.slice(row * columns, (row + 1) * columns);
      const slot = this.rise({ key: rowKey(this.plan.seed, utterance, frame), utterance, frame, values: own });
      samples.forEach(({ features }, layer) =>
        this.features[layer].set(features.subarray(row * width, (row + 1) * width), slot * width),
      );
    }
  }
}
