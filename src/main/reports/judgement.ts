import { judge, type JudgedMember, type Judgement, type LayerRule } from '#main/merging/judgement.ts';
import { alphaOfMember, isFinetunedItself } from '#main/weights/judgeSpec.ts';
import { ForetuneError } from '#shared/errors.ts';
import { memberCardSchema } from '#shared/merge.ts';
import { type ModelRecord, type StoredScore } from '#shared/project.ts';
import { type Unit } from '#shared/score.ts';

import { scoreAxis } from './scoreAxis.ts';
import { groupBy } from './sections.ts';

/** What may be given up on other tasks unless somebody says otherwise: 5 % of the pre-trained model's lead over chance. */
export const usualTolerance = 0.05;

export interface JudgementChoice {
  /** The task to gain on; the first label if absent. */
  target?: string;
  over?: LayerRule;
  /** Share that may be given up on the other tasks. */
  tolerance?: number;
  unit?: Unit;
  metric?: string;
}

/** A judgement with what a screen has to choose from. */
export interface ProjectJudgement extends Judgement {
  unit: Unit;
  metric: string;
  metricName: string;
  tasks: string[];
  units: Unit[];
  metrics: string[];
  /** Number of each member's model in the project, in the members' order. */
  modelIds: number[];
}

/**
 * Judges the merges that an experiment scored.
 * @throws ForetuneError `invalid-data` where it scored no merges, `usage` for a target it did not score
 */
export function judgeExperiment(
  scores: readonly StoredScore[],
  models: readonly ModelRecord[],
  { target, over = 'best', tolerance = usualTolerance, unit, metric }: JudgementChoice,
): ProjectJudgement | null {
  if (scores.length === 0) return null;
  const distinct = <T>(values: T[]): T[] => [...new Set(values)];
  const units = distinct(scores.map((score) => score.unit));
  const metrics = distinct(scores.map((score) => score.metric));
  const chosenUnit = unit ?? units[0];
  const chosenMetric = metric ?? metrics[0];
  const own = scores.filter((score) => score.unit === chosenUnit && score.metric === chosenMetric);
  const tasks = distinct(own.map(({ label }) => label));
  const chosenTarget = target ?? tasks[0];
  if (!tasks.includes(chosenTarget)) {
    throw new ForetuneError(
      'usage',
      `The experiment has no ${chosenMetric} of "${chosenTarget}" by ${chosenUnit}; it has ${tasks.join(', ') || 'none'}.`,
    );
  }
  const byId = new Map(models.map((model) => [model.id, model]));
  const found = groupBy(own, ({ modelId }) => modelId).map((rows) => {
    const [{ modelId, model: name }] = rows;
    const card = memberCardSchema.safeParse(byId.get(modelId)?.card.merge).data;
    const member: JudgedMember = {
      id: name,
      role: card === undefined ? 'base' : isFinetunedItself(card) ? 'finetuned' : 'merge',
      method: card?.method ?? '',
      alpha: card === undefined ? 0 : alphaOfMember(card),
      tasks: groupBy(rows, ({ label }) => label).map((scored) => ({
        task: scored[0].label,
        layers: scored.filter(({ control }) => control === ''),
        chance: scored.filter(({ control }) => control === 'shuffled-labels'),
      })),
    };
    return { modelId, member };
  });
  if (
    found.filter(({ member }) => member.role === 'base').length > 1 ||
    (found.length > 1 && found.every(({ member }) => member.role === 'base'))
  )
    throw new ForetuneError('invalid-data', 'This experiment scored models, not merges of one; judge a sweep of merges instead.');
  const rank = { base: 0, merge: 1, finetuned: 2 };
  found.sort((a, b) => rank[a.member.role] - rank[b.member.role] || (a.member.alpha ?? 0) - (b.member.alpha ?? 0));
  const axis = scoreAxis(chosenMetric);
  const judgement = judge({
    members: found.map(({ member }) => member),
    target: chosenTarget,
    over,
    tolerance,
    higherIsBetter: axis.higherIsBetter,
  });
  const idOf = new Map(found.map(({ modelId, member }) => [member.id, modelId]));
  return {
    ...judgement,
    unit: chosenUnit,
    metric: chosenMetric,
    metricName: axis.name,
    tasks,
    units,
    metrics,
    modelIds: judgement.members.map(({ id }) => idOf.get(id)!),
  };
}
