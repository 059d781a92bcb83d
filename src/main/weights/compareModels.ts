import { type Agreement, type Change, Comparison } from '#main/merging/diagnostics.ts';
import { createScratch } from '#main/merging/method.ts';
import { type TensorModule, tensorModules } from '#main/merging/names.ts';
import { type MergePlan, type PlannedTensor } from '#main/merging/plan.ts';
import { authorsRank, MagnitudeSurvey } from '#main/merging/trimming.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type Progress } from '#shared/jobs.ts';

import { createTurns, cut, readPieces } from './chunks.ts';
import { openWeights, planSources, type WeightSource } from './open.ts';
import { Progressing } from './progressing.ts';
import { TensorReader } from './reader.ts';

const pieceElements = 1 << 19;

/** Told how many elements of each model have been worked off. */
type OnElements = (count: number) => void;

async function compareTensors(
  tensors: readonly PlannedTensor[],
  models: number,
  { thresholds, signal, onElements }: { thresholds?: readonly number[]; signal?: AbortSignal; onElements?: OnElements },
): Promise<Map<PlannedTensor, Comparison>> {
  const found = new Map<PlannedTensor, Comparison>(tensors.map((tensor) => [tensor, new Comparison(models)]));
  const scratch = createScratch(models);
  const reader = new TensorReader();
  try {
    for await (const loaded of readPieces(reader, cut(tensors, pieceElements), createTurns(), signal)) {
      loaded.checkFinite();
      const chunk = loaded.values();
      found.get(loaded.piece.tensor)!.see(chunk, scratch(chunk.count), thresholds);
      onElements?.(chunk.count);
    }
    return found;
  } finally {
    await reader.close();
  }
}

/** Whether fine-tuning left the conv encoder alone, as Speech-FT does. */
export interface ConvEncoderCheck {
  /** Path of the fine-tuned model. */
  model: string;
  /** Tensors of the conv encoder, and how many of them differ from the base's. */
  tensors: number;
  moved: number;
  relative_l2: number | null;
}

/** Whether all models have the same bytes in these tensors: far quicker to see than how they differ. */
async function areEqual(tensors: readonly PlannedTensor[], signal?: AbortSignal): Promise<boolean> {
  const reader = new TensorReader();
  try {
    for await (const { inputs, piece } of readPieces(reader, cut(tensors, pieceElements), createTurns(), signal)) {
      const { base, tuned } = piece.tensor;
      if (tuned.some(({ dtype }, i) => dtype !== base.dtype || Buffer.compare(inputs[0], inputs[i + 1]) !== 0)) return false;
    }
    return true;
  } finally {
    await reader.close();
  }
}

export async function checkConvEncoder(
  plan: MergePlan,
  tuned: readonly WeightSource[],
  signal?: AbortSignal,
): Promise<ConvEncoderCheck[]> {
  const tensors = plan.tensors.filter(({ action, module }) => action === 'merge' && module === 'conv');
  if (await areEqual(tensors, signal))
    return tuned.map(({ path }) => ({ model: path, tensors: tensors.length, moved: 0, relative_l2: 0 }));
  const compared = await compareTensors(tensors, tuned.length, { signal });
  const all = new Comparison(tuned.length);
  for (const one of compared.values()) all.add(one);
  const totals = all.changesOf(false);
  return tuned.map(({ path }, model) => ({
    model: path,
    tensors: tensors.length,
    moved: [...compared.values()].filter((one) => one.changesOf(false)[model].changed > 0).length,
    relative_l2: totals[model].relative_l2,
  }));
}

export interface ComparedModel {
  name: string;
  path: string;
  fingerprint: string;
}

/** `b` and the pair in `b1`, `b2` are names of fine-tuned models; `layer` is the index of hidden_states. */
export interface ModelComparison {
  a: ComparedModel;
  b: ComparedModel[];
  /** Index of the last layer. */
  layers: number;
  parameters: number;
  total: ({ b: string } & Change)[];
  rows: ({ b: string; module: TensorModule; layer: number } & Change)[];
  tensors: ({ b: string; tensor: string; module: TensorModule; layer: number } & Change)[];
  pairs: ({ b1: string; b2: string } & Agreement)[];
  pairRows: ({ b1: string; b2: string; module: TensorModule; layer: number } & Agreement)[];
  convEncoder: { b: string; tensors: number; moved: number }[];
  /** Density at which `kept` was counted, by the authors' global trimming; null where none was asked for. */
  density: number | null;
  notes: string[];
}

/** Names that tell the models apart: base names, or paths where those repeat. */
function distinctNames(models: readonly WeightSource[]): string[] {
  const names = models.map(({ name }) => name);
  return models.map(({ name, path }) => (names.filter((other) => other === name).length > 1 ? path : name));
}

