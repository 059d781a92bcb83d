import { judge, type JudgedMember, type Judgement, type LayerRule, type LayerScore } from '#main/merging/judgement.ts';
import { probeMeasures } from '#main/probing/measures.ts';
import { alphaOfMember, inputAt, isFinetunedItself } from '#main/weights/judgeSpec.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ScoreAxis } from '#shared/figures/axis.ts';
import { type MemberCard, memberCardSchema } from '#shared/merge.ts';
import { type StoredLayerSum } from '#shared/probe.ts';
import { type ModelRecord, type StoredScore } from '#shared/project.ts';
import { type Unit } from '#shared/score.ts';

import { scoreAxis } from './scoreAxis.ts';
import { groupBy } from './sections.ts';

/** What may be given up on other tasks unless somebody says otherwise: 5 % of the pre-trained model's lead over chance. */
export const usualTolerance = 0.05;

/** What an experiment gave: scores (or probes) of single layers, and probes of weighted sums of layers. */
export interface JudgedResults {
  scores: readonly StoredScore[];
  sums?: readonly StoredLayerSum[];
}

export interface JudgementChoice {
  /** The task to gain on; the first label if absent. */
  target?: string;
  /** By default the weighted sum where there is one, otherwise the best layer. */
  over?: LayerRule;
  /** Share that may be given up on the other tasks. */
  tolerance?: number;
  unit?: Unit;
  /** A score, or "probe": each task by the measure that its labels have. */
  metric?: string;
}

/** Members from the pre-trained model on, by alpha. */
export interface MethodLine {
  method: string;
  /** Indices of members; the first is the pre-trained model, and the last a fine-tuned one where the method gives that at alpha 1. */
  members: number[];
}

/** A judgement with what a screen has to choose from. */
export interface ProjectJudgement extends Judgement {
  measure: 'score' | 'probe';
  unit: Unit;
  metric: string;
  metricName: string;
  /** What each task is measured by. */
  axes: Record<string, ScoreAxis>;
  tasks: string[];
  units: Unit[];
  metrics: string[];
  overs: LayerRule[];
  /** One per method that has an alpha. */
  lines: MethodLine[];
  /** How each member is made, in the members' order; null for the pre-trained model. */
  merges: (MemberCard | null)[];
  /** Number of each member's model in the project, in the members' order. */
  modelIds: number[];
}

/** What probes are judged by: each task by the measure of its labels. */
const byProbe = 'probe';

/** A score of a layer or, with null, of the weighted sum. */
type JudgedScore = Omit<StoredScore, 'layer' | 'n' | 'd' | 'classes' | 'recipeId'> & LayerScore;

const isProbed = ({ metric }: Pick<JudgedScore, 'metric'>): boolean => probeMeasures.some(({ id }) => id === metric);
const metricOf = (score: Pick<JudgedScore, 'metric'>): string => (isProbed(score) ? byProbe : score.metric);

function distinct<T>(values: T[]): T[] {
  return [...new Set(values)];
}

function linesOf({ members }: Judgement, merges: readonly (MemberCard | null)[]): MethodLine[] {
  const base = members.findIndex(({ role }) => role === 'base');
  const indices = [...members.keys()];
  const numbered = indices.filter((index) => members[index].role === 'merge' && members[index].alpha !== null);
  return distinct(numbered.map((index) => members[index].method)).map((method) => {
    const own = numbered.filter((index) => members[index].method === method);
    const { settings, finetuned } = merges[own[0]]!;
    const last = inputAt(1, { method, settings, models: finetuned.length });
    const end = indices.filter(
      (index) =>
        members[index].role === 'finetuned' &&
        typeof last === 'number' &&
        merges[index]!.finetuned[0].path === finetuned[last].path,
    );
    const line = [...(base === -1 ? [] : [base]), ...own, ...end];
    return { method, members: line.sort((a, b) => members[a].alpha! - members[b].alpha!) };
  });
}

/**
 * Judges the merges that an experiment scored or probed.
 * @throws ForetuneError `invalid-data` where it has no merges, `usage` for a target or a rule that it does not have
 */
