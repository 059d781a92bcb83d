import { describe, expect, it } from 'vitest';

import { decodeGreedily } from '#main/decoding/greedy.ts';
import { CtcHead, type CtcShape, foldStandardisation } from '#main/probing/ctcHead.ts';
import { ctcLoss } from '#main/probing/ctcLoss.ts';
import { type CtcData, ctcErrors, ctcPosteriors, type CtcUtterance, trainCtcProbe } from '#main/probing/ctcProbe.ts';

import { Lcg } from '../scoring/data.ts';

const columns = 5;
const d = 6;

/** Utterances of words from tokens 1 to 4, two or more frames a token with a pause between, in the layer `good`. */
function makeData(layers: number, good: number, options: { framesPerToken?: number; count?: number } = {}) {
  const { framesPerToken = 3, count = 60 } = options;
  const random = new Lcg(17);
  const utterances: CtcUtterance[] = [];
  const said: number[] = [];
  for (let u = 0; u < count; u++) {
    const tokens = Int32Array.from({ length: 2 + Math.floor(random.uniform() * 4) }, () => 1 + Math.floor(random.uniform() * 4));
    const start = said.length;
    for (const token of tokens) for (let t = 0; t < framesPerToken; t++) said.push(t === framesPerToken - 1 && t > 0 ? 0 : token);
    utterances.push({ start, frames: said.length - start, tokens });
  }
  const features = Array.from({ length: layers }, (_, l) =>
    Float32Array.from(
      { length: said.length * d },
      (__, e) => 100 + 4 * (random.bell() + (l === good && e % d === said[Math.floor(e / d)] ? 8 : 0)),
    ),
  );
  const data: CtcData = {
    read: (layer, from, frames) => features[layer].subarray(from * d, (from + frames) * d),
    train: utterances.slice(0, count - 20),
    dev: utterances.slice(count - 20, count - 10),
    blank: 0,
  };
  return { data, test: utterances.slice(count - 10), features };
}

const shape = (changes: Partial<CtcShape> = {}): CtcShape => ({ layers: 1, d, inner: null, columns, upsampling: 1, ...changes });
const settings = { epochs: 30, learningRate: 0.03, batch: 4, seed: 1 };

describe('a CTC head', () => {
  it.each([shape({ layers: 3 }), shape({ inner: 4 }), shape({ layers: 2, inner: 3, upsampling: 2 })])(
    'has the gradient that finite differences show: %o',
    (form) => {
      const { features } = makeData(form.layers, 0);
      const standardisation = { mean: new Float64Array(d).fill(100), scale: new Float64Array(d).fill(8) };
      const frames = 9;
      const head = new CtcHead(form, Array(form.layers).fill(standardisation), frames);
      const random = new Lcg(4);
      const at = Float64Array.from({ length: head.size }, () => random.bell());
      const rows = frames * form.upsampling;
      const loss = (x: Float64Array, back?: Float64Array): number => {
        head.set(x);
        return ctcLoss(head.forward(x, features, frames), rows, columns, [2, 2, 1], 0, back);
      };
      const back = new Float64Array(rows * columns);
      const gradient = new Float64Array(head.size);
      loss(at, back);
      head.backward(at, back, frames, gradient);
      for (let i = 0; i < at.length; i++) {
        const moved = (by: number): Float64Array => at.map((value, j) => (j === i ? value + by : value));
        expect(gradient[i]).toBeCloseTo((loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5, 6);
      }
    },
  );

  it('learns to read, and which layer to read from', () => {
    const { data, test } = makeData(3, 2);
    const probe = trainCtcProbe(data, shape({ layers: 3 }), settings);
    const weights = [...probe.head.layerWeights!];
    expect(weights.indexOf(Math.max(...weights))).toBe(2);
    for (const utterance of test)
      expect(ctcErrors(probe, data, utterance)).toMatchObject({ substitutions: 0, deletions: 0, insertions: 0 });
  });

  it('gives the same bits with the same seed, and others with another', () => {
    const { data } = makeData(1, 0);
    const train = (seed: number) => trainCtcProbe(data, shape(), { ...settings, epochs: 3, seed }).head.weight;
    expect(train(1)).toEqual(train(1));
    expect(train(2)).not.toEqual(train(1));
  });

  it('gives several rows for a frame where tokens are denser than frames', () => {
    const { data, test } = makeData(1, 0, { framesPerToken: 1 });
    const repeats = [...data.train, ...data.dev].some(({ tokens }) => tokens.some((token, i) => token === tokens[i - 1]));
    expect(repeats).toBe(true);
    const probe = trainCtcProbe(data, shape({ upsampling: 2 }), settings);
    expect(probe.tooLong).toBe(0);
    expect(probe.head.weight.length).toBe(2 * columns * d);
    const errors = test.map((utterance) => ctcErrors(probe, data, utterance));
    expect(
      errors.reduce((sum, { substitutions, deletions, insertions }) => sum + substitutions + deletions + insertions, 0),
    ).toBe(0);
    expect(trainCtcProbe(data, shape(), { ...settings, epochs: 1 }).tooLong).toBeGreaterThan(0);
  });

  it.each([null, 8])('is the same over raw features once the standardisation is folded in, inner layer %s', (inner) => {
    const { data, test, features } = makeData(1, 0);
    const probe = trainCtcProbe(data, shape({ inner }), { ...settings, epochs: 4 });
    const { start, frames } = test[0];
    const wanted = ctcPosteriors(probe, data, test[0]);
    const folded = foldStandardisation(probe.head);
    const linear = (x: number[], { weight, bias }: { weight: Float64Array; bias: Float64Array }): number[] =>
      [...bias].map((b, c) => x.reduce((sum, value, j) => sum + value * weight[c * x.length + j], b));
    for (let t = 0; t < frames; t++) {
      const x = [...features[0].subarray((start + t) * d, (start + t + 1) * d)];
      const seen = folded.inner ? linear(x, folded.inner).map((value) => (value > 0 ? value : 0.01 * value)) : x;
      const logits = linear(seen, folded);
      const norm = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
      // Standardised features are rounded to float32, folded ones are not.
      for (const [c, z] of logits.entries()) expect(z - norm).toBeCloseTo(wanted[t * columns + c], 4);
    }
    expect(decodeGreedily(wanted, frames, columns, 0).length).toBeGreaterThan(0);
  });

  it('refuses data without a transcript that fits', () => {
    const { data } = makeData(1, 0);
    const silent = { ...data, dev: data.dev.map((utterance) => ({ ...utterance, frames: 1 })) };
    expect(() => trainCtcProbe(silent, shape(), settings)).toThrow(/40 and 0 can be aligned, 10 have more tokens/);
  });
});
