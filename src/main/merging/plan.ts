import { type Dtype, dtypeBytes, elementCount, type TensorRecord } from '#main/formats/tensors.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type TensorPlace } from './alpha.ts';
import { canonicalNames, countBlocks, isBuffer, isUsualHead, layerOf, moduleOf } from './names.ts';
import { type FloatDtype, isFloatDtype } from './rounding.ts';

/** A model as far as its weights go: nothing of them has been read. */
export interface ModelTensors {
  /** What sentences call it: usually its path. */
  path: string;
  tensors: ReadonlyMap<string, TensorRecord>;
  /** Its config.json, where there is one. */
  config?: Readonly<Record<string, unknown>>;
}

/** Whose heads (and whose tensor names, configuration and tokenizer) the result has. */
export const headRules = ['base', 'finetuned', 'drop'] as const;
export type HeadRule = (typeof headRules)[number];

/** One tensor of the result. */
export interface PlannedTensor extends TensorPlace {
  /** As it will be called in the result. */
  name: string;
  shape: number[];
  dtype: Dtype;
  bytes: number;
  /** `merge`: of base and fine-tuned values; `copy`: `base` as it is (a head, a buffer, or what no fine-tuned model has). */
  action: 'merge' | 'copy';
  /** The pre-trained tensor, or the one to copy. */
  base: TensorRecord;
  /** The fine-tuned ones, in the models' order; empty for a copy. */
  tuned: TensorRecord[];
}

export interface MergePlan {
  tensors: PlannedTensor[];
  /** Elements that are merged, and bytes of all tensors written. */
  parameters: number;
  bytes: number;
  blocks: number;
  /** What was found when names and shapes were compared; tensor names as in the result, or as in the model that has them. */
  matched: string[];
  renamed: { model: string; from: string; to: string }[];
  reshaped: { model: string; name: string; from: number[]; to: number[] }[];
  retyped: { model: string; name: string; from: Dtype; to: Dtype }[];
  /** In the result, but taken from the base since a fine-tuned model lacks it. */
  missing: { model: string; name: string }[];
  /** In a model, but not in the result. */
  extra: { model: string; name: string; why: string }[];
  warnings: string[];
}

export interface PlanOptions {
  heads: HeadRule;
  /** Type of merged tensors; each keeps its base's type if absent. */
  dtype?: FloatDtype;
  /** Canonical names instead of the base's own: for weights that get another model's configuration. */
  canonicalNames?: boolean;
}

/** What two encoders must share beside their tensors' shapes to be of the same architecture. */
const architectureKeys = [
  'model_type',
  'hidden_size',
  'num_hidden_layers',
  'num_attention_heads',
  'hidden_act',
  'feat_extract_activation',
  'feat_extract_norm',
  'do_stable_layer_norm',
  'conv_kernel',
  'conv_stride',
  'num_conv_pos_embedding_groups',
];

const listed = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function checkConfigs(base: ModelTensors, tuned: ModelTensors): void {
  if (!base.config || !tuned.config) return;
  for (const key of architectureKeys) {
    const [ours, theirs] = [base.config[key], tuned.config[key]];
    if (ours === undefined || theirs === undefined || JSON.stringify(ours) === JSON.stringify(theirs)) continue;
    throw new ForetuneError(
      'mismatch',
      `${tuned.path} is of another architecture than ${base.path}: ${key} is ${JSON.stringify(theirs)} in its config.json and ${JSON.stringify(ours)} in the base's; only models fine-tuned from the base can be merged with it.`,
    );
  }
}

interface Named {
  name: string;
  canonical: string;
  isHead: boolean;
  record: TensorRecord;
}

/** A model's tensors by canonical name, in its own order. */
function byCanonicalName({ path, tensors }: ModelTensors): Map<string, Named> {
  const names = canonicalNames(tensors.keys());
  const found = new Map<string, Named>();
  for (const [name, record] of tensors) {
    const { canonical, isHead } = names.get(name)!;
    // A head may be called like a part of the encoder; it must not take its place.
    const key = isHead ? `head:${name}` : canonical;
    const other = found.get(key);
    if (other)
      throw new ForetuneError(
        'mismatch',
        `${path} has both "${other.name}" and "${name}", which are two names of the same tensor.`,
      );
    found.set(key, { name, canonical, isHead, record });
  }
  return found;
}

/** Equal but for dimensions of size one, so that the values lie in the same order. */
function sameElements(a: readonly number[], b: readonly number[]): boolean {
  const bare = (shape: readonly number[]) => shape.filter((size) => size !== 1).join();
  return bare(a) === bare(b);
}

/** May a fine-tuned model lack it? Such tensors play no part in inference. */
function isDispensable(canonical: string): boolean {
  return canonical === 'masked_spec_embed';
}

function emptyPlan(): MergePlan {
  return {
    tensors: [],
    parameters: 0,
    bytes: 0,
    blocks: 0,
    matched: [],
    renamed: [],
    reshaped: [],
    retyped: [],
    missing: [],
    extra: [],
    warnings: [],
  };
}

