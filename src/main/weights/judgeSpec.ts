import { type AlphaSchedule } from '#main/merging/alpha.ts';
import { linear } from '#main/merging/linear.ts';
import { mergeMethod } from '#main/merging/registry.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ScoredModel } from '#shared/experiment.ts';
import { type Member, type MemberCard } from '#shared/merge.ts';

/** A sweep to judge: every method at every alpha, or once where it knows no alpha. */
export interface SweepRequest {
  base: string;
  finetuned: string[];
  methods: readonly string[];
  alphas: Member['alpha'][];
  settings: Member['settings'];
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

/** Which of the models a method gives back bit for bit at an alpha: the base, a fine-tuned one by its index, or none. */
export function inputAt(
  alpha: number,
  { method, settings, models }: { method: string; settings: Partial<Member['settings']>; models: number },
): 'base' | number | undefined {
  // What a method draws or trims by has no part in this; by tensor, no weights are looked over first.
  const known: Member['settings'] = { density: 0.5, rescale: 'bernoulli', seed: 0, ...settings, scope: 'tensor' };
  return mergeMethod(method).begin(known, models, 0).isInput(alpha);
}

/** The models that judge a sweep: the pre-trained one, the members between, and every fine-tuned one. None is written. */
export function sweepModels({ base, finetuned, methods, alphas, settings }: SweepRequest): ScoredModel[] {
  if (new Set(methods).size < methods.length) throw new ForetuneError('usage', 'A sweep names the same method twice.');
  // Weights and densities mean nothing to a fine-tuned model as it is.
  const { weights: _weights, ...plain } = settings;
  const end = (model: string): ScoredModel => ({
    path: base,
    merge: { finetuned: [model], method: linear.id, alpha: { value: 1 }, settings: plain },
  });
  const members = methods.flatMap((method) => {
    const isEnd = (alpha: Member['alpha']): boolean => {
      const single = plainAlpha(alpha);
      return single !== null && inputAt(single, { method, settings, models: finetuned.length }) !== undefined;
    };
    return (mergeMethod(method).uses.includes('alpha') ? alphas : [{ value: 1 }])
      .filter((alpha) => !isEnd(alpha))
      .map((alpha): ScoredModel => ({ path: base, merge: { finetuned, method, alpha, settings } }));
  });
  return [{ path: base }, ...members, ...finetuned.map(end)];
}
