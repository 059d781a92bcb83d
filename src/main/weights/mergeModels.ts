import { basename, dirname, join, resolve } from 'node:path';

import { type Dtype, elementCount } from '#main/formats/tensors.ts';
import { type AlphaSchedule, checkSchedule, fitsPattern } from '#main/merging/alpha.ts';
import { type MergeMethod, type MergeSettings } from '#main/merging/method.ts';
import { type TensorModule, tensorModules } from '#main/merging/names.ts';
import { describePlan, type HeadRule, type MergePlan } from '#main/merging/plan.ts';
import { mergeMethod } from '#main/merging/registry.ts';
import { type FloatDtype } from '#main/merging/rounding.ts';
import { readJsonObject } from '#main/models/jsonFile.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type Progress } from '#shared/jobs.ts';

import { type ConvEncoderCheck, checkConvEncoder } from './compareModels.ts';
import { checkVacant, companionsOf, createModelFolders, type MemberFolder } from './folder.ts';
import { type MergeMember, mergeTensors } from './mergeTensors.ts';
import { createOnnxFolders } from './onnxWeights.ts';
import { openWeights, planSources, type WeightSource } from './open.ts';
import { describeTypes, makeCard, makeRecipe, type MergeRecipe, recipeFile, type RecipeModel } from './recipe.ts';

export interface MergeRequest {
  base: string;
  finetuned: readonly string[];
  method: string;
  /** Other methods of the same sweep: every method makes a result for every alpha, or one where it knows no alpha. */
  alsoBy?: readonly string[];
  /** One result, or one per schedule of a sweep. */
  alphas: readonly AlphaSchedule[];
  settings: MergeSettings;
  heads: HeadRule;
  dtype?: FloatDtype;
  /** A folder that does not exist yet. */
  out?: string;
}

/** What a merge would do, for people to read before it is done. */
export interface MergeOutline {
  /** One, or those of a sweep with commas between. */
  method: string;
  base: { name: string; path: string; fingerprint: string };
  finetuned: { name: string; path: string; fingerprint: string }[];
  heads: HeadRule;
  parameters: number;
  /** Index of the last layer. */
  layers: number;
  /** What is merged, by part of the encoder. */
  modules: { module: TensorModule; tensors: number; parameters: number }[];
  /** Of each rule by name: how many merged tensors it fits. */
  rules: { pattern: string; tensors: number }[];
  /** Of one result. */
  bytes: number;
  results: number;
  matched: number;
  merged: number;
  copied: string[];
  missing: MergePlan['missing'];
  extra: MergePlan['extra'];
  renamed: MergePlan['renamed'];
  reshaped: MergePlan['reshaped'];
  retyped: MergePlan['retyped'];
  dtype: string;
  dtypes: Partial<Record<Dtype, number>>;
  /** Of each fine-tuned model: whether its conv encoder is that of the base, as Speech-FT keeps it. */
  convEncoder: ConvEncoderCheck[];
  files: string[];
  warnings: string[];
  summary: string[];
}

interface Prepared {
  members: MergeMember[];
  base: WeightSource;
  tuned: WeightSource[];
  plan: MergePlan;
  outline: MergeOutline;
  /** The folder whose configuration the result gets. */
  configFolder?: string;
  copies: { from: string; name: string }[];
}