/**
 * Matches the tensors of fine-tuned models with those of their base and says what becomes of each.
 * Heads and buffers (batch-norm statistics, integers) are never merged: heads follow `heads`, buffers are the base's.
 *
 * @throws ForetuneError `mismatch` for models that do not fit, with the tensor's name and both shapes
 */
export function planMerge(base: ModelTensors, tuned: readonly ModelTensors[], options: PlanOptions): MergePlan {
  const plan = emptyPlan();
  for (const model of tuned) checkConfigs(base, model);
  const ours = byCanonicalName(base);
  const theirs = tuned.map(byCanonicalName);
  const encoder = [...ours.values()].filter(({ isHead }) => !isHead);
  if (encoder.length === 0)
    throw new ForetuneError('mismatch', `${base.path} has no encoder tensors: all ${ours.size} are heads.`);
  plan.blocks = countBlocks(encoder.map(({ canonical }) => canonical));
  const place = { blocks: plan.blocks, normsFirst: base.config?.do_stable_layer_norm === true };

  const skeleton = options.heads === 'finetuned' ? theirs[0] : ours;
  const skeletonPath = options.heads === 'finetuned' ? tuned[0].path : base.path;

  for (const { name, canonical, isHead, record } of skeleton.values()) {
    const own = isHead ? undefined : ours.get(canonical);
    const newName = options.canonicalNames && !isHead ? canonical : name;
    const where: TensorPlace = {
      canonical,
      module: isHead ? 'head' : moduleOf(canonical),
      layer: isHead ? plan.blocks : layerOf(canonical, place),
    };
    const copy = (from: TensorRecord) => {
      const dtype = options.dtype !== undefined && isFloatDtype(from.dtype) ? options.dtype : from.dtype;
      const bytes = elementCount(from.shape) * dtypeBytes[dtype];
      plan.tensors.push({ ...where, name: newName, shape: from.shape, dtype, bytes, action: 'copy', base: from, tuned: [] });
    };
    if (isHead) {
      if (options.heads === 'drop') plan.extra.push({ model: skeletonPath, name, why: 'a head, dropped' });
      else copy(record);
      continue;
    }
    if (!own) {
      if (isDispensable(canonical)) copy(record);
      continue; // refused below, with the other tensors that the base lacks
    }
    if (isBuffer(canonical) || !isFloatDtype(own.record.dtype)) {
      copy(own.record);
      continue;
    }
    const partners = matchTensor(plan, base, own, newName, tuned, theirs);
    if (!partners) {
      copy(own.record);
      continue;
    }
    const dtype = options.dtype ?? own.record.dtype;
    const bytes = elementCount(own.record.shape) * dtypeBytes[dtype];
    const shape = skeleton === ours ? own.record.shape : record.shape;
    plan.tensors.push({ ...where, name: newName, shape, dtype, bytes, action: 'merge', base: own.record, tuned: partners });
    plan.parameters += elementCount(shape);
  }
  for (const [index, model] of tuned.entries())
    noteExtras(plan, model, theirs[index], ours, base, options.heads === 'finetuned' && index === 0);
  if (options.heads === 'finetuned') noteExtras(plan, base, ours, theirs[0], tuned[0], false);
  plan.bytes = plan.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  if (plan.retyped.length > 0) {
    const { model, from, to } = plan.retyped[0];
    plan.warnings.push(
      `${plan.retyped.length} tensors have another type than the base's, such as ${from} in ${model} where the base has ${to}; the result has ${options.dtype ?? "the base's"}.`,
    );
  }
  return plan;
}

/**
 * The plan for weights of one and the same graph, whose tensors have the same names in all models: exporters rename many of them
 * (`onnx::MatMul_1234`), so that what is not told by its name counts as `other` of layer 0. Usual heads and buffers are the base's.
 *
 * @throws ForetuneError `mismatch`, with the tensor's name and both shapes
 */
export function planGraphMerge(base: ModelTensors, tuned: readonly ModelTensors[]): MergePlan {
  const plan = emptyPlan();
  const names = canonicalNames(base.tensors.keys());
  plan.blocks = countBlocks([...names.values()].map(({ canonical }) => canonical));
  let nameless = 0;
  for (const [name, record] of base.tensors) {
    const { canonical } = names.get(name)!;
    const isHead = isUsualHead(canonical);
    const module = isHead ? 'head' : moduleOf(canonical);
    const layer = isHead ? plan.blocks : layerOf(canonical, { blocks: plan.blocks, normsFirst: false });
    const partners = tuned.map(({ path, tensors }) => {
      const partner = tensors.get(name);
      if (!partner)
        throw new ForetuneError(
          'mismatch',
          `${path} has no tensor "${name}", which ${base.path} has in shape ${listed(record.shape)}.`,
        );
      if (listed(partner.shape) !== listed(record.shape) || partner.dtype !== record.dtype) {
        throw new ForetuneError(
          'mismatch',
          `Tensor "${name}" is ${record.dtype} ${listed(record.shape)} in ${base.path}, but ${partner.dtype} ${listed(partner.shape)} in ${path}; only exports of one graph can be merged.`,
        );
      }
      return partner;
    });
    const action = isHead || isBuffer(canonical) ? 'copy' : 'merge';
    const size = elementCount(record.shape);
    plan.tensors.push({
      canonical,
      module,
      layer,
      name,
      shape: record.shape,
      dtype: record.dtype,
      bytes: size * dtypeBytes[record.dtype],
      action,
      base: record,
      tuned: action === 'merge' ? partners : [],
    });
    plan.matched.push(name);
    if (action === 'merge') plan.parameters += size;
    if (action === 'merge' && module === 'other' && size > 1) nameless++;
  }
  plan.bytes = plan.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  if (nameless > 0)
    plan.warnings.push(
      `${nameless} tensors have names that the exporter made up, so that their layer and module are unknown; an alpha by layer or module treats them as "other" of layer 0.`,
    );
  return plan;
}

