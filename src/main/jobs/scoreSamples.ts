import { type UnitStatistics } from '#main/inference/statistics.ts';
import { type SourceHead } from '#main/models/sourceHead.ts';
import { type GroupWeights } from '#main/scoring/bootstrap.ts';
import { softmaxRows } from '#main/scoring/lda.ts';
import { type FittedScore, type PosteriorsMetric, type SamplesMetric } from '#main/scoring/metric.ts';
import { addMoments, addRows, createFeatureMoments, type FeatureMoments } from '#main/scoring/moments.ts';
import { chooseRows, columnMeans } from '#main/scoring/samples.ts';

/** The kept rows of one layer and unit with a label of one column. */
export interface LabelledRows {
  /** [n, d] of all kept rows, labelled or not. */
  features: Float64Array;
  d: number;
  /** Rows with a label. */
  rows: Int32Array;
  /** [rows.length] class of each. */
  labels: Int32Array;
  /** [rows.length] group of each. */
  groups: Int32Array;
}

/** Kept rows of all groups, stacked. */
export interface StackedRows {
  features: Float64Array;
  d: number;
  /** [n] */
  groups: Int32Array;
  /** [n, columns] */
  values: Float64Array;
}

export function stackRows(groups: readonly UnitStatistics[], d: number, columns: number): StackedRows | undefined {
  const samples = groups.map(({ sample }) => sample);
  const n = samples.reduce((sum, sample) => sum + (sample?.utterances.length ?? 0), 0);
  if (n === 0) return undefined;
  const stacked = {
    features: new Float64Array(n * d),
    d,
    groups: new Int32Array(n),
    values: new Float64Array(n * columns),
  };
  let at = 0;
  samples.forEach((sample, group) => {
    if (!sample) return;
    stacked.features.set(sample.features, at * d);
    stacked.values.set(sample.values, at * columns);
    stacked.groups.fill(group, at, at + sample.utterances.length);
    at += sample.utterances.length;
  });
  return stacked;
}

/**
 * The rows with a label of a column. Of a sample of many more rows, classes that it met only once are left out: they say nothing of how
 * rare the class is in the data, and several scores need two.
 *
 * @returns the rows, and how many classes were left out
 */
export function labelledRows(
  { features, d, groups, values }: StackedRows,
  column: number,
  columns: number,
  isPart: boolean,
): { labelled: LabelledRows; dropped: number } {
  const counts = new Map<number, number>();
  for (let row = 0; row < groups.length; row++) {
    const label = values[row * columns + column];
    if (!Number.isNaN(label)) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const kept = (label: number) => !Number.isNaN(label) && (!isPart || counts.get(label)! > 1);
  const rows = Int32Array.from(groups.keys()).filter((row) => kept(values[row * columns + column]));
  return {
    labelled: {
      features,
      d,
      rows,
      labels: Int32Array.from(rows, (row) => values[row * columns + column]),
      groups: Int32Array.from(rows, (row) => groups[row]),
    },
    dropped: isPart ? [...counts.values()].filter((count) => count === 1).length : 0,
  };
}

/** Classes numbered 0 to k - 1 in the order of their labels. */
function compact(labels: Int32Array): { classes: Int32Array; k: number } {
  const names = [...new Set(labels)].sort((a, b) => a - b);
  const index = new Map(names.map((name, i) => [name, i]));
  return { classes: labels.map((label) => index.get(label)!), k: names.length };
}

/** Where the labelled rows of a replicate stand in `rows`: those of a group drawn twice stand there twice. */
function drawnPlaces({ groups }: LabelledRows, weights: GroupWeights): Int32Array {
  const places: number[] = [];
  groups.forEach((group, place) => {
    for (let i = 0; i < weights[group]; i++) places.push(place);
  });
  return Int32Array.from(places);
}

/** Moments of the labelled rows of each group, about one shift: sums of them serve all scores and replicates. */
export class GroupMoments {
  private readonly parts: Map<number, FeatureMoments>;
  private readonly d: number;
  private readonly shift: Float64Array;

  constructor({ features, d, rows, groups }: LabelledRows, of: number) {
    this.d = d;
    this.shift = columnMeans({ features: chooseRows({ features, d }, rows), n: rows.length, d });
    this.parts = new Map();
    for (let group = 0; group < of; group++) {
      const own = rows.filter((_, place) => groups[place] === group);
      if (own.length === 0) continue;
      const moments = createFeatureMoments(d, this.shift);
      addRows(moments, chooseRows({ features, d }, own), own.length);
      this.parts.set(group, moments);
    }
  }

  /** Of the groups together, each as often as it counts. */
  weighted(weights: GroupWeights): FeatureMoments {
    const total = createFeatureMoments(this.d, this.shift);
    for (const [group, part] of this.parts) for (let i = 0; i < weights[group]; i++) addMoments(total, part);
    return total;
  }
}

/** What one label column of one layer gives under a score: a function of how often each group counts. */
export function samplesScore(
  method: SamplesMetric,
  labelled: LabelledRows,
  seed: number | string,
  moments: () => GroupMoments,
  fits: Map<string, FittedScore>,
): (weights: GroupWeights) => number {
  const { features, d, rows, labels } = labelled;
  const { k } = compact(labels);
  if (method.fit) {
    const key = `${method.id} ${k} ${rows.length}`;
    let fitted = fits.get(key);
    if (!fitted) {
      fitted = method.fit({ features: chooseRows({ features, d }, rows), n: rows.length, d, k, seed });
      fits.set(key, fitted);
    }
    const score = fitted;
    return (weights) => {
      const places = drawnPlaces(labelled, weights);
      const { classes, k: present } = compact(places.map((place) => labels[place]));
      return score(places, classes, present);
    };
  }
  return (weights) => {
    const places = drawnPlaces(labelled, weights);
    const { classes, k: present } = compact(places.map((place) => labels[place]));
    const chosen = chooseRows(
      { features, d },
      places.map((place) => rows[place]),
    );
    return method.compute({
      features: chosen,
      n: places.length,
      d,
      classes,
      k: present,
      seed,
      moments: method.takesMoments ? moments().weighted(weights) : undefined,
    });
  };
}

/** The same for scores of a source classifier's posteriors. */
export function posteriorsScore(
  method: PosteriorsMetric,
  labelled: LabelledRows,
  { weight, bias }: SourceHead,
): (weights: GroupWeights) => number {
  const { features, d, rows, labels } = labelled;
  const z = bias.length;
  const posteriors = new Float64Array(rows.length * z);
  rows.forEach((row, place) => {
    for (let s = 0; s < z; s++) {
      let logit = bias[s];
      for (let c = 0; c < d; c++) logit += weight[s * d + c] * features[row * d + c];
      posteriors[place * z + s] = logit;
    }
  });
  softmaxRows(posteriors, rows.length, z);
  return (weights) => {
    const places = drawnPlaces(labelled, weights);
    const { classes, k } = compact(places.map((place) => labels[place]));
    return method.compute({ probabilities: chooseRows({ features: posteriors, d: z }, places), n: places.length, z, classes, k });
  };
}
