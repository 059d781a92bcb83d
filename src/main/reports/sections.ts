import { type ScoreAxis } from '#shared/figures/axis.ts';
import { decimalsFor } from '#shared/figures/ticks.ts';
import { type ExperimentRecord, type ModelRecord, type StoredScore } from '#shared/project.ts';
import { type Control, type Unit } from '#shared/score.ts';

import { scoreAxis } from './scoreAxis.ts';

/** All layers of one model, or of one of its controls, ordered by layer. */
export interface LayerScores {
  layers: StoredScore[];
  best: StoredScore;
}

export interface ModelScores extends LayerScores {
  id: number;
  /** Unique within the section. */
  name: string;
  family: string;
  parameters: number;
  controls: Map<Control, LayerScores>;
}

/** The scores that may be compared with each other: one experiment, label, unit and metric. Best model first. */
export interface ScoreSection {
  id: string;
  experiment: ExperimentRecord;
  label: string;
  unit: Unit;
  axis: ScoreAxis;
  models: ModelScores[];
  /** Decimals that tell its values apart. */
  decimals: number;
}

/** Groups by a key, in the order of first appearance. */
export function groupBy<T>(items: readonly T[], key: (item: T) => string | number): T[][] {
  return [...Map.groupBy(items, key).values()];
}

/** Positive when `a` is the better score. */
export function lead(a: StoredScore, b: StoredScore, { higherIsBetter }: ScoreAxis): number {
  return higherIsBetter ? a.value - b.value : b.value - a.value;
}

function layerScores(scores: readonly StoredScore[], axis: ScoreAxis): LayerScores {
  const layers = scores.toSorted((a, b) => a.layer - b.layer);
  return { layers, best: layers.reduce((best, score) => (lead(score, best, axis) > 0 ? score : best)) };
}

function modelScores(scores: readonly StoredScore[], model: ModelRecord | undefined, axis: ScoreAxis): ModelScores | undefined {
  const own = scores.filter(({ control }) => control === '');
  if (own.length === 0) return undefined;
  const controls = new Map<Control, LayerScores>();
  for (const rows of groupBy(
    scores.filter(({ control }) => control !== ''),
    ({ control }) => control,
  )) {
    controls.set(rows[0].control, layerScores(rows, axis));
  }
  const { modelId, model: name } = own[0];
  return {
    ...layerScores(own, axis),
    id: modelId,
    name,
    family: model?.family ?? '',
    parameters: model?.parameters ?? 0,
    controls,
  };
}

/** Models that share a name get a piece of their fingerprint behind it. */
function distinctNames(models: readonly ModelScores[], records: ReadonlyMap<number, ModelRecord>): ModelScores[] {
  return models.map((model) => {
    const shared = models.some((other) => other.id !== model.id && other.name === model.name);
    return shared ? { ...model, name: `${model.name} (${records.get(model.id)?.fingerprint.slice(0, 8) ?? model.id})` } : model;
  });
}

/** Three figures of the spread of all values and intervals: no more digits than the intervals bear. */
function sectionDecimals(models: readonly ModelScores[]): number {
  let [low, high] = [Infinity, -Infinity];
  for (const { layers, controls } of models) {
    for (const { value, ci_low, ci_high } of [layers, ...[...controls.values()].map((control) => control.layers)].flat()) {
      low = Math.min(low, ci_low ?? value);
      high = Math.max(high, ci_high ?? value);
    }
  }
  return decimalsFor(high - low || Math.abs(high) || 1);
}

/** Sorts scores into the sections of a report. Rows of controls whose model has no score of its own are left out. */
export function scoreSections(
  scores: readonly StoredScore[],
  experiments: readonly ExperimentRecord[],
  models: readonly ModelRecord[],
): ScoreSection[] {
  const experimentById = new Map(experiments.map((experiment) => [experiment.id, experiment]));
  const modelById = new Map(models.map((model) => [model.id, model]));
  const groups = groupBy(scores, ({ experimentId, label, unit, metric }) => JSON.stringify([experimentId, label, unit, metric]));
  return groups.flatMap((group) => {
    const [{ experimentId, label, unit, metric }] = group;
    const experiment = experimentById.get(experimentId);
    const axis = scoreAxis(metric);
    const found = groupBy(group, ({ modelId }) => modelId)
      .map((rows) => modelScores(rows, modelById.get(rows[0].modelId), axis))
      .filter((model) => model !== undefined)
      .sort((a, b) => lead(b.best, a.best, axis));
    if (experiment === undefined || found.length === 0) return [];
    return {
      id: [experimentId, label, unit, metric].join('-'),
      experiment,
      label,
      unit,
      axis,
      models: distinctNames(found, modelById),
      decimals: sectionDecimals(found),
    };
  });
}
