import { align, countErrors, type ErrorCounts } from '#main/decoding/editDistance.ts';
import { decodeGreedily } from '#main/decoding/greedy.ts';
import { createRandom, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { Adam } from './adam.ts';
import { CtcHead, type CtcShape, type TrainedCtcHead } from './ctcHead.ts';
import { ctcLoss, fewestFrames } from './ctcLoss.ts';
import { RowMoments } from './standardise.ts';

/** Frames of one utterance, and what they say. */
export interface CtcUtterance {
  /** Row of its first frame in the store of features. */
  start: number;
  frames: number;
  /** Columns of the head, without blanks. */
  tokens: Int32Array;
}

export interface CtcData {
  /** Frames start to start + frames - 1 of a layer, [frames, d], as the encoder gave them. */
  read: (layer: number, start: number, frames: number) => Float32Array;
  /** To fit. */
  train: readonly CtcUtterance[];
  /** To stop by. */
  dev: readonly CtcUtterance[];
  /** The column of "no token". */
  blank: number;
}

export interface CtcSettings {
  epochs: number;
  learningRate: number;
  /** Utterances per step. */
  batch: number;
  seed: number | string;
}

export const defaultCtcSettings: Omit<CtcSettings, 'seed'> = { epochs: 60, learningRate: 0.01, batch: 8 };

/** Epochs without a lower loss on the development part after which the rate is halved, and halvings after which training ends. */
const [patience, mostHalvings] = [2, 4];

export interface CtcProbe {
  head: TrainedCtcHead;
  /** Nats per token. */
  trainLoss: number;
  devLoss: number;
  epochs: number;
  /** Utterances of training and development with more tokens than their frames can hold: left out. */
  tooLong: number;
  model: CtcHead;
  parameters: Float64Array;
}

/** Features of an utterance, of all layers that the head sees. */
function featuresOf({ read }: Pick<CtcData, 'read'>, layers: number, { start, frames }: CtcUtterance): Float32Array[] {
  return Array.from({ length: layers }, (_, layer) => read(layer, start, frames));
}

/** Log-probabilities of an utterance under trained parameters, [frames * upsampling, columns]. */
export function ctcPosteriors(
  { model, parameters }: Pick<CtcProbe, 'model' | 'parameters'>,
  data: Pick<CtcData, 'read'>,
  utterance: CtcUtterance,
): Float64Array {
  model.set(parameters);
  return model.forward(parameters, featuresOf(data, model.shape.layers, utterance), utterance.frames);
}

/** Errors of greedy decoding against the utterance's tokens. */
export function ctcErrors(
  probe: Pick<CtcProbe, 'model' | 'parameters'>,
  data: Pick<CtcData, 'read' | 'blank'>,
  utterance: CtcUtterance,
): ErrorCounts {
  const { columns, upsampling } = probe.model.shape;
  const said = decodeGreedily(ctcPosteriors(probe, data, utterance), utterance.frames * upsampling, columns, data.blank);
  return countErrors(align([...utterance.tokens], said));
}

/**
 * Trains a CTC head on frozen features: Adam over seeded batches of utterances, loss per token; features standardised by the training
 * part. The rate is halved when the loss on the development part has not become lower in two epochs, at most four times; the epoch with
 * the lowest one counts. Equal seeds give equal bits.
 *
 * @param longest frames of the longest utterance that will be given to the head; of training and development where omitted
 * @throws ForetuneError `invalid-data` where no utterance of training or development can be aligned
 */
export function trainCtcProbe(data: CtcData, shape: CtcShape, settings: CtcSettings, longest = 0): CtcProbe {
  const { read, blank } = data;
  const { layers, columns, upsampling, d } = shape;
  const fits = ({ frames, tokens }: CtcUtterance): boolean => frames > 0 && frames * upsampling >= fewestFrames(tokens);
  const [train, dev] = [data.train.filter(fits), data.dev.filter(fits)];
  const tooLong = data.train.length + data.dev.length - train.length - dev.length;
  const count = (utterances: readonly CtcUtterance[]): number => utterances.reduce((sum, { tokens }) => sum + tokens.length, 0);
  if (count(train) === 0 || count(dev) === 0) {
    throw new ForetuneError(
      'invalid-data',
      `A CTC head needs transcribed utterances to train on and to stop by: ${train.length} and ${dev.length} can be aligned, ${tooLong} have more tokens than the ${upsampling} rows per frame can hold.`,
    );
  }
  const standardisations = Array.from({ length: layers }, (_, layer) => {
    const moments = new RowMoments(d);
    for (const { start, frames } of train) moments.add(read(layer, start, frames), frames);
    return moments.standardisation();
  });
  const maxFrames = [...train, ...dev].reduce((most, { frames }) => Math.max(most, frames), longest);
  const model = new CtcHead(shape, standardisations, maxFrames);
  const parameters = model.initial(settings.seed);
  const gradient = new Float64Array(model.size);
  const back = new Float64Array(maxFrames * upsampling * columns);

  /** Loss of an utterance; its gradient is added where wanted. */
  const lossOf = (utterance: CtcUtterance, learn: boolean): number => {
    const { frames, tokens } = utterance;
    const rows = frames * upsampling;
    const logProbabilities = model.forward(parameters, featuresOf(data, layers, utterance), frames);
    const loss = ctcLoss(logProbabilities, rows, columns, tokens, blank, learn ? back : undefined);
    if (learn) model.backward(parameters, back.subarray(0, rows * columns), frames, gradient);
    return loss;
  };
  const meanLoss = (utterances: readonly CtcUtterance[]): number => {
    model.set(parameters);
    return utterances.reduce((sum, utterance) => sum + lossOf(utterance, false), 0) / count(utterances);
  };

  const adam = new Adam(model.size);
  const random = createRandom(`${settings.seed}/batches`);
  const order = train.map((_, i) => i);
  let rate = settings.learningRate;
  let best = { devLoss: meanLoss(dev), parameters: parameters.slice() };
  let [since, halvings, epochs] = [0, 0, 0];
  while (epochs < settings.epochs && halvings <= mostHalvings) {
    epochs++;
    shuffle(order, random);
    for (let from = 0; from < order.length; from += settings.batch) {
      const batch = order.slice(from, from + settings.batch).map((i) => train[i]);
      gradient.fill(0);
      model.set(parameters);
      for (const utterance of batch) lossOf(utterance, true);
      const tokens = Math.max(1, count(batch));
      for (let i = 0; i < gradient.length; i++) gradient[i] /= tokens;
      adam.step(parameters, gradient, rate);
    }
    const devLoss = meanLoss(dev);
    if (devLoss < best.devLoss) {
      best = { devLoss, parameters: parameters.slice() };
      since = 0;
    } else if (++since === patience) {
      rate /= 2;
      halvings++;
      since = 0;
    }
  }
  parameters.set(best.parameters);
  return {
    head: model.describe(best.parameters),
    trainLoss: meanLoss(train),
    devLoss: best.devLoss,
    epochs,
    tooLong,
    model,
    parameters: best.parameters,
  };
}
