import { stratumHolds, type UnitStatistics } from '#main/inference/statistics.ts';
import { readStatistics } from '#main/inference/statisticsFile.ts';
import { type SourceHead } from '#main/models/sourceHead.ts';
import { bootstrapInterval, bootstrapWeights, type GroupWeights, leaveOneOutWeights } from '#main/scoring/bootstrap.ts';
import { sampleNotes, singleSampleNote } from '#main/scoring/cautions.ts';
import { jackknifeInterval } from '#main/scoring/jackknife.ts';
import {
  type FittedScore,
  type MomentsMetric,
  type PosteriorsMetric,
  type SamplesMetric,
  type Score,
} from '#main/scoring/metric.ts';
import {
  addMoments,
  createFeatureMoments,
  createTargetMoments,
  type FeatureMoments,
  subtractMoments,
  type TargetMoments,
} from '#main/scoring/moments.ts';
import { metric } from '#main/scoring/registry.ts';
import { type LabelKind } from '#main/tasks/labels.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type Unit } from '#shared/score.ts';

import { GroupMoments, labelledRows, posteriorsScore, samplesScore, stackRows } from './scoreSamples.ts';

export interface ScoreLayerTask {
  /** Statistics of each group of utterances. */
  groupFiles: string[];
  layer: number;
  units: Unit[];
  columns: { name: string; kind: LabelKind }[];
  metrics: string[];
  centre: boolean;
  seed: number;
  resampling: Resampling;
  /** The classifier that the model brought along, if it has one. */
  head?: SourceHead;
}

export type Resampling = { kind: 'jackknife' } | { kind: 'bootstrap'; draws: number };

export interface LayerScore {
  column: number;
  unit: Unit;
  metric: string;
  value: number;
  low: number | null;
  high: number | null;
  /** The score without group g, or of each draw of groups; null where too little was left to score. */
  replicates: number[] | null;
  n: number;
  d: number;
  /** Classes (or regression targets) that occur among the samples. */
  targets: number;
  notes: string[];
}

/** A score that could not be had, and why. */
export interface Refusal {
  column: number;
  unit: Unit;
  metric: string;
  layer: number;
  message: string;
}

export interface LayerScores {
  scores: LayerScore[];
  refusals: Refusal[];
}

/** Features and one column's cross terms, of one group or of all. */
interface Moments {
  features: FeatureMoments;
  targets: TargetMoments[];
}

/** The moments of the samples that carry a label of every column of `columns`, which share their strata. */
function momentsOf({ strata, targets }: UnitStatistics, columns: number[]): Moments | undefined {
  const holding = [...strata].filter(([stratum]) => stratumHolds(stratum, columns[0])).map(([, moments]) => moments);
  if (holding.length === 0) return undefined;
  const features = createFeatureMoments(holding[0].d, holding[0].shift);
  for (const moments of holding) addMoments(features, moments);
  return { features, targets: columns.map((column) => targets[column]) };
}

function sum(groups: Moments[]): Moments {
  const { features, targets } = groups[0];
  const total: Moments = {
    features: createFeatureMoments(features.d, features.shift),
    targets: targets.map(({ k }) => createTargetMoments(k, features.d)),
  };
  for (const group of groups) {
    addMoments(total.features, group.features);
    group.targets.forEach((target, i) => addMoments(total.targets[i], target));
  }
  return total;
}

/** All groups, each as often as it counts; leaving one out is a subtraction, which keeps the digits of the sum. */
function reweighted(total: Moments, parts: Moments[], weights: GroupWeights): Moments {
  const out = weights.indexOf(0);
  if (out >= 0 && weights.every((weight, g) => weight === (g === out ? 0 : 1))) {
    const group = parts[out];
    return {
      features: subtractMoments(total.features, group.features),
      targets: total.targets.map((target, i) => subtractMoments(target, group.targets[i])),
    };
  }
  return sum(parts.flatMap((part, g) => Array.from({ length: weights[g] }, () => part)));
}