/** The fine-tuned versions of a tensor, checked; undefined where one lacks it and may. */
function matchTensor(
  plan: MergePlan,
  base: ModelTensors,
  own: Named,
  newName: string,
  tuned: readonly ModelTensors[],
  theirs: readonly Map<string, Named>[],
): TensorRecord[] | undefined {
  const partners: TensorRecord[] = [];
  for (const [index, { path }] of tuned.entries()) {
    const partner = theirs[index].get(own.canonical);
    if (!partner) {
      if (!isDispensable(own.canonical)) {
        throw new ForetuneError(
          'mismatch',
          `${path} has no tensor "${own.canonical}", which ${base.path} has (as "${own.name}", shape ${listed(own.record.shape)}); only models fine-tuned from the base can be merged with it.`,
        );
      }
      plan.missing.push({ model: path, name: own.name });
      return undefined;
    }
    const { name, record } = partner;
    if (!sameElements(record.shape, own.record.shape)) {
      throw new ForetuneError(
        'mismatch',
        `Tensor "${own.name}" has shape ${listed(own.record.shape)} in ${base.path}, but ${name === own.name ? 'the' : `"${name}" has the`} shape ${listed(record.shape)} in ${path}; only models of one architecture can be merged.`,
      );
    }
    if (!isFloatDtype(record.dtype)) {
      throw new ForetuneError(
        'mismatch',
        `Tensor "${name}" of ${path} has type ${record.dtype}, where ${base.path} has ${own.record.dtype}; quantised weights cannot be merged.`,
      );
    }
    if (listed(record.shape) !== listed(own.record.shape))
      plan.reshaped.push({ model: path, name, from: record.shape, to: own.record.shape });
    if (record.dtype !== own.record.dtype) plan.retyped.push({ model: path, name, from: record.dtype, to: own.record.dtype });
    if (name !== newName) plan.renamed.push({ model: path, from: name, to: newName });
    partners.push(record);
  }
  if (own.name !== newName) plan.renamed.push({ model: base.path, from: own.name, to: newName });
  plan.matched.push(newName);
  return partners;
}

/** Tensors of a model that its counterpart lacks: heads are left out, parts of the encoder are a reason to refuse. */
function noteExtras(
  plan: MergePlan,
  model: ModelTensors,
  own: Map<string, Named>,
  other: Map<string, Named>,
  counterpart: ModelTensors,
  keepsHeads: boolean,
): void {
  for (const { name, canonical, isHead, record } of own.values()) {
    if (isHead) {
      if (!keepsHeads) plan.extra.push({ model: model.path, name, why: 'a head, not part of the encoder' });
    } else if (!other.has(canonical)) {
      if (!isDispensable(canonical) && !isBuffer(canonical)) {
        throw new ForetuneError(
          'mismatch',
          `${model.path} has a tensor "${name}" of shape ${listed(record.shape)}, which ${counterpart.path} does not have; only models fine-tuned from the base can be merged with it.`,
        );
      }
      plan.extra.push({ model: model.path, name, why: 'not in the other model' });
    }
  }
}

/** The settings of one plan as sentences for people. */
export function describePlan(plan: MergePlan): string[] {
  const merged = plan.tensors.filter(({ action }) => action === 'merge').length;
  const lines = [
    `${merged} tensors (${plan.parameters} parameters) are merged, ${plan.tensors.length - merged} are copied; ${plan.bytes} bytes are written.`,
  ];
  const say = (count: number, what: string, first?: string) => {
    if (count > 0) lines.push(`${count} ${what}${first === undefined ? '' : `, such as ${first}`}.`);
  };
  const { renamed, reshaped, missing, extra } = plan;
  say(renamed.length, 'are matched under different names', renamed[0] && `"${renamed[0].from}" with "${renamed[0].to}"`);
  say(reshaped.length, 'have dimensions of size one more or less', reshaped[0] && `"${reshaped[0].name}"`);
  say(missing.length, 'are missing in a fine-tuned model and stay as in the base', missing[0] && `"${missing[0].name}"`);
  say(extra.length, 'do not get into the result', extra[0] && `"${extra[0].name}" (${extra[0].why})`);
  return lines;
}
