import { normalize, segmentBounds } from '#main/audio/segment.ts';
import { addMargins, ckaOfMoments, createCrossMoments, type CrossMoments } from '#main/scoring/crossMoments.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { type CrossGramKernel, openCrossGramKernel } from './crossGram.ts';
import { type Encoder, openEncoder, probeClip } from './encoder.ts';
import { type OpenRequest } from './handlers.ts';

/** How alike a layer of two models is; `null` where the audio at hand does not tell. */
export interface LayerSimilarity {
  /** Indices of the models. */
  a: number;
  b: number;
  layer: number;
  cka: number | null;
  debiased: number | null;
  /** Why there is no value. */
  problem: string | null;
}

/** Rows that wait for one multiplication. */
const blockRows = 512;
/** Memory that the sums may take, bytes. */
const mostBytes = 3e9;

interface Side {
  encoder: Encoder;
  request: OpenRequest;
  width: number;
  /** [layer][blockRows x width] */
  rows: Float32Array[];
  /** [layer] a point near the mean, from the first audio. */
  shifts: Float64Array[];
}

/** Sums of one layer of models a and b. */
interface LayerPair {
  a: number;
  b: number;
  layers: CrossMoments[];
}

/** Several encoders on the same audio, and the moments of all pairs of them, layer by layer, of one pass. */
export class SideBySide {
  readonly layers: readonly number[];
  private readonly sides: readonly Side[];
  private readonly kernel: CrossGramKernel;
  private readonly pairs: LayerPair[] = [];
  private filled = 0;
  frames = 0;

  private constructor(sides: readonly Side[], kernel: CrossGramKernel) {
    this.sides = sides;
    this.kernel = kernel;
    this.layers = sides[0].encoder.layers;
    for (let a = 0; a < sides.length; a++) {
      for (let b = a; b < sides.length; b++)
        this.pairs.push({ a, b, layers: this.layers.map(() => createCrossMoments(sides[a].width, sides[b].width)) });
    }
  }

  /** Throws `usage` where the sums of all layers would not fit, `mismatch` for models whose layers do not correspond. */
  static async open(requests: readonly OpenRequest[]): Promise<SideBySide> {
    const sides: Side[] = [];
    try {
      for (const request of requests) {
        const encoder = await openEncoder(request.encoder, request.settings);
        const { width } = await encoder.run(probeClip(request.rule.minSamples));
        sides.push({
          encoder,
          request,
          width,
          rows: encoder.layers.map(() => new Float32Array(blockRows * width)),
          shifts: [],
        });
      }
      const [{ encoder: first }] = sides;
      const other = sides.find(({ encoder }) => encoder.layers.join() !== first.layers.join());
      if (other)
        throw new ForetuneError(
          'mismatch',
          `The models have the layers ${first.layers.join(', ')} and ${other.encoder.layers.join(', ')}; their features can be compared layer by layer only where both have the same.`,
        );
      const widths = sides.map(({ width }) => width);
      const cells = widths.reduce((sum, a, i) => sum + widths.slice(i).reduce((own, b) => own + a * b, 0), 0);
      const bytes = cells * first.layers.length * 8;
      if (bytes > mostBytes) {
        throw new ForetuneError(
          'usage',
          `Comparing ${first.layers.length} layers of ${sides.length} models at once would take ${(bytes / 1e9).toFixed(1)} GB of memory; choose fewer layers or models.`,
        );
      }
      return new SideBySide(sides, await openCrossGramKernel(requests[0].settings.threads));
    } catch (error) {
      for (const { encoder } of sides) await encoder.close();
      throw error;
    }
  }

  /** Adds an utterance, part by part; returns its frames. Throws `mismatch` where the models cut it into different numbers of them. */
  async add(samples: Float32Array): Promise<number> {
    const before = this.frames;
    const waveforms = this.sides.map(({ request: { rule } }) => (rule.normalize ? normalize(samples) : samples));
    const { rate, maxSeconds, minSamples } = this.sides[0].request.rule;
    for (const { start, end } of segmentBounds(samples.length, rate, { maxSeconds, minSamples })) {
      const runs = [];
      for (const [i, { encoder }] of this.sides.entries()) runs.push(await encoder.run(waveforms[i].slice(start, end)));
      const [{ frames }] = runs;
      const other = runs.find((run) => run.frames !== frames);
      if (other)
        throw new ForetuneError(
          'mismatch',
          `The models cut the same audio into ${frames} and ${other.frames} frames, so their frames cannot be held against each other.`,
        );
      for (const [i, { layers, width }] of runs.entries()) {
        const side = this.sides[i];
        if (side.shifts.length === 0 && frames > 0)
          side.shifts.push(...layers.map((features) => columnMeans(features, frames, width)));
      }
      for (let from = 0; from < frames;) {
        const count = Math.min(blockRows - this.filled, frames - from);
        for (const [i, { layers, width }] of runs.entries()) {
          for (const [l, features] of layers.entries())
            this.sides[i].rows[l].set(features.subarray(from * width, (from + count) * width), this.filled * width);
        }
        this.filled += count;
        from += count;
        if (this.filled === blockRows) await this.flush();
      }
      this.frames += frames;
    }
    return this.frames - before;
  }

  private async flush(): Promise<void> {
    const rows = this.filled;
    this.filled = 0;
    if (rows === 0) return;
    for (const { a, b, layers } of this.pairs) {
      const [x, y] = [this.sides[a], this.sides[b]];
      for (const [l, moments] of layers.entries()) {
        await this.kernel.addTo(moments.cross, x.rows[l], y.rows[l], rows, x.shifts[l], y.shifts[l]);
        addMargins(moments, x.rows[l], y.rows[l], rows, x.shifts[l], y.shifts[l]);
      }
    }
  }

  /** CKA of every layer of every two models. */
  async similarities(): Promise<LayerSimilarity[]> {
    await this.flush();
    const own = (model: number, layer: number) => this.pairs.find(({ a, b }) => a === model && b === model)!.layers[layer];
    return this.pairs
      .filter(({ a, b }) => a !== b)
      .flatMap(({ a, b, layers }) =>
        layers.map((moments, l): LayerSimilarity => {
          const where = { a, b, layer: this.layers[l] };
          try {
            const cka = ckaOfMoments(moments, own(a, l), own(b, l));
            return { ...where, cka, debiased: debiasedOf(moments, own(a, l), own(b, l)), problem: null };
          } catch (error) {
            const { code, message } = toErrorValue(error);
            if (code !== 'invalid-data') throw error;
            return { ...where, cka: null, debiased: null, problem: message };
          }
        }),
      );
  }

  async close(): Promise<void> {
    for (const { encoder } of this.sides) await encoder.close();
    await this.kernel.close();
  }
}

/** Null where the samples show nothing beyond chance within one of the sets. */
function debiasedOf(xy: CrossMoments, xx: CrossMoments, yy: CrossMoments): number | null {
  try {
    return ckaOfMoments(xy, xx, yy, { debiased: true });
  } catch (error) {
    if (toErrorValue(error).code !== 'invalid-data') throw error;
    return null;
  }
}

function columnMeans(features: Float32Array, frames: number, width: number): Float64Array {
  const means = new Float64Array(width);
  for (let t = 0; t < frames; t++) for (let c = 0; c < width; c++) means[c] += features[t * width + c] / frames;
  return means;
}