/** Columns whose labels cover the same strata in all groups: one factorisation serves them all. */
function columnsByCover(groups: UnitStatistics[], count: number): number[][] {
  const strata = [...new Set(groups.flatMap((group) => [...group.strata.keys()]))].sort((a, b) => a - b);
  const byCover = new Map<string, number[]>();
  for (let column = 0; column < count; column++) {
    const cover = strata.filter((stratum) => stratumHolds(stratum, column)).join(' ');
    byCover.set(cover, [...(byCover.get(cover) ?? []), column]);
  }
  return [...byCover.values()];
}

/** All scores of one layer: every unit, metric and label column, each with its interval over groups of utterances. */
export async function scoreLayer(task: ScoreLayerTask): Promise<LayerScores> {
  const layers = await Promise.all(task.groupFiles.map((file) => readStatistics(file, task.layer)));
  const result: LayerScores = { scores: [], refusals: [] };
  for (const unit of task.units) {
    const groups = layers.flatMap((layer) => layer.map(({ units }) => units.get(unit)!));
    scoreMoments(task, unit, groups, result);
    scoreRows(task, unit, groups, result);
  }
  return result;
}

function weightsOf({ resampling, seed }: ScoreLayerTask, groups: number): GroupWeights[] {
  if (groups < 2) return [];
  return resampling.kind === 'jackknife' ? leaveOneOutWeights(groups) : bootstrapWeights(groups, resampling.draws, seed);
}

/** Scores of sufficient statistics: of every frame there was. */
function scoreMoments(task: ScoreLayerTask, unit: Unit, groups: UnitStatistics[], { scores }: LayerScores): void {
  const metrics = task.metrics.map(metric).filter(({ needs }) => needs === 'moments') as MomentsMetric[];
  for (const columns of columnsByCover(groups, task.columns.length)) {
    const parts = groups.map((group) => momentsOf(group, columns)).filter((part) => part !== undefined);
    if (parts.length === 0) {
      throw new ForetuneError(
        'invalid-data',
        `No utterance with a label in column "${task.columns[columns[0]].name}" gave a frame, so there is nothing to score.`,
      );
    }
    const total = sum(parts);
    for (const method of metrics) {
      const taken = columns.filter((column) => takes(method, task.columns[column].kind));
      if (taken.length === 0) continue;
      const own = (moments: Moments): Moments => ({
        features: moments.features,
        targets: taken.map((column) => moments.targets[columns.indexOf(column)]),
      });
      const full = scoreColumns(method, own(total), task.centre);
      const partial = weightsOf(task, parts.length).map((weights) =>
        scoreOrNothing(() => scoreColumns(method, own(reweighted(total, parts, weights)), task.centre)),
      );
      taken.forEach((column, i) => {
        const { value, notes } = full[i];
        const interval = intervalOf(
          task.resampling,
          value,
          partial.map((values) => values?.[i].value),
          parts.map(({ features }) => features.n),
        );
        scores.push({
          column,
          unit,
          metric: method.id,
          value,
          ...interval,
          n: total.features.n,
          d: total.features.d,
          targets: occurring(total.targets[columns.indexOf(column)]),
          notes:
            task.columns[column].kind === 'classification'
              ? [...notes, ...loneClasses(total.targets[columns.indexOf(column)])]
              : notes,
        });
      });
    }
  }
}

/** Of one-hot columns, whose sums are counts. */
function loneClasses({ sum: counts }: TargetMoments): string[] {
  const note = singleSampleNote({ counts: [...counts].filter((count) => count > 0) });
  return note === null ? [] : [note];
}

