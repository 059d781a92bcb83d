import { stratumHolds, type UnitStatistics } from '#main/inference/statistics.ts';
import { readStatistics } from '#main/inference/statisticsFile.ts';
import { jackknifeInterval } from '#main/scoring/jackknife.ts';
import { type MomentsMetric, type Score } from '#main/scoring/metric.ts';
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

export interface ScoreLayerTask {
  /** Statistics of each group of utterances. */
  groupFiles: string[];
  layer: number;
  units: Unit[];
  columns: { name: string; kind: LabelKind }[];
  metrics: string[];
  centre: boolean;
}

export interface LayerScore {
  column: number;
  unit: Unit;
  metric: string;
  value: number;
  low: number | null;
  high: number | null;
  /** The score without group g; null where too little was left to score. */
  replicates: number[] | null;
  n: number;
  d: number;
  /** Classes (or regression targets) that occur among the samples. */
  targets: number;
  notes: string[];
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

function without(total: Moments, group: Moments): Moments {
  return {
    features: subtractMoments(total.features, group.features),
    targets: total.targets.map((target, i) => subtractMoments(target, group.targets[i])),
  };
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
export async function scoreLayer(task: ScoreLayerTask): Promise<LayerScore[]> {
  const layers = await Promise.all(task.groupFiles.map((file) => readStatistics(file, task.layer)));
  const metrics = task.metrics.map(metric).filter(({ needs }) => needs === 'moments') as MomentsMetric[];
  const scores: LayerScore[] = [];
  for (const unit of task.units) {
    const groups = layers.flatMap((layer) => layer.map(({ units }) => units.get(unit)!));
    for (const columns of columnsByCover(groups, task.columns.length)) {
      const parts = groups.map((group) => momentsOf(group, columns)).filter((part) => part !== undefined);
      if (parts.length === 0) {
        throw new ForetuneError(
          'invalid-data',
          `No utterance with a label in column "${task.columns[columns[0]].name}" gave a frame, so there is nothing to score.`,
        );
      }
      const total = sum(parts);
      const leftOut = parts.length > 1 ? parts.map((part) => without(total, part)) : [];
      for (const method of metrics) {
        const full = scoreColumns(method, total, task.centre);
        const partial = leftOut.map((rest) => scoreColumnsOrNothing(method, rest, task.centre));
        columns.forEach((column, i) => {
          const { value, notes } = full[i];
          const interval = intervalOf(
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
            targets: occurring(total.targets[i]),
            notes,
          });
        });
      }
    }
  }
  return scores;
}

function occurring({ squares }: TargetMoments): number {
  return squares.reduce((count, square) => (square > 0 ? count + 1 : count), 0);
}

function scoreColumns(method: MomentsMetric, { features, targets }: Moments, centre: boolean): Score[] {
  const score = method.prepare(features, { centre });
  return targets.map((target) => score(target));
}

/** Small data can leave one class only when a group is out: then there is no interval, but still a score. */
function scoreColumnsOrNothing(method: MomentsMetric, moments: Moments, centre: boolean): Score[] | undefined {
  try {
    return scoreColumns(method, moments, centre);
  } catch (error) {
    if (error instanceof ForetuneError && error.code === 'invalid-data') return undefined;
    throw error;
  }
}

function intervalOf(
  value: number,
  replicates: (number | undefined)[],
  sizes: number[],
): Pick<LayerScore, 'low' | 'high' | 'replicates'> {
  const known = replicates.filter((replicate) => replicate !== undefined);
  if (known.length < 2 || known.length < replicates.length) return { low: null, high: null, replicates: null };
  const { low, high } = jackknifeInterval(value, known, sizes);
  return { low, high, replicates: known };
}
