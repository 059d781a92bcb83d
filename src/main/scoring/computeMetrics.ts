import { ForetuneError } from '#shared/errors.ts';

import { sampleNotes, singleSampleNote } from './cautions.ts';
import { type Metric, type MomentsMetric } from './metric.ts';
import { addTargets, createTargetMoments, type FeatureMoments, type TargetMoments } from './moments.ts';
import { metric } from './registry.ts';
import { checkFeatures, momentsOfRows } from './samples.ts';

type Features = Float64Array | Float32Array;

export interface MetricsInput {
  /** [n, d] row-major. */
  features: Features;
  n: number;
  d: number;
  /** [n] class of each sample: whole numbers or strings, in any numbering. */
  labels?: readonly (number | string)[];
  /** Regression targets, values [n, k] row-major. Scores that take both are then regression scores. */
  targets?: { values: Float64Array; k: number };
  /** Posteriors of a source classifier, values [n, z] row-major. */
  sourceProbabilities?: { values: Features; z: number };
  /** A second set of features: of the same samples (CKA) or of other data of the same width (SWD). */
  other?: { features: Features; n: number; d: number };
  /** Names from the registry. */
  metrics: readonly string[];
  /** For scores with random parts. */
  seed: number | string;
}

export interface CompactLabels {
  /** [n] index into `names`. */
  classes: Int32Array;
  k: number;
  /** Labels that occur, numbers ascending before strings in code-point order. */
  names: (number | string)[];
}

/** Numbers the labels that occur 0 to k - 1, in an order that does not depend on that of the samples. */
export function compactLabels(labels: readonly (number | string)[]): CompactLabels {
  const names = [...new Set(labels)].sort((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
    return a < b ? -1 : 1;
  });
  const indices = new Map(names.map((name, index) => [name, index]));
  return { classes: Int32Array.from(labels, (label) => indices.get(label)!), k: names.length, names };
}

/** Everything that several scores of one input share, made when first asked for. */
class Prepared {
  readonly input: MetricsInput;
  private compact: CompactLabels | undefined;
  private moments: FeatureMoments | undefined;

  constructor(input: MetricsInput) {
    this.input = input;
  }

  labels(name: string): CompactLabels {
    const { labels, n } = this.input;
    if (!labels) throw new ForetuneError('usage', `${name} needs class labels; give them with --labels.`);
    if (!this.compact) {
      if (labels.length !== n) throw new ForetuneError('mismatch', `There are ${n} samples but ${labels.length} labels.`);
      const bad = labels.findIndex((label) => typeof label === 'number' && !Number.isFinite(label));
      if (bad >= 0) throw new ForetuneError('invalid-data', `The label of sample ${bad} is ${labels[bad]}.`);
      this.compact = compactLabels(labels);
      if (this.compact.k < 2) {
        throw new ForetuneError(
          'invalid-data',
          `All ${n} samples have the label ${JSON.stringify(labels[0])}; at least 2 classes are needed.`,
        );
      }
    }
    return this.compact;
  }

  /** How many samples each class has, and how it is called. */
  classCounts(name: string): { counts: number[]; names: (number | string)[] } {
    const { classes, k, names } = this.labels(name);
    const counts = new Array<number>(k).fill(0);
    for (const c of classes) counts[c]++;
    return { counts, names };
  }

  featureMoments(): FeatureMoments {
    this.moments ??= momentsOfRows(this.input);
    return this.moments;
  }

  /** Targets [k, n] of a score: the regression targets if there are any and it takes them, else one column per class. */
  targetColumns({ name, targets: kind }: Metric): { columns: Float64Array; k: number } {
    const { targets, n } = this.input;
    if (kind !== 'classification' && targets) {
      checkTargets(targets, n);
      const columns = new Float64Array(targets.k * n);
      for (let r = 0; r < n; r++) for (let c = 0; c < targets.k; c++) columns[c * n + r] = targets.values[r * targets.k + c];
      return { columns, k: targets.k };
    }
    const { classes, k } = this.labels(name);
    const columns = new Float64Array(k * n);
    classes.forEach((c, r) => (columns[c * n + r] = 1));
    return { columns, k };
  }

