import { closeSync, openSync, readSync } from 'node:fs';

import { type CtcData, ctcErrors, type CtcSettings, type CtcUtterance, trainCtcProbe } from '#main/probing/ctcProbe.ts';
import { type CtcShape } from '#main/probing/ctcHead.ts';
import { fewestFrames } from '#main/probing/ctcLoss.ts';
import { fitLinearProbe } from '#main/probing/linearProbe.ts';
import { hasLabel, type RowTargets } from '#main/probing/losses.ts';
import { addOutcomes, type HeldOut, heldOut, measureOf, tokenErrorMeasure } from '#main/probing/measures.ts';
import { RowMoments, standardiseRows } from '#main/probing/standardise.ts';
import { ForetuneError } from '#shared/errors.ts';

/** What a probe gave, with what a reader should know of it. */
export interface ProbeResult extends HeldOut {
  metric: string;
  /** Held-out samples (CTC: tokens) behind the measure. */
  n: number;
  /** Classes or tokens; 0 for a regression. */
  classes: number;
  /** softmax(w) of the layers; null for a single one. */
  weights: number[] | null;
  notes: string[];
}

/** Draws of held-out utterances behind the interval. */
export interface Resampling {
  draws: number;
  seed: number;
}

export interface StandardiseTask {
  /** float32 [n, d], changed in place. */
  rows: SharedArrayBuffer;
  n: number;
  d: number;
  /** The first rows, of the training part, say what the mean and the deviation are. */
  train: number;
}

/** Standardises the rows of one layer, of which all heads learn. */
export function standardiseLayer({ rows, n, d, train }: StandardiseTask): void {
  const values = new Float32Array(rows, 0, n * d);
  const moments = new RowMoments(d);
  moments.add(values, train);
  standardiseRows(values, n, moments.standardisation());
}

export interface FitProbeTask {
  /** float32 [n, d] of each layer, standardised; several make a weighted sum. */
  layers: SharedArrayBuffer[];
  n: number;
  d: number;
  /** Rows come in the order training, development, held out. */
  train: number;
  dev: number;
  /** [n] utterance of each row */
  utterances: Int32Array;
  targets: RowTargets;
  resampling: Resampling;
}

/** Targets with mean 0 and deviation 1 over the training rows; R squared does not depend on it. */
function standardisedTargets(targets: RowTargets, train: number): RowTargets {
  if (targets.kind !== 'regression') return targets;
  const { k } = targets;
  const values = targets.values.slice();
  for (let c = 0; c < k; c++) {
    let [count, sum, square] = [0, 0, 0];
    const each = (work: (y: number) => void): void => {
      for (let row = 0; row < train; row++) if (hasLabel(targets, row)) work(targets.values[row * k + c]);
    };
    each((y) => {
      count++;
      sum += y;
    });
    const mean = count === 0 ? 0 : sum / count;
    each((y) => (square += (y - mean) ** 2));
    const scale = square > 0 ? Math.sqrt(square / count) : 1;
    for (let row = 0; row < values.length / k; row++) values[row * k + c] = (values[row * k + c] - mean) / scale;
  }
  return { ...targets, values };
}

function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** Fits a linear head and measures it on what was held out. */
export function fitProbe(task: FitProbeTask): ProbeResult {
  const { n, d, train, dev, utterances, resampling } = task;
  const targets = standardisedTargets(task.targets, train);
  const seen = new Set(targets.kind === 'classification' ? targets.classes.subarray(0, train).filter((label) => label >= 0) : []);
  if (targets.kind === 'classification' && seen.size === 1)
    throw new ForetuneError(
      'invalid-data',
      `The training part holds samples of one class only, of ${targets.k}: a probe needs two to tell apart. Part the data otherwise (--split-column, --group, --seed).`,
    );
  const layers = task.layers.map((buffer) => new Float32Array(buffer));
  const probe = fitLinearProbe({ layers, n, d, train, dev, targets });

  const measure = measureOf(targets.kind);
  const places = new Map([...new Set(utterances.subarray(train + dev))].map((utterance, place) => [utterance, place]));
  const sums = new Float64Array(places.size * measure.sums(targets.k));
  probe.model.predict(probe.parameters, train + dev, n, (start, count, z, stride) =>
    addOutcomes(targets, start, count, z, stride, sums, (row) => places.get(utterances[row])!),
  );
  const labelled = (from: number, to: number): number => {
    let count = 0;
    for (let row = from; row < to; row++) if (hasLabel(targets, row)) count++;
    return count;
  };
  const notes = [
    `Trained on ${plural(labelled(0, train), 'sample')}, stopped by ${labelled(train, train + dev)}, measured on ${plural(places.size, 'held-out utterance')}; penalty ${probe.penalty}, ${plural(probe.iterations, 'iteration')}.`,
  ];
  if (targets.kind === 'classification') {
    const unseen = new Set([...targets.classes.subarray(train + dev)].filter((label) => label >= 0 && !seen.has(label))).size;
    if (unseen > 0) {
      notes.push(
        unseen === 1
          ? 'One class that is held out does not occur in training, so its samples must be wrong.'
          : `${unseen} classes that are held out do not occur in training, so their samples must be wrong.`,
      );
    }
  }
  return {
    ...heldOut(measure, targets.k, sums, resampling),
    metric: measure.id,
    n: labelled(train + dev, n),
    classes: targets.kind === 'regression' ? 0 : targets.k,
    weights: probe.layerWeights && [...probe.layerWeights],
    notes,
  };
}

