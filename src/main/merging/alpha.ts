import { type LayerCurve, onCurve } from '#shared/alphaCurve.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TensorModule } from './names.ts';

/** How far to go from the pre-trained model (0) towards what was learned (1): for all, by module, and by name; the last rule that fits wins. */
export interface AlphaSchedule {
  value: number | LayerCurve;
  modules?: Partial<Record<TensorModule, number | LayerCurve>>;
  /** `pattern`: `*` stands for any characters, `?` for one; compared with the canonical name. */
  rules?: readonly { pattern: string; alpha: number | LayerCurve }[];
}

/** What alpha may depend on. `layer` is the index of hidden_states. */
export interface TensorPlace {
  canonical: string;
  module: TensorModule;
  layer: number;
}

const patterns = new Map<string, RegExp>();

/** Whether a name fits a pattern of `*` and `?`. */
export function fitsPattern(name: string, pattern: string): boolean {
  let expression = patterns.get(pattern);
  if (!expression) {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replace(/\?/g, '.');
    patterns.set(pattern, (expression = new RegExp(`^${source}$`)));
  }
  return expression.test(name);
}

/** The alpha of one tensor. */
export function alphaOf(schedule: AlphaSchedule, { canonical, module, layer }: TensorPlace): number {
  const rule = schedule.rules?.findLast(({ pattern }) => fitsPattern(canonical, pattern));
  return onCurve(rule?.alpha ?? schedule.modules?.[module] ?? schedule.value, layer);
}

/** Every number a schedule names. */
function alphasOf({ value, modules = {}, rules = [] }: AlphaSchedule): number[] {
  return [value, ...Object.values(modules), ...rules.map(({ alpha }) => alpha)].flatMap((curve) =>
    typeof curve === 'number' ? [curve] : curve.map(([, alpha]) => alpha),
  );
}

/**
 * Checks a schedule against the tensors it is for.
 * @returns warnings, one sentence each: values outside 0 to 1, rules that fit no tensor
 * @throws ForetuneError `usage` for values that are no numbers and for curves without points or out of order
 */
export function checkSchedule(schedule: AlphaSchedule, tensors: readonly TensorPlace[]): string[] {
  const curves = [schedule.value, ...Object.values(schedule.modules ?? {}), ...(schedule.rules ?? []).map(({ alpha }) => alpha)];
  for (const curve of curves) {
    if (typeof curve === 'number') continue;
    if (curve.length === 0) throw new ForetuneError('usage', 'A curve of alpha over layers needs at least one point.');
    if (curve.some(([layer], i) => !Number.isFinite(layer) || (i > 0 && layer <= curve[i - 1][0]))) {
      throw new ForetuneError(
        'usage',
        `The layers of an alpha curve must rise: ${curve.map(([layer]) => layer).join(', ')} do not.`,
      );
    }
  }
  const alphas = alphasOf(schedule);
  if (!alphas.every(Number.isFinite))
    throw new ForetuneError('usage', 'alpha must be a number; 0 is the pre-trained model, 1 the fine-tuned one.');
  const warnings: string[] = [];
  const outside = alphas.filter((alpha) => alpha < 0 || alpha > 1);
  if (outside.length > 0) {
    warnings.push(
      `alpha ${[...new Set(outside)].join(', ')} lies outside 0 to 1: the result extrapolates beyond the models it is made of.`,
    );
  }
  for (const { pattern } of schedule.rules ?? []) {
    if (!tensors.some(({ canonical }) => fitsPattern(canonical, pattern))) warnings.push(`The rule "${pattern}" fits no tensor.`);
  }
  return warnings;
}