/** Refuses what a method cannot be told. @throws ForetuneError `usage` */
export function checkSettings(request: Pick<MergeRequest, 'settings' | 'finetuned' | 'alphas'>, method: MergeMethod): void {
  const { settings, finetuned, alphas } = request;
  const { density, weights } = settings;
  if (finetuned.length < method.models.min || finetuned.length > method.models.max) {
    const wanted = method.models.min === method.models.max ? `exactly ${method.models.min}` : `at least ${method.models.min}`;
    throw new ForetuneError('usage', `${method.id} takes ${wanted} fine-tuned model, not ${finetuned.length}.`);
  }
  if (method.uses.includes('density') && !(density > 0 && density <= 1)) {
    throw new ForetuneError(
      'usage',
      `A density of ${density} ${density === 0 ? 'keeps nothing of the task vectors' : 'is no share'}; give one above 0 and at most 1, such as 0.2.`,
    );
  }
  if (weights !== undefined) {
    if (weights.length !== finetuned.length)
      throw new ForetuneError(
        'usage',
        `There are ${weights.length} weights for ${finetuned.length} fine-tuned models; give one each.`,
      );
    if (!weights.every((weight) => Number.isFinite(weight) && weight >= 0) || weights.every((weight) => weight === 0)) {
      throw new ForetuneError(
        'usage',
        `The weights ${weights.join(', ')} cannot be used: they must be at least 0, and not all 0.`,
      );
    }
    if (method.id === 'ties' && settings.scope === 'global')
      throw new ForetuneError('usage', 'TIES as its authors publish it knows no weights; use --scope tensor with --weight.');
  }
  if (new Set(alphas.map(alphaName)).size < alphas.length)
    throw new ForetuneError('usage', 'A sweep names the same alpha twice.');
}

function alphaName({ value }: AlphaSchedule): string {
  return `alpha-${typeof value === 'number' ? value : value.map(([layer, alpha]) => `${layer}_${alpha}`).join('-')}`;
}

/** The results of a request: each of its methods at each alpha. @throws ForetuneError `usage` */
function membersOf(request: MergeRequest): MergeMember[] {
  const methods = [request.method, ...(request.alsoBy ?? [])].map(mergeMethod);
  if (new Set(methods).size < methods.length) throw new ForetuneError('usage', 'A sweep names the same method twice.');
  for (const method of methods) checkSettings(request, method);
  const [only] = methods;
  if (methods.length === 1 && request.alphas.length > 1 && !only.uses.includes('alpha'))
    throw new ForetuneError('usage', `${only.id} has no alpha, so there is nothing to sweep.`);
  return methods.flatMap((method) =>
    (method.uses.includes('alpha') ? request.alphas : request.alphas.slice(0, 1)).map((alpha) => ({ method, alpha })),
  );
}

/** Folders of the results below that of the sweep; a single result has none of its own. */
function memberNames(members: readonly MergeMember[]): string[] {
  if (members.length === 1) return [''];
  const byMethods = new Set(members.map(({ method }) => method)).size > 1;
  return members.map(({ method, alpha }) =>
    [...(byMethods ? [method.id] : []), ...(method.uses.includes('alpha') ? [alphaName(alpha)] : [])].join('-'),
  );
}

