import { type AlphaSchedule } from '#main/merging/alpha.ts';
import { linear } from '#main/merging/linear.ts';
import { mergeMethod } from '#main/merging/registry.ts';
import { type DataChoice, type ScoredModel, type ScoringSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type Member, type MemberCard } from '#shared/merge.ts';

export interface JudgeRequest {
  base: string;
  finetuned: string[];
  method: string;
  alphas: Member['alpha'][];
  settings: Member['settings'];
  data: DataChoice;
  scoring: ScoringSettings;
}

/** A schedule that is one number for all tensors. */
export function plainAlpha({ value, modules, rules }: AlphaSchedule): number | null {
  return typeof value === 'number' && Object.keys(modules ?? {}).length === 0 && (rules ?? []).length === 0 ? value : null;
}

/** The alpha of a member whose method has one that is a plain number. */
export function alphaOfMember({ method, alpha }: Pick<MemberCard, 'method' | 'alpha'>): number | null {
  return mergeMethod(method).uses.includes('alpha') ? plainAlpha(alpha) : null;
}

/** Is this merge a fine-tuned model as it is? */
export function isFinetunedItself({ method, alpha, finetuned }: Pick<MemberCard, 'method' | 'alpha' | 'finetuned'>): boolean {
  return method === linear.id && finetuned.length === 1 && plainAlpha(alpha) === 1;
}

/** The scoring run that judges a sweep: the pre-trained model, every fine-tuned one, and the members between them. None is written. */
export function judgeSpec({ base, finetuned, method, alphas, settings, data, scoring }: JudgeRequest): ScoringSpec {
  // Weights and densities mean nothing to a fine-tuned model as it is.
  const { weights: _weights, ...plain } = settings;
  const end = (model: string): ScoredModel => ({
    path: base,
    merge: { finetuned: [model], method: linear.id, alpha: { value: 1 }, settings: plain },
  });
  const isEnd = (alpha: Member['alpha']) =>
    plainAlpha(alpha) === 0 || (plainAlpha(alpha) === 1 && method === linear.id && finetuned.length === 1);
  const between = mergeMethod(method).uses.includes('alpha') ? alphas.filter((alpha) => !isEnd(alpha)) : [{ value: 1 }];
  const members = between.map((alpha): ScoredModel => ({ path: base, merge: { finetuned, method, alpha, settings } }));
  return { models: [{ path: base }, ...members, ...finetuned.map(end)], data, settings: scoring };
}
