import { type TableCell, type TableColumn, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { compareScores } from './comparison.ts';
import { layerRanges } from './findings.ts';
import { modelRanking, probabilityText } from './ranking.ts';
import { lead, type ModelScores, type ScoreSection } from './sections.ts';

/** Which model, and which of its layers, to take for a task, and why. */
export interface Recommendation {
  section: string;
  label: string;
  unit: string;
  metric: string;
  metricName: string;
  /** Null where nothing can be recommended. */
  model: string | null;
  modelId: number | null;
  layer: number | null;
  /** Layers of that model that are as good. */
  equalLayers: number[];
  /** Models that are as good, at their best layers. */
  equalModels: string[];
  /** Probability that it is the best of all models. */
  best: number | null;
  /** In sentences. */
  reason: string;
}

/** Whether the best score stands clear of a control; true where there is no such control. */
function beatsControl(model: ModelScores, kind: 'random-weights' | 'shuffled-labels', section: ScoreSection): boolean {
  const control = model.controls.get(kind);
  if (!control) return true;
  if (lead(model.best, control.best, section.axis) <= 0) return false;
  return compareScores(model.best, control.best) !== 'not-apart';
}

const controlNames = { 'random-weights': 'random weights', 'shuffled-labels': 'shuffled labels' } as const;

/** The recommendation of one section. A best score that a control reaches recommends nothing. */
export function recommend(section: ScoreSection): Recommendation {
  const { id, label, unit, axis, models, decimals } = section;
  const [first, ...others] = models;
  const base = { section: id, label, unit, metric: first.best.metric, metricName: axis.name };
  const unbeaten = (['random-weights', 'shuffled-labels'] as const).filter((kind) => !beatsControl(first, kind, section));
  if (unbeaten.length > 0) {
    return {
      ...base,
      model: null,
      modelId: null,
      layer: null,
      equalLayers: [],
      equalModels: [],
      best: null,
      reason: `No model is recommended: the best ${axis.name} (${first.name}, layer ${first.best.layer}, ${formatNumber(first.best.value, decimals)}) does not stand clear of ${unbeaten.map((kind) => controlNames[kind]).join(' and ')}.`,
    };
  }
  const equalLayers = first.layers
    .filter((score) => score !== first.best && compareScores(first.best, score) === 'not-apart')
    .map(({ layer }) => layer);
  const equal = others.filter((model) => compareScores(first.best, model.best) === 'not-apart');
  const { rows } = modelRanking(section);
  const best = rows[0].best;
  const sentences = [
    `${first.name} at layer ${first.best.layer} has the best ${axis.name} (${formatNumber(first.best.value, decimals)})${best !== null && others.length > 0 ? ` and is the best of ${models.length} models with probability ${probabilityText(best)}` : ''}.`,
  ];
  if (equal.length > 0) sentences.push(`Not distinguishable from it: ${equal.map(({ name }) => name).join(', ')}.`);
  const smaller = equal.filter(({ parameters }) => parameters > 0 && parameters < first.parameters);
  if (smaller.length > 0) sentences.push(`Of these ${smaller.map(({ name }) => name).join(', ')} is smaller, so cheaper to run.`);
  if (equalLayers.length > 0) {
    const earliest = Math.min(...equalLayers);
    const cheaper = earliest < first.best.layer ? `; layer ${earliest} is the earliest, so the cheapest to compute` : '';
    sentences.push(`Of its own layers ${layerRanges(equalLayers)} are as good${cheaper}.`);
  }
  const checked = (['random-weights', 'shuffled-labels'] as const).filter((kind) => first.controls.has(kind));
  sentences.push(
    checked.length > 0
      ? `It stands clear of ${checked.map((kind) => controlNames[kind]).join(' and ')}.`
      : 'No control was scored beside it.',
  );
  return {
    ...base,
    model: first.name,
    modelId: first.id,
    layer: first.best.layer,
    equalLayers,
    equalModels: equal.map(({ name }) => name),
    best,
    reason: sentences.join(' '),
  };
}

/** Models, layers and tasks of one experiment under one score and unit. */
export interface TaskComparison {
  unit: string;
  metric: string;
  metricName: string;
  unitOfScore: string;
  higherIsBetter: boolean;
  tasks: string[];
  models: {
    id: number;
    name: string;
    family: string;
    parameters: number;
    /** Mean of its ranks over the tasks, and the worst of them; 1 is the best. */
    meanRank: number;
    worstRank: number;
    /** Per task: every layer's score, the best layer, and the rank among the models. Null where it was not scored. */
    tasks: ({ layers: { layer: number; value: number }[]; best: { layer: number; value: number }; rank: number } | null)[];
  }[];
  /** Per task. */
  recommendations: Recommendation[];
  /** One model for all tasks, or why not. */
  reading: string;
}

/** Holds the tasks of an experiment side by side, for each unit and score. */
export function compareTasks(sections: readonly ScoreSection[]): TaskComparison[] {
  const groups = Map.groupBy(sections, ({ unit, models }) => JSON.stringify([unit, models[0].best.metric]));
  return [...groups.values()].map((own) => {
    const [{ unit, axis, models: some }] = own;
    const all = new Map(own.flatMap(({ models }) => models.map((model) => [model.id, model] as const)));
    const models = [...all.values()].map(({ id, name, family, parameters }) => {
      const tasks = own.map((section) => {
        const place = section.models.findIndex((model) => model.id === id);
        if (place < 0) return null;
        const { layers, best } = section.models[place];
        return {
          layers: layers.map(({ layer, value }) => ({ layer, value })),
          best: { layer: best.layer, value: best.value },
          rank: 1 + section.models.filter((other) => lead(other.best, best, section.axis) > 0).length,
        };
      });
      const ranks = tasks.flatMap((task) => (task ? [task.rank] : []));
      return {
        id,
        name,
        family,
        parameters,
        meanRank: ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length,
        worstRank: Math.max(...ranks),
        tasks,
      };
    });
    models.sort((a, b) => a.meanRank - b.meanRank || a.worstRank - b.worstRank);
    const recommendations = own.map(recommend);
    return {
      unit,
      metric: some[0].best.metric,
      metricName: axis.name,
      unitOfScore: axis.unit,
      higherIsBetter: axis.higherIsBetter,
      tasks: own.map(({ label }) => label),
      models,
      recommendations,
      reading: taskReading(
        own.map(({ label }) => label),
        models,
        recommendations,
      ),
    };
  });
}

function taskReading(
  tasks: readonly string[],
  models: TaskComparison['models'],
  recommendations: readonly Recommendation[],
): string {
  const named = recommendations.filter(({ model }) => model !== null);
  if (named.length === 0) return 'No model is recommended for any task: none stands clear of its controls.';
  if (tasks.length === 1) return named[0].reason;
  const acceptable = (name: string) => named.every(({ model, equalModels }) => model === name || equalModels.includes(name));
  const forAll = models.find(({ name }) => acceptable(name));
  const list = named.map(({ label, model, layer }) => `${label}: ${model} at layer ${layer}`).join('; ');
  const gone = recommendations.length - named.length;
  const none = gone > 0 ? ` For ${gone} of ${tasks.length} tasks no model stands clear of its controls.` : '';
  return forAll
    ? `${forAll.name} is the best or not distinguishable from it for every task. By task: ${list}.${none}`
    : `No model is among the best for every task; ${models[0].name} has the best mean rank (${models[0].meanRank.toFixed(1)} of ${models.length}). By task: ${list}.${none}`;
}

/** Best scores of models over tasks, one column per task. */
export function taskTable({ unit, metricName, tasks, models, reading }: TaskComparison, decimals: number): TableFigure {
  return {
    title: `${metricName} by ${unit} over all tasks`,
    columns: [
      { name: 'model', align: 'left' },
      ...tasks.map((name): TableColumn => ({ name, align: 'right' })),
      { name: 'mean rank', align: 'right' },
    ],
    rows: models.map(({ name, meanRank, tasks: own }): TableCell[] => [
      { text: name },
      ...own.map((task): TableCell => {
        if (!task) return { text: '' };
        const mark = task.rank === 1 ? 'best' : task.rank === 2 ? 'second' : undefined;
        return { text: `${formatNumber(task.best.value, decimals)} (${task.best.layer})`, ...(mark ? { mark } : {}) };
      }),
      { text: meanRank.toFixed(1) },
    ]),
    notes: ['Best layer in brackets.', reading],
  };
}