async function prepare(request: MergeRequest, signal?: AbortSignal): Promise<Prepared> {
  const members = membersOf(request);
  const [base, ...tuned] = await Promise.all([request.base, ...request.finetuned].map(openWeights));

  // Names, heads and configuration go together: whose heads the result has, it is called and configured like.
  const skeleton = request.heads === 'finetuned' ? tuned[0] : base;
  const configured = skeleton.folder ? skeleton : [base, ...tuned].find(({ folder }) => folder !== undefined);
  const isBorrowed = configured !== undefined && configured !== skeleton;
  const plan = planSources(base, tuned, { heads: request.heads, dtype: request.dtype, canonicalNames: isBorrowed });
  if (plan.parameters === 0) throw new ForetuneError('mismatch', `${base.path} has no weights that could be merged.`);

  const warnings = [...plan.warnings];
  for (const schedule of members.some(({ method }) => method.uses.includes('alpha')) ? request.alphas : []) {
    for (const warning of checkSchedule(schedule, plan.tensors)) if (!warnings.includes(warning)) warnings.push(warning);
  }
  for (const model of tuned)
    if (model.fingerprint === base.fingerprint) warnings.push(`${model.name} is the same model as the base.`);
  const { onnx } = base;
  if (onnx) {
    if (request.dtype !== undefined)
      throw new ForetuneError('usage', `${base.path} is an ONNX graph, which is merged in the types it has; leave the type out.`);
    if (request.heads !== 'base')
      throw new ForetuneError(
        'usage',
        `${base.path} is an ONNX graph, whose head is part of it; only the base's head can be kept.`,
      );
  } else if (!configured)
    warnings.push(
      'None of the models has a config.json; the result will hold weights only, which transformers cannot open by itself.',
    );
  else if (isBorrowed)
    warnings.push(`config.json and tensor names are as in ${configured.name}, since ${skeleton.name} has no configuration.`);
  const convEncoder = await checkConvEncoder(plan, tuned, signal);
  for (const { model, moved, relative_l2 } of convEncoder) {
    if (moved > 0)
      warnings.push(
        `The conv encoder of ${basename(model)} moved (${moved} tensors, relative change ${relative_l2?.toPrecision(2)}); Speech-FT keeps it frozen.`,
      );
  }

  const copies: Prepared['copies'] = [];
  const companionFolders = [
    onnx && dirname(onnx.file),
    configured?.folder,
    ...(request.heads === 'finetuned' ? [] : tuned.map(({ folder }) => folder)),
  ].filter((folder) => folder !== undefined);
  for (const [i, folder] of companionFolders.entries()) {
    for (const name of await companionsOf(folder)) {
      // How waveforms are prepared is known from any of them; a tokenizer belongs to its head.
      if ((i === 0 || name === 'preprocessor_config.json') && !copies.some((copy) => copy.name === name))
        copies.push({ from: join(folder, name), name });
    }
  }

  const dtypes: MergeOutline['dtypes'] = {};
  for (const { dtype } of plan.tensors) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const told = ({ name, path, fingerprint }: WeightSource) => ({ name, path, fingerprint });
  const toMerge = plan.tensors.filter(({ action }) => action === 'merge');
  const copied = plan.tensors.filter(({ action }) => action === 'copy').map(({ name }) => name);
  const outline: MergeOutline = {
    method: [...new Set(members.map(({ method }) => method.id))].join(', '),
    base: told(base),
    finetuned: tuned.map(told),
    heads: request.heads,
    parameters: plan.parameters,
    layers: plan.blocks,
    modules: tensorModules.flatMap((module) => {
      const own = toMerge.filter((tensor) => tensor.module === module);
      const parameters = own.reduce((sum, { shape }) => sum + elementCount(shape), 0);
      return own.length === 0 ? [] : [{ module, tensors: own.length, parameters }];
    }),
    rules: (request.alphas[0].rules ?? []).map(({ pattern }) => ({
      pattern,
      tensors: toMerge.filter(({ canonical }) => fitsPattern(canonical, pattern)).length,
    })),
    bytes: plan.bytes,
    results: members.length,
    matched: plan.matched.length,
    merged: plan.tensors.length - copied.length,
    copied,
    missing: plan.missing,
    extra: plan.extra,
    renamed: plan.renamed,
    reshaped: plan.reshaped,
    retyped: plan.retyped,
    dtype: describeTypes(plan),
    dtypes,
    convEncoder,
    files: [
      ...(onnx ? [basename(onnx.file), ...onnx.external.map(({ location }) => location)] : ['model.safetensors']),
      ...(configured ? ['config.json'] : []),
      ...copies.map(({ name }) => name),
      'README.md',
      recipeFile,
    ],
    warnings,
    summary: describePlan(plan),
  };
  return { members, base, tuned, plan, outline, configFolder: configured?.folder, copies };
}

/**
 * Says what a merge would do, without writing: which tensors match, what is missing, extra, renamed or reshaped, how much would be written.
 * @throws ForetuneError `mismatch` for models that do not fit, with the tensor's name and both shapes; `usage`; what opening the files throws
 */