/** Magnitudes from which the authors' TIES would keep an entry, one per model. */
async function trimThresholds(
  plan: MergePlan,
  tensors: readonly PlannedTensor[],
  models: number,
  density: number,
  { signal, onElements, onReading }: { signal?: AbortSignal; onElements: OnElements; onReading: () => void },
): Promise<number[]> {
  if (density === 1) return new Array<number>(models).fill(0);
  const survey = new MagnitudeSurvey(models, authorsRank(plan.parameters, density));
  const reader = new TensorReader();
  try {
    while (!survey.isDone) {
      onReading();
      for await (const loaded of readPieces(reader, cut(tensors, pieceElements), createTurns(), signal)) {
        loaded.checkFinite();
        survey.see(loaded.values());
        onElements(loaded.piece.count);
      }
      survey.end();
    }
  } finally {
    await reader.close();
  }
  return survey.selections.map(({ result }) => result!.value);
}

/**
 * What fine-tuning changed, by tensor and by module and layer, and how the changes of several models relate.
 * @param density counts the share of entries that TIES would keep (authors' global trimming)
 * @throws ForetuneError as planMerge, and what opening and reading the files throws
 */
export async function compareModels(
  a: string,
  b: readonly string[],
  { density, signal, onProgress }: { density?: number; signal?: AbortSignal; onProgress?: (progress: Progress) => void } = {},
): Promise<ModelComparison> {
  if (density !== undefined && !(density > 0 && density <= 1))
    throw new ForetuneError('usage', `A density of ${density} is no share; give one above 0 and at most 1.`);
  const [base, ...tuned] = await Promise.all([a, ...b].map(openWeights));
  const plan = planSources(base, tuned, { heads: 'drop', canonicalNames: true });
  const tensors = plan.tensors.filter(({ action }) => action === 'merge');
  const names = distinctNames(tuned);
  const progress = new Progressing(plan.parameters, onProgress);
  let reading = 0;
  const thresholds =
    density === undefined
      ? undefined
      : await trimThresholds(plan, tensors, tuned.length, density, {
          signal,
          onElements: (count) => progress.add(count, `finding what TIES would keep, reading ${reading}`),
          onReading: () => {
            progress.restart();
            reading++;
          },
        });
  progress.restart();
  const compared = await compareTensors(tensors, tuned.length, {
    thresholds,
    signal,
    onElements: (count) => progress.add(count, 'comparing the weights'),
  });

  const parts = new Map<string, { module: TensorModule; layer: number; sums: Comparison }>();
  const total = new Comparison(tuned.length);
  for (const [{ module, layer }, sums] of compared) {
    const key = `${layer} ${module}`;
    let part = parts.get(key);
    if (!part) parts.set(key, (part = { module, layer, sums: new Comparison(tuned.length) }));
    part.sums.add(sums);
    total.add(sums);
  }
  const place = (module: TensorModule) => tensorModules.indexOf(module);
  const ordered = [...parts.values()].sort((p, q) => p.layer - q.layer || place(p.module) - place(q.module));
  const changes = (sums: Comparison) => sums.changesOf(density !== undefined);
  const agreements = (sums: Comparison) =>
    sums.agreements().map(({ models: [i, j], ...rest }) => ({ b1: names[i], b2: names[j], ...rest }));
  const told = ({ name, path, fingerprint }: WeightSource): ComparedModel => ({ name, path, fingerprint });
  const conv = [...compared].filter(([{ module }]) => module === 'conv').map(([, sums]) => changes(sums));
  return {
    a: told(base),
    b: tuned.map(told),
    layers: plan.blocks,
    parameters: plan.parameters,
    total: changes(total).map((change, i) => ({ b: names[i], ...change })),
    rows: names.flatMap((name, i) => ordered.map(({ module, layer, sums }) => ({ b: name, module, layer, ...changes(sums)[i] }))),
    tensors: names.flatMap((name, i) =>
      [...compared].map(([{ name: tensor, module, layer }, sums]) => ({ b: name, tensor, module, layer, ...changes(sums)[i] })),
    ),
    pairs: agreements(total),
    pairRows: ordered.flatMap(({ module, layer, sums }) =>
      agreements(sums).map(({ b1, b2, ...rest }) => ({ b1, b2, module, layer, ...rest })),
    ),
    convEncoder: names.map((name, i) => ({
      b: name,
      tensors: conv.length,
      moved: conv.filter((change) => change[i].changed > 0).length,
    })),
    density: density ?? null,
    notes: plan.extra.map(({ model, name, why }) => `"${name}" of ${model} was not compared: ${why}.`),
  };
}