export interface FitCtcProbeTask {
  /** File of each layer: float32 [frames, d]; several make a weighted sum. */
  files: string[];
  shape: CtcShape;
  train: CtcUtterance[];
  dev: CtcUtterance[];
  test: CtcUtterance[];
  settings: CtcSettings;
  resampling: Resampling;
}

/** Reads rows of float32 from files that stay open while `work` runs. */
function withRows<T>(files: readonly string[], d: number, work: (read: CtcData['read']) => T): T {
  const open: number[] = [];
  try {
    for (const file of files) open.push(openSync(file, 'r'));
    return work((layer, start, frames) => {
      const rows = new Float32Array(frames * d);
      const bytes = new Uint8Array(rows.buffer);
      for (let read = 0; read < bytes.length;) {
        const got = readSync(open[layer], bytes, read, bytes.length - read, start * d * 4 + read);
        if (got === 0)
          throw new ForetuneError('corrupt', `${files[layer]} ends before frame ${start + frames}; run the probes again.`);
        read += got;
      }
      return rows;
    });
  } finally {
    for (const file of open) closeSync(file);
  }
}

/** Trains a CTC head and counts its errors on what was held out. */
export function fitCtcProbe({ files, shape, train, dev, test, settings, resampling }: FitCtcProbeTask): ProbeResult {
  return withRows(files, shape.d, (read) => {
    const data: CtcData = { read, train, dev, blank: 0 };
    const longest = test.reduce((most, { frames }) => Math.max(most, frames), 0);
    const probe = trainCtcProbe(data, shape, settings, longest);
    const sums = new Float64Array(2 * test.length);
    for (const [u, utterance] of test.entries()) {
      const { substitutions, deletions, insertions, length } = ctcErrors(probe, data, utterance);
      sums[2 * u] = substitutions + deletions + insertions;
      sums[2 * u + 1] = length;
    }
    const notes = [
      `Trained on ${plural(train.length, 'utterance')}, stopped by ${dev.length}, measured on ${test.length}; ${plural(probe.epochs, 'epoch')}, ${probe.devLoss.toFixed(3)} nats per token where it stopped.`,
    ];
    const dense = test.filter(({ frames, tokens }) => frames * shape.upsampling < fewestFrames(tokens)).length;
    if (probe.tooLong > 0 || dense > 0) {
      notes.push(
        `${plural(probe.tooLong, 'utterance')} of training and ${dense} of those held out have more tokens than ${shape.upsampling} rows per frame can hold.`,
      );
    }
    const learned = new Set(train.flatMap(({ tokens }) => [...tokens]));
    const strange = test.reduce((sum, { tokens }) => sum + tokens.filter((token) => !learned.has(token)).length, 0);
    if (strange > 0)
      notes.push(
        `${plural(strange, 'token')} of the held-out references ${strange === 1 ? 'does' : 'do'} not occur in training, so ${strange === 1 ? 'it' : 'they'} must be wrong.`,
      );
    return {
      ...heldOut(tokenErrorMeasure, 1, sums, resampling),
      metric: tokenErrorMeasure.id,
      n: test.reduce((sum, { tokens }) => sum + tokens.length, 0),
      classes: shape.columns,
      weights: probe.head.layerWeights && [...probe.head.layerWeights],
      notes,
    };
  });
}