export async function outlineMerge(request: MergeRequest, signal?: AbortSignal): Promise<MergeOutline> {
  if (request.out !== undefined) await checkVacant(request.out);
  return (await prepare(request, signal)).outline;
}

/** transformers' names of the types it may load weights in. */
const torchTypes: Partial<Record<Dtype, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16', F64: 'float64' };

async function configText(folder: string, dtype?: FloatDtype): Promise<string> {
  const { json } = (await readJsonObject(join(folder, 'config.json')))!;
  const config = { ...json };
  // The type is written down under either name, by the version of transformers; a wrong one would undo the chosen type at loading.
  if (dtype !== undefined) for (const key of ['dtype', 'torch_dtype']) if (key in config) config[key] = torchTypes[dtype];
  return `${JSON.stringify(config, null, 2)}\n`;
}

async function recipeModel({ name, path, fingerprint, folder: own, onnx }: WeightSource): Promise<RecipeModel> {
  const folder = own ?? (onnx && dirname(onnx.file));
  const earlier = folder === undefined ? undefined : await readJsonObject(join(folder, recipeFile));
  return { name, path, fingerprint, ...(earlier ? { recipe: earlier.json } : {}) };
}

export interface MergeResult {
  outline: MergeOutline;
  /** Absolute paths of the model folders, with the method and the alpha each was made with. */
  results: { path: string; method: string; alpha: AlphaSchedule | null; recipe: MergeRecipe }[];
  /** Folders of earlier merges to the same place that were interrupted. */
  leftovers: string[];
}

/**
 * Merges models into a new folder, or the members of a sweep into folders below it, from one reading of the inputs. The folder appears
 * when it is complete; on any error, and when stopped, nothing is left.
 * @throws ForetuneError as outlineMerge; `invalid-data` (a value that is no number), `no-space`, `cancelled`
 */
export async function mergeModels(
  request: MergeRequest & { out: string },
  {
    signal,
    onProgress,
    onOutline,
  }: { signal?: AbortSignal; onProgress?: (progress: Progress) => void; onOutline?: (outline: MergeOutline) => void } = {},
): Promise<MergeResult> {
  const out = resolve(request.out);
  const leftovers = await checkVacant(out);
  const { members, base, tuned, plan, outline, configFolder, copies } = await prepare(request, signal);
  onOutline?.(outline);
  const names = memberNames(members);
  const created = new Date().toISOString();
  const models = { base: await recipeModel(base), finetuned: await Promise.all(tuned.map(recipeModel)) };
  const recipes = members.map(({ method, alpha }) =>
    makeRecipe({
      method,
      settings: request.settings,
      alpha,
      heads: request.heads,
      plan,
      ...models,
      warnings: outline.warnings,
      created,
    }),
  );
  const config = configFolder === undefined ? undefined : await configText(configFolder, request.dtype);
  const folders = names.map((name, i): MemberFolder => {
    const title = name === '' ? basename(out) : `${basename(out)} ${name}`;
    const texts = {
      'README.md': makeCard(title, recipes[i], base.onnx ? 'onnx' : 'transformers'),
      [recipeFile]: `${JSON.stringify(recipes[i], null, 2)}\n`,
    };
    return { name, texts: config === undefined ? texts : { 'config.json': config, ...texts } };
  });
  const writer = base.onnx ? await createOnnxFolders(out, names, base.onnx) : await createModelFolders(out, names, plan.tensors);
  try {
    await mergeTensors({ plan, settings: request.settings, members, sink: writer, signal, onProgress });
    await writer.commit(folders, copies);
  } finally {
    await writer.discard();
  }
  return {
    outline,
    results: names.map((name, i) => ({
      path: join(out, name),
      method: members[i].method.id,
      alpha: members[i].method.uses.includes('alpha') ? members[i].alpha : null,
      recipe: recipes[i],
    })),
    leftovers,
  };
}
