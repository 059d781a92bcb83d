import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { createRandom, shuffle } from '#main/linalg/random.ts';

import { ctcLoss, rowsNeeded } from './ctcLoss.ts';

/** Frozen features of some utterances, one after the other, and what is said in them. */
export interface HeadTask {
  /** All frames x width, row-major; may lie in shared memory. */
  features: Float32Array;
  width: number;
  /** First frame, number of frames and columns of the vocabulary, by utterance. */
  utterances: { start: number; frames: number; labels: number[] }[];
  vocabulary: number;
  blank: number;
  /** Rows of logits for each frame. */
  upsampling: number;
  /** Where training starts: weight [vocabulary, width] and bias, repeated for every row; zeros where it is absent. */
  initial: { weight: Float32Array; bias: Float32Array } | null;
  epochs: number;
  learningRate: number;
  seed: string;
}

export interface TrainedHead {
  /** [upsampling x vocabulary, width] */
  weight: Float32Array;
  /** [upsampling x vocabulary] */
  bias: Float32Array;
  /** Mean loss of an utterance in each epoch, in nats. */
  losses: number[];
  /** Utterances with more characters than rows; CTC cannot learn from them. */
  tooLong: number;
}

const batchSize = 4;
const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
/** Pulls standardised weights towards where they began: small data would bend them to its noise. */
const decay = 1e-4;

/** Mean and deviation of every feature over the utterances' frames. */
function moments({ features, width, utterances }: HeadTask): { mean: Float64Array; deviation: Float64Array } {
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  let frames = 0;
  const each = (visit: (d: number, value: number) => void): void => {
    for (const { start, frames: count } of utterances)
      for (let i = start * width; i < (start + count) * width; i++) visit(i % width, features[i]);
  };
  for (const { frames: count } of utterances) frames += count;
  each((d, value) => (mean[d] += value / frames));
  each((d, value) => (deviation[d] += (value - mean[d]) ** 2 / frames));
  for (let d = 0; d < width; d++) deviation[d] = Math.sqrt(deviation[d]) || 1;
  return { mean, deviation };
}

/**
 * Trains a linear head of characters on frozen features by CTC with Adam (Kingma & Ba 2015), the second step of two-step training
 * (Zaiem et al. 2023). Features are standardised and the scaling is folded into the weights, so layers of any size learn alike.
 * The rate falls linearly to zero. Same task, same bits.
 */
export function trainHead(task: HeadTask): TrainedHead {
  const { features, width, vocabulary, upsampling, blank, initial, epochs, learningRate, seed } = task;
  const outputs = vocabulary * upsampling;
  const { mean, deviation } = moments(task);
  const usable = task.utterances.filter(({ frames, labels }) => frames * upsampling >= Math.max(1, rowsNeeded(labels)));

  const standardised = new Float32Array(features.length);
  for (let i = 0; i < features.length; i++) {
    const d = i % width;
    standardised[i] = (features[i] - mean[d]) / deviation[d];
  }

  // z = sum_d (x_d - mean_d) / deviation_d v_d + c. Weights [width, outputs], so that loops run along outputs.
  const weight = new Float64Array(width * outputs);
  const bias = new Float64Array(outputs);
  for (let output = 0; output < outputs && initial; output++) {
    const column = output % vocabulary;
    bias[output] = initial.bias[column];
    for (let d = 0; d < width; d++) {
      const value = initial.weight[column * width + d];
      weight[d * outputs + output] = value * deviation[d];
      bias[output] += value * mean[d];
    }
  }
  const anchor = weight.slice();
  const count = weight.length + bias.length;
  const gradient = new Float64Array(count);
  const first = new Float64Array(count);
  const second = new Float64Array(count);
  const losses: number[] = [];
  const random = createRandom(`${seed}/exit-head`);
  const steps = epochs * Math.ceil(usable.length / batchSize);
  let step = 0;

  for (let epoch = 0; epoch < epochs && usable.length > 0; epoch++) {
    let total = 0;
    const order = shuffle([...usable], random);
    for (let from = 0; from < order.length; from += batchSize) {
      const batch = order.slice(from, from + batchSize);
      gradient.fill(0);
      for (const { start, frames, labels } of batch) {
        const x = standardised.subarray(start * width, (start + frames) * width);
        const logits = new Float64Array(frames * outputs);
        for (let frame = 0; frame < frames; frame++) {
          const row = logits.subarray(frame * outputs, (frame + 1) * outputs);
          row.set(bias);
          for (let d = 0; d < width; d++) {
            const value = x[frame * width + d];
            const offset = d * outputs;
            for (let output = 0; output < outputs; output++) row[output] += value * weight[offset + output];
          }
        }
        const slope = new Float64Array(frames * outputs);
        // Rows of one frame lie side by side, which is the order of time.
        total += ctcLoss(
          logSoftmax(logits, frames * upsampling, vocabulary),
          frames * upsampling,
          vocabulary,
          labels,
          blank,
          slope,
        );
        for (let frame = 0; frame < frames; frame++) {
          const row = slope.subarray(frame * outputs, (frame + 1) * outputs);
          for (let d = 0; d < width; d++) {
            const value = x[frame * width + d];
            const offset = d * outputs;
            for (let output = 0; output < outputs; output++) gradient[offset + output] += value * row[output];
          }
          for (let output = 0; output < outputs; output++) gradient[weight.length + output] += row[output];
        }
      }
      const rate = learningRate * (1 - step / steps);
      step++;
      const [unbias1, unbias2] = [1 - beta1 ** step, 1 - beta2 ** step];
      for (let i = 0; i < count; i++) {
        const isWeight = i < weight.length;
        const slope = gradient[i] / batch.length;
        first[i] = beta1 * first[i] + (1 - beta1) * slope;
        second[i] = beta2 * second[i] + (1 - beta2) * slope * slope;
        const change = (rate * (first[i] / unbias1)) / (Math.sqrt(second[i] / unbias2) + epsilon);
        if (isWeight) weight[i] -= change + rate * decay * (weight[i] - anchor[i]);
        else bias[i - weight.length] -= change;
      }
    }
    losses.push(total / usable.length);
  }

  const result = { weight: new Float32Array(outputs * width), bias: new Float32Array(outputs) };
  for (let output = 0; output < outputs; output++) {
    let offset = bias[output];
    for (let d = 0; d < width; d++) {
      const value = weight[d * outputs + output] / deviation[d];
      result.weight[output * width + d] = value;
      offset -= value * mean[d];
    }
    result.bias[output] = offset;
  }
  return { ...result, losses, tooLong: task.utterances.length - usable.length };
}