  targetMoments({ name, targets: kind }: Metric): TargetMoments {
    const { features, n, d, targets } = this.input;
    const { shift } = this.featureMoments();
    if (kind !== 'classification' && targets) {
      checkTargets(targets, n);
      const moments = createTargetMoments(targets.k, d);
      addTargets(moments, { values: targets.values }, features, n, shift);
      return moments;
    }
    const { classes, k } = this.labels(name);
    const moments = createTargetMoments(k, d);
    addTargets(moments, { classes }, features, n, shift);
    return moments;
  }
}

function checkTargets({ values, k }: { values: Float64Array; k: number }, n: number): void {
  if (values.length !== n * k)
    throw new ForetuneError('mismatch', `${n} samples of ${k} targets need ${n * k} numbers, not ${values.length}.`);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new ForetuneError(
      'invalid-data',
      `Target ${bad % k} of sample ${Math.floor(bad / k)} is ${values[bad]}; every target must be a finite number.`,
    );
}

/** A score and what should be read beside it. */
export interface Measured {
  value: number;
  notes: string[];
}

function scoreMoments(method: MomentsMetric, prepared: Prepared): Measured {
  const { features, n, d, targets: regression } = prepared.input;
  const isClasses = method.targets === 'classification' || !regression;
  const lone = isClasses ? singleSampleNote(prepared.classCounts(method.name)) : null;
  const measured = ({ value, notes }: Measured): Measured => ({ value, notes: lone === null ? notes : [...notes, lone] });
  if (n < d && method.ofSamples) {
    const { columns, k } = prepared.targetColumns(method);
    return measured(method.ofSamples(features, n, d, columns, k));
  }
  const targets = prepared.targetMoments(method);
  return measured(method.prepare(prepared.featureMoments())(targets));
}

function score(method: Metric, prepared: Prepared): Measured {
  const { features, n, d, sourceProbabilities, other, seed } = prepared.input;
  switch (method.needs) {
    case 'moments':
      return scoreMoments(method, prepared);
    case 'samples': {
      const { classes, k } = prepared.labels(method.name);
      const { counts, names } = prepared.classCounts(method.name);
      return { value: method.compute({ features, n, d, classes, k, seed }), notes: sampleNotes({ n, d, counts, names }) };
    }
    case 'source-posteriors': {
      if (!sourceProbabilities) {
        throw new ForetuneError(
          'usage',
          `${method.name} needs the posteriors of a source classifier; give them with --probabilities.`,
        );
      }
      const { classes, k } = prepared.labels(method.name);
      const lone = singleSampleNote(prepared.classCounts(method.name));
      const value = method.compute({ probabilities: sourceProbabilities.values, n, z: sourceProbabilities.z, classes, k });
      return { value, notes: lone === null ? [] : [lone] };
    }
    case 'two-sets':
      if (!other) throw new ForetuneError('usage', `${method.name} compares two sets of features; give the second with --other.`);
      return { value: method.compute({ a: { features, n, d }, b: other, seed }), notes: [] };
  }
}

/**
 * Scores of features in memory, by name, each with what a reader should know of it.
 *
 * @throws ForetuneError `usage` for an unknown score or a missing input, `mismatch` where lengths disagree, `invalid-data` for
 *   NaN (with its place), constant features, one class, or what a score says it cannot do
 */
export function measureMetrics(input: MetricsInput): Record<string, Measured> {
  const methods = input.metrics.map(metric);
  checkFeatures(input);
  const prepared = new Prepared(input);
  return Object.fromEntries(methods.map((method) => [method.id, score(method, prepared)]));
}

/** As `measureMetrics`, the values alone. */
export function computeMetrics(input: MetricsInput): Record<string, number> {
  return Object.fromEntries(Object.entries(measureMetrics(input)).map(([id, { value }]) => [id, value]));
}