/** Scores that need samples: of the rows that were kept. */
function scoreRows(task: ScoreLayerTask, unit: Unit, groups: UnitStatistics[], { scores, refusals }: LayerScores): void {
  const head = task.head?.layer === task.layer && task.head.unit === unit ? task.head : undefined;
  const metrics = task.metrics
    .map(metric)
    .filter(({ needs }) => needs === 'samples' || (needs === 'source-posteriors' && head)) as (
    SamplesMetric | PosteriorsMetric
  )[];
  if (metrics.length === 0) return;
  const columns = task.columns.length;
  const [first] = groups.flatMap(({ strata }) => [...strata.values()]);
  const stacked = first && stackRows(groups, first.d, columns);
  if (!stacked) return;
  const all = groups.reduce((sum, { strata }) => sum + [...strata.values()].reduce((rows, { n }) => rows + n, 0), 0);
  const kept = stacked.groups.length;
  const isPart = kept < all;
  const shared = new Map<string, { moments: GroupMoments | undefined; fits: Map<string, FittedScore> }>();
  task.columns.forEach(({ kind }, column) => {
    if (kind !== 'classification') return;
    const { labelled, dropped } = labelledRows(stacked, column, columns, isPart);
    const notes = isPart ? [`Of ${kept} of ${all} ${unit}s, drawn evenly from all utterances.`] : [];
    if (dropped > 0) notes.push(`${dropped} classes that the ${kept} ${unit}s drawn meet only once are left out.`);
    notes.push(...sampleNotes({ n: labelled.rows.length, d: first.d, counts: countsOf(labelled.labels) }));
    const key = labelled.rows.join(' ');
    const common = shared.get(key) ?? { moments: undefined, fits: new Map<string, FittedScore>() };
    shared.set(key, common);
    const moments = () => (common.moments ??= new GroupMoments(labelled, groups.length));
    const sizes = groups.map((_, g) => labelled.groups.reduce((count, group) => count + Number(group === g), 0));
    const filled = sizes.flatMap((size, g) => (size > 0 ? [g] : []));
    const everything = new Int32Array(groups.length).fill(1);
    /** Weights over the groups that have rows, as weights over all groups. */
    const spread = (weights: GroupWeights) => {
      const result = new Int32Array(groups.length);
      filled.forEach((g, i) => (result[g] = weights[i]));
      return result;
    };
    for (const method of metrics) {
      try {
        const score =
          method.needs === 'samples'
            ? samplesScore(method, labelled, task.seed, moments, common.fits)
            : posteriorsScore(method, labelled, head!);
        const value = score(everything);
        if (!Number.isFinite(value))
          throw new ForetuneError('invalid-data', `${method.name} is ${value} on these ${labelled.rows.length} samples.`);
        const replicates = weightsOf(task, filled.length).map((weights) => scoreOrNothing(() => score(spread(weights))));
        scores.push({
          column,
          unit,
          metric: method.id,
          value,
          ...intervalOf(
            task.resampling,
            value,
            replicates,
            filled.map((g) => sizes[g]),
          ),
          n: labelled.rows.length,
          d: first.d,
          targets: new Set(labelled.labels).size,
          notes,
        });
      } catch (error) {
        if (!(error instanceof ForetuneError && error.code === 'invalid-data')) throw error;
        refusals.push({ column, unit, metric: method.id, layer: task.layer, message: error.message });
      }
    }
  });
}

/** How many rows each label has that occurs. */
function countsOf(labels: Int32Array): number[] {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts.values()];
}

/** Several labels at once are targets of 0 and 1, which are predicted like any other numbers. */
function takes({ targets }: MomentsMetric, kind: LabelKind): boolean {
  return targets === 'both' || targets === (kind === 'classification' ? kind : 'regression');
}

function occurring({ squares }: TargetMoments): number {
  return squares.reduce((count, square) => (square > 0 ? count + 1 : count), 0);
}

function scoreColumns(method: MomentsMetric, { features, targets }: Moments, centre: boolean): Score[] {
  const score = method.prepare(features, { centre });
  return targets.map((target) => score(target));
}

/** Small data can leave one class only when a group is out: then there is no interval, but still a score. */
function scoreOrNothing<T>(score: () => T): T | undefined {
  try {
    return score();
  } catch (error) {
    if (error instanceof ForetuneError && error.code === 'invalid-data') return undefined;
    throw error;
  }
}

/** An interval stands on every replicate or not at all. */
function intervalOf(
  resampling: Resampling,
  value: number,
  replicates: (number | undefined)[],
  sizes: number[],
): Pick<LayerScore, 'low' | 'high' | 'replicates'> {
  const none = { low: null, high: null, replicates: null };
  if (replicates.length < 2 || !replicates.every((replicate) => replicate !== undefined && Number.isFinite(replicate)))
    return none;
  const known = replicates as number[];
  const { low, high } =
    resampling.kind === 'jackknife' ? jackknifeInterval(value, known, sizes) : bootstrapInterval(value, known);
  return { low, high, replicates: known };
}
