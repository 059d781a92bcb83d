import { type AlphaSchedule, type LayerCurve } from '#main/merging/alpha.ts';
import { type MergeMethod, type MergeSettings } from '#main/merging/method.ts';
import { moduleNames } from '#main/merging/names.ts';
import { type HeadRule, type MergePlan } from '#main/merging/plan.ts';

import packageJson from '../../../package.json' with { type: 'json' };

/** The file beside merged weights that says how they came to be. */
export const recipeFile = 'foretune_merge.json';

export interface RecipeModel {
  name: string;
  path: string;
  fingerprint: string;
  /** Of a model that is itself a merge: how it came to be. */
  recipe?: unknown;
}

/** Everything needed to make a merge again. */
export interface MergeRecipe {
  foretune: string;
  created: string;
  method: string;
  formula: string;
  source: string;
  /** Absent where the method has none. */
  alpha?: AlphaSchedule;
  /** Those that the method uses. */
  settings: Partial<MergeSettings>;
  heads: HeadRule;
  /** Types of the tensors, that with the most bytes first. */
  dtype: string;
  base: RecipeModel;
  finetuned: RecipeModel[];
  tensors: { merged: number; copied: number; parameters: number; bytes: number };
  warnings: string[];
}

export interface RecipeParts {
  method: MergeMethod;
  settings: MergeSettings;
  alpha: AlphaSchedule;
  heads: HeadRule;
  plan: MergePlan;
  base: RecipeModel;
  finetuned: RecipeModel[];
  warnings: string[];
  /** ISO 8601. */
  created: string;
}

/** The settings a method uses. */
export function usedSettings({ uses }: MergeMethod, settings: MergeSettings): Partial<MergeSettings> {
  return Object.fromEntries(
    Object.entries(settings).filter(([key, value]) => (uses as readonly string[]).includes(key) && value !== undefined),
  );
}

/** `F16`, or several as `F16+I64`. */
export function describeTypes({ tensors }: MergePlan): string {
  const bytes = new Map<string, number>();
  for (const { dtype, bytes: more } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + more);
  return [...bytes]
    .sort((a, b) => b[1] - a[1])
    .map(([dtype]) => dtype)
    .join('+');
}

export function makeRecipe({
  method,
  settings,
  alpha,
  heads,
  plan,
  base,
  finetuned,
  warnings,
  created,
}: RecipeParts): MergeRecipe {
  const merged = plan.tensors.filter(({ action }) => action === 'merge').length;
  return {
    foretune: packageJson.version,
    created,
    method: method.id,
    formula: method.formula,
    source: method.source,
    ...(method.uses.includes('alpha') ? { alpha } : {}),
    settings: usedSettings(method, settings),
    heads,
    dtype: describeTypes(plan),
    base,
    finetuned,
    tensors: { merged, copied: plan.tensors.length - merged, parameters: plan.parameters, bytes: plan.bytes },
    warnings,
  };
}

function say(curve: number | LayerCurve): string {
  return typeof curve === 'number'
    ? String(curve)
    : `${curve.map(([layer, alpha]) => `layer ${layer}: ${alpha}`).join(', ')}, interpolated between`;
}

/** An alpha schedule in a line. */
export function describeAlpha({ value, modules = {}, rules = [] }: AlphaSchedule): string {
  const parts = [
    say(value),
    ...Object.entries(modules).map(([module, alpha]) => `${moduleNames[module as keyof typeof moduleNames]} ${say(alpha)}`),
    ...rules.map(({ pattern, alpha }) => `\`${pattern}\` ${say(alpha)}`),
  ];
  return parts.join('; ');
}

/** Text that YAML takes as one string, whatever stands in it. */
const quoted = (text: string): string => JSON.stringify(text);

/** The model card of a merge. */
export function makeCard(name: string, recipe: MergeRecipe): string {
  const { method, formula, source, alpha, settings, heads, dtype, base, finetuned, tensors, warnings } = recipe;
  const rows = [
    ['method', `${method}: ${formula}`],
    ['source', source],
    ...(alpha ? [['alpha', `${describeAlpha(alpha)} (0 is the pre-trained model, 1 the fine-tuned one)`]] : []),
    ...Object.entries(settings).map(([key, value]) => [key, Array.isArray(value) ? value.join(', ') : String(value)]),
    ['heads', heads],
    ['type', dtype],
    ['merged', `${tensors.merged} tensors, ${tensors.parameters} parameters`],
    ['copied', `${tensors.copied} tensors`],
  ];
  const model = ({ name, fingerprint }: RecipeModel) => `${name} (fingerprint \`${fingerprint.slice(0, 16)}\`)`;
  return [
    '---',
    'library_name: transformers',
    'base_model:',
    ...[base, ...finetuned].map(({ name }) => `- ${quoted(name)}`),
    'tags:',
    '- merge',
    '- foretune',
    '---',
    `# ${name}`,
    '',
    `A merge of weights, made by Foretune ${recipe.foretune}. No training took place.`,
    '',
    `- pre-trained: ${model(base)}`,
    ...finetuned.map((tuned) => `- fine-tuned: ${model(tuned)}`),
    '',
    '| | |',
    '| --- | --- |',
    ...rows.map(([key, value]) => `| ${key} | ${value.replaceAll('|', '\\|')} |`),
    '',
    ...warnings.map((warning) => `Note: ${warning}`),
    ...(warnings.length > 0 ? [''] : []),
    `The exact recipe is in \`${recipeFile}\`. Licences of the models it is made of apply.`,
    '',
  ].join('\n');
}
