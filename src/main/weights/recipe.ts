import { join } from 'node:path';

import * as z from 'zod';

import { type AlphaSchedule } from '#main/merging/alpha.ts';
import { type MergeMethod, type MergeSettings } from '#main/merging/method.ts';
import { moduleNames } from '#main/merging/names.ts';
import { type HeadRule, headRules, type MergePlan } from '#main/merging/plan.ts';
import { readJsonObject } from '#main/models/jsonFile.ts';
import { type LayerCurve } from '#shared/alphaCurve.ts';
import { ForetuneError } from '#shared/errors.ts';
import { alphaScheduleSchema, mergeSettingsSchema } from '#shared/merge.ts';

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

const recipeModelSchema = z.object({
  name: z.string(),
  path: z.string(),
  fingerprint: z.string(),
  recipe: z.unknown().optional(),
});

/** As much of a recipe as reports need: it may be of another version. */
const recipeSchema = z.object({
  foretune: z.string(),
  created: z.string(),
  method: z.string(),
  formula: z.string(),
  source: z.string(),
  alpha: alphaScheduleSchema.optional(),
  settings: mergeSettingsSchema.partial(),
  heads: z.enum(headRules),
  dtype: z.string(),
  base: recipeModelSchema,
  finetuned: z.array(recipeModelSchema).min(1),
  tensors: z.object({ merged: z.number(), copied: z.number(), parameters: z.number(), bytes: z.number() }),
  warnings: z.array(z.string()),
}) satisfies z.ZodType<MergeRecipe>;

/** The recipe in a merged model's folder. @throws ForetuneError `not-found` where there is none, `corrupt` */
export async function readRecipe(folder: string): Promise<MergeRecipe> {
  const path = join(folder, recipeFile);
  const found = await readJsonObject(path);
  if (!found) throw new ForetuneError('not-found', `${folder} holds no ${recipeFile}; it is no merge made by Foretune.`);
  const recipe = recipeSchema.safeParse(found.json);
  if (!recipe.success)
    throw new ForetuneError(
      'corrupt',
      `${path} cannot be understood (${recipe.error.issues[0].path.join('.')}: ${recipe.error.issues[0].message}).`,
    );
  return recipe.data;
}

/** The merges that a merge's base went through before, the first one first: in sequential merging step k starts from the result of step k-1. */
export function chainOf({ base }: Pick<MergeRecipe, 'base'>): MergeRecipe[] {
  const earlier = recipeSchema.safeParse(base.recipe).data;
  return earlier ? [...chainOf(earlier), earlier] : [];
}

function stepText({ method, alpha, finetuned }: MergeRecipe): string {
  return `${method} with ${finetuned.map(({ name }) => name).join(', ')}${alpha ? ` at alpha ${describeAlpha(alpha)}` : ''}`;
}

/** The model card of a merge. */
export function makeCard(name: string, recipe: MergeRecipe, library: 'transformers' | 'onnx' = 'transformers'): string {
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
  const earlier = chainOf(recipe);
  const model = ({ name, fingerprint }: RecipeModel) => `${name} (fingerprint \`${fingerprint.slice(0, 16)}\`)`;
  return [
    '---',
    `library_name: ${library}`,
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
    ...(earlier.length > 0
      ? [
          `Merged in sequence; each step starts from the result of the one before, first of all from ${earlier[0].base.name}:`,
          '',
          ...[...earlier, recipe].map((step, index) => `${index + 1}. ${stepText(step)}`),
          '',
        ]
      : []),
    ...warnings.map((warning) => `Note: ${warning}`),
    ...(warnings.length > 0 ? [''] : []),
    `The exact recipe is in \`${recipeFile}\`. Licences of the models it is made of apply.`,
    '',
  ].join('\n');
}
