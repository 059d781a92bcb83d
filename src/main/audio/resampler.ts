/**
 * Band-limited resampling by a windowed sinc in polyphase form (Crochiere & Rabiner, Multirate Digital Signal Processing,
 * 1983, ch. 4), with Kaiser's window (Kaiser & Schafer, IEEE Trans. ASSP 28(1), 1980):
 *
 *   y[k] = sum_n x[n] h(k M/L - n),   h(t) = w sinc(w t) I0(beta sqrt(1 - (t/H)^2)) / I0(beta),   |t| < H
 *
 * where L/M is target/source in lowest terms, H = zeros / min(1, L/M) input samples and w = cutoff * min(1, L/M).
 * With beta 10 the stop band lies 100 dB down and the transition is 0.133 of the lower Nyquist frequency wide. The cutoff puts
 * its upper end at that frequency, so everything that could alias is in the stop band (44.1 to 16 kHz: flat to 7 kHz, 8 kHz and above gone).
 */
export const resamplerDesign = { zeros: 48, beta: 10, cutoff: 0.934 } as const;

/** Modified Bessel function of the first kind, order 0, by its power series. */
function besselI0(x: number): number {
  const quarter = (x * x) / 4;
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Coefficients kept for one pair of rates: 64 MiB. Pairs of rates that need more have their rows computed anew each time. */
const maxKeptCoefficients = 1 << 23;

/** The filter's rows (phases) of one pair of rates, computed when first needed. */
class PolyphaseFilter {
  /** Output samples per `down` input samples. */
  readonly up: number;
  readonly down: number;
  /** Taps on each side of an output instant, an even number. */
  readonly half: number;
  readonly #scale: number;
  readonly #rows = new Map<number, Float64Array>();

  constructor(source: number, target: number) {
    const divisor = greatestCommonDivisor(source, target);
    this.up = target / divisor;
    this.down = source / divisor;
    this.#scale = Math.min(1, target / source);
    this.half = 2 * Math.ceil(resamplerDesign.zeros / this.#scale / 2);
  }

  /** Weights of the 2 `half` input samples around an instant `phase / up` behind an input sample, oldest first; they sum to 1. */
  row(phase: number): Float64Array {
    let row = this.#rows.get(phase);
    if (!row) {
      row = this.#compute(phase);
      if ((this.#rows.size + 1) * row.length <= maxKeptCoefficients) this.#rows.set(phase, row);
    }
    return row;
  }

  #compute(phase: number): Float64Array {
    const { zeros, beta, cutoff } = resamplerDesign;
    const row = new Float64Array(2 * this.half);
    let sum = 0;
    for (let j = 0; j < row.length; j++) {
      const t = phase / this.up + this.half - 1 - j;
      const x = Math.PI * cutoff * this.#scale * t;
      const edge = (t * this.#scale) / zeros;
      const window = edge * edge < 1 ? besselI0(beta * Math.sqrt(1 - edge * edge)) : 0;
      row[j] = (x === 0 ? 1 : Math.sin(x) / x) * window;
      sum += row[j];
    }
    for (let j = 0; j < row.length; j++) row[j] /= sum;
    return row;
  }
}

const filters = new Map<string, PolyphaseFilter>();

/** The filter of a pair of rates. A few stay in memory, because a data set has few rates and many short clips. */
function filterFor(source: number, target: number): PolyphaseFilter {
  const key = `${source}->${target}`;
  const filter = filters.get(key) ?? new PolyphaseFilter(source, target);
  filters.delete(key);
  filters.set(key, filter);
  if (filters.size > 4) filters.delete(filters.keys().next().value!);
  return filter;
}

/**
 * The filter that resamples by 1 / `factor`, as a convolution: output k is the sum of weights[j] times sample k factor + j - before.
 * Outside of the recording is silence.
 */
export function decimationFilter(factor: number): { weights: Float64Array; before: number } {
  const filter = filterFor(factor, 1);
  return { weights: filter.row(0).slice(), before: filter.half - 1 };
}

/** Samples that `frames` samples become: round(frames * target / source). */
export function resampledLength(frames: number, source: number, target: number): number {
  return Math.round((frames * target) / source);
}

/** The resampling as it is recorded with a result. */
export function describeResampling(source: number, target: number): string {
  if (source === target) return 'none';
  const { zeros, beta, cutoff } = resamplerDesign;
  return `kaiser-polyphase ${source}->${target}, ${zeros} zeros, beta ${beta}, cutoff ${cutoff}`;
}

/**
 * Resamples a stream block by block. Sample 0 of the output is at the instant of sample 0 of the input (no delay), outside the
 * stream is silence, and n input samples give round(n target / source) output samples. The samples do not depend on how the
 * input is cut into blocks. Equal rates pass through unchanged.
 */
export class Resampler {
  readonly #filter: PolyphaseFilter | undefined;
  readonly #source: number;
  readonly #target: number;
  /** The input from `#first` on, in float64 as the sums are. */
  #held: Float64Array;
  #heldLength: number;
  /** Index in the input of `#held[0]`; negative in the silence before the stream. */
  #first: number;
  #received = 0;
  /** Index and phase of the next output instant: (#at + #phase / up) input samples. */
  #at = 0;
  #phase = 0;
  #given = 0;

  /** @param source, target sampling rates in Hz, positive integers. */
  constructor(source: number, target: number) {
    this.#source = source;
    this.#target = target;
    this.#filter = source === target ? undefined : filterFor(source, target);
    const before = this.#filter ? this.#filter.half - 1 : 0;
    this.#held = new Float64Array(4 * before + 1024);
    this.#heldLength = before;
    this.#first = -before;
  }

  /** Takes the next samples; returns the output samples that are now settled. */
  push(block: Float32Array): Float32Array {
    this.#received += block.length;
    if (!this.#filter) return block;
    this.#append(block, block.length);
    return this.#settled(this.#filter, Infinity);
  }

  /** Ends the stream; returns the rest of the output. */
  flush(): Float32Array {
    if (!this.#filter) return new Float32Array(0);
    this.#append(undefined, this.#filter.half + 1);
    return this.#settled(this.#filter, resampledLength(this.#received, this.#source, this.#target) - this.#given);
  }

  #append(block: Float32Array | undefined, length: number): void {
    const needed = this.#heldLength + length;
    if (needed > this.#held.length) {
      const grown = new Float64Array(Math.max(needed, 2 * this.#held.length));
      grown.set(this.#held.subarray(0, this.#heldLength));
      this.#held = grown;
    }
    if (block) this.#held.set(block, this.#heldLength);
    else this.#held.fill(0, this.#heldLength, needed);
    this.#heldLength = needed;
  }

  #settled(filter: PolyphaseFilter, most: number): Float32Array {
    const { up, down, half } = filter;
    const held = this.#held;
    // The output at instant i + p/up needs the inputs i - half + 1 to i + half.
    const lastAt = this.#first + this.#heldLength - 1 - half;
    const possible = lastAt < this.#at ? 0 : Math.ceil(((lastAt + 1 - this.#at) * up - this.#phase) / down);
    const output = new Float32Array(Math.min(possible, most));
    const whole = Math.floor(down / up);
    const rest = down % up;
    for (let k = 0; k < output.length; k++) {
      output[k] = dot(filter.row(this.#phase), held, this.#at - half + 1 - this.#first);
      this.#at += whole;
      this.#phase += rest;
      if (this.#phase >= up) {
        this.#phase -= up;
        this.#at++;
      }
    }
    this.#given += output.length;
    const drop = Math.min(this.#at - half + 1 - this.#first, this.#heldLength);
    held.copyWithin(0, drop, this.#heldLength);
    this.#heldLength -= drop;
    this.#first += drop;
    return output;
  }
}

/** Sum of row[j] x[offset + j]; the row's length is a multiple of 4. Four sums, because one would wait for each addition. */
function dot(row: Float64Array, x: Float64Array, offset: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let j = 0; j < row.length; j += 4) {
    a += row[j] * x[offset + j];
    b += row[j + 1] * x[offset + j + 1];
    c += row[j + 2] * x[offset + j + 2];
    d += row[j + 3] * x[offset + j + 3];
  }
  return a + b + c + d;
}

/** All samples at once. */
export function resample(samples: Float32Array, source: number, target: number): Float32Array {
  const resampler = new Resampler(source, target);
  const body = resampler.push(samples);
  const tail = resampler.flush();
  if (tail.length === 0) return body;
  const output = new Float32Array(body.length + tail.length);
  output.set(body);
  output.set(tail, body.length);
  return output;
}