export function judgeExperiment(
  { scores, sums = [] }: JudgedResults,
  models: readonly ModelRecord[],
  { target, over, tolerance = usualTolerance, unit, metric }: JudgementChoice,
): ProjectJudgement | null {
  const all: JudgedScore[] = [...scores, ...sums.map((sum) => ({ ...sum, layer: null, resampling: 'bootstrap' as const }))];
  if (all.length === 0) return null;
  const units = distinct(all.map((score) => score.unit));
  const metrics = distinct(all.map(metricOf));
  const chosenUnit = unit ?? units[0];
  const chosenMetric = metric ?? metrics[0];
  const comparable = all.filter((score) => score.unit === chosenUnit && metricOf(score) === chosenMetric);
  const tasks = distinct(comparable.map(({ label }) => label));
  const chosenTarget = target ?? tasks[0];
  if (!tasks.includes(chosenTarget)) {
    throw new ForetuneError(
      'usage',
      `The experiment has no ${chosenMetric} of "${chosenTarget}" by ${chosenUnit}; it has ${tasks.join(', ') || 'none'}.`,
    );
  }
  const overs: LayerRule[] = [
    ...(comparable.some(({ layer }) => layer === null) ? (['sum'] as const) : []),
    ...(comparable.some(({ layer }) => layer !== null) ? (['best', 'mean', 'last'] as const) : []),
  ];
  const chosenOver = over ?? overs[0];
  if (!overs.includes(chosenOver)) {
    throw new ForetuneError(
      'usage',
      chosenOver === 'sum'
        ? 'The experiment has no weighted sums of layers, which only probes have; let a model stand by its best layer, their mean or the last.'
        : 'The experiment probed the weighted sum of layers only; let a model stand by that, or probe single layers too.',
    );
  }
  const own = comparable.filter(({ layer }) => (layer === null) === (chosenOver === 'sum'));
  const byId = new Map(models.map((model) => [model.id, model]));
  const found = groupBy(own, ({ modelId }) => modelId).map((rows) => {
    const [{ modelId, model: name }] = rows;
    const card = memberCardSchema.safeParse(byId.get(modelId)?.card.merge).data ?? null;
    const member: JudgedMember = {
      id: name,
      role: card === null ? 'base' : isFinetunedItself(card) ? 'finetuned' : 'merge',
      method: card?.method ?? '',
      alpha: card === null ? 0 : alphaOfMember(card),
      tasks: groupBy(rows, ({ label }) => label).map((scored) => ({
        task: scored[0].label,
        layers: scored.filter(({ control }) => control === ''),
        chance: scored.filter(({ control }) => control === 'shuffled-labels'),
      })),
    };
    return { modelId, card, member };
  });
  if (
    found.filter(({ member }) => member.role === 'base').length > 1 ||
    (found.length > 1 && found.every(({ member }) => member.role === 'base'))
  )
    throw new ForetuneError('invalid-data', 'This experiment scored models, not merges of one; judge a sweep of merges instead.');
  const rank = { base: 0, merge: 1, finetuned: 2 };
  const methods = distinct(found.map(({ member }) => member.method));
  found.sort(
    ({ member: a }, { member: b }) =>
      rank[a.role] - rank[b.role] || methods.indexOf(a.method) - methods.indexOf(b.method) || (a.alpha ?? 0) - (b.alpha ?? 0),
  );
  const measured = new Map(own.map((score) => [score.label, score.metric]));
  const axes = Object.fromEntries([...measured].map(([task, id]) => [task, scoreAxis(id)]));
  const names = distinct(Object.values(axes).map(({ name }) => name));
  const judgement = judge({
    members: found.map(({ member }) => member),
    target: chosenTarget,
    over: chosenOver,
    tolerance,
    lowerIsBetter: new Set(tasks.filter((task) => !axes[task].higherIsBetter)),
  });
  const byName = new Map(found.map((one) => [one.member.id, one]));
  const merges = judgement.members.map(({ id }) => byName.get(id)!.card);
  return {
    ...judgement,
    measure: chosenMetric === byProbe ? 'probe' : 'score',
    unit: chosenUnit,
    metric: chosenMetric,
    metricName: names.length === 1 ? names[0] : 'Probe',
    axes,
    tasks,
    units,
    metrics,
    overs,
    lines: linesOf(judgement, merges),
    merges,
    modelIds: judgement.members.map(({ id }) => byName.get(id)!.modelId),
  };
}
