import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';

import type { MergeInput } from '#main/api/weights.ts';
import type { AlphaSchedule } from '#main/merging/alpha.ts';
import { type TensorModule, tensorModules } from '#main/merging/names.ts';
import { headRules } from '#main/merging/plan.ts';
import { mergeMethod, mergeMethodIds, mergeMethods } from '#main/merging/registry.ts';
import type { FloatDtype } from '#main/merging/rounding.ts';
import type { MergeOutline, MergeResult } from '#main/weights/mergeModels.ts';
import { type LayerCurve } from '#shared/alphaCurve.ts';
import { ForetuneError } from '#shared/errors.ts';

import { collect, integer, list, methodNames, number, sweep } from '../options.ts';
import { log, print, printJson } from '../output.ts';
import { createProgressView } from '../progress.ts';
import { untilInterrupted, withApi } from '../run.ts';

/** Speech-FT's alpha throughout. */
const usualAlpha = 0.25;
const usualDensity = 0.2;

/** "0.25", or "0:0.1,6:0.5". */
function numberOrCurve(text: string): number | LayerCurve {
  if (!text.includes(':')) return number(text);
  return list(text).map((point) => {
    const [layer, alpha, ...rest] = point.split(':');
    if (alpha === undefined || rest.length > 0)
      throw new InvalidArgumentError('Write a curve as layer:alpha pairs, such as 0:0.1,6:0.5.');
    return [number(layer), number(alpha)] as const;
  });
}

/** One alpha, a curve over layers, or the alphas of a sweep. */
function alphas(text: string): (number | LayerCurve)[] {
  return text.includes(':') ? [numberOrCurve(text)] : list(text).map(number);
}

/** "attention=0.5", given once per module. */
function moduleAlpha(
  text: string,
  previous: Partial<Record<TensorModule, number | LayerCurve>> = {},
): Partial<Record<TensorModule, number | LayerCurve>> {
  const [module, value, ...rest] = text.split('=');
  const found = tensorModules.find((name) => name === module);
  if (!found || value === undefined || rest.length > 0)
    throw new InvalidArgumentError(
      `Write module=alpha, where the module is one of ${tensorModules.filter((name) => name !== 'head').join(', ')}.`,
    );
  return { ...previous, [found]: numberOrCurve(value) };
}

/** "encoder.layers.*.attention.*=0.5", given once per rule. */
function alphaRule(
  text: string,
  previous: { pattern: string; alpha: number | LayerCurve }[] = [],
): { pattern: string; alpha: number | LayerCurve }[] {
  const at = text.lastIndexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write pattern=alpha, such as "encoder.layers.*.attention.*=0.5".');
  return [...previous, { pattern: text.slice(0, at), alpha: numberOrCurve(text.slice(at + 1)) }];
}

const dtypeNames: Record<string, FloatDtype> = {
  float64: 'F64',
  f64: 'F64',
  float32: 'F32',
  f32: 'F32',
  float16: 'F16',
  f16: 'F16',
  bfloat16: 'BF16',
  bf16: 'BF16',
};

function dtype(text: string): FloatDtype | undefined {
  if (text === 'keep') return undefined;
  const found = Object.hasOwn(dtypeNames, text.toLowerCase()) ? dtypeNames[text.toLowerCase()] : undefined;
  if (!found) throw new InvalidArgumentError('Give keep, float32, float16, bfloat16 or float64.');
  return found;
}

function schedules(options: {
  alpha?: (number | LayerCurve)[];
  sweep?: number[];
  alphaModule?: AlphaSchedule['modules'];
  alphaRule?: { pattern: string; alpha: number | LayerCurve }[];
}): AlphaSchedule[] {
  if (options.sweep !== undefined && options.alpha !== undefined)
    throw new ForetuneError('usage', 'Give either --alpha or --sweep, not both.');
  const values = options.sweep ?? options.alpha ?? [usualAlpha];
  return values.map((value) => ({ value, modules: options.alphaModule, rules: options.alphaRule }));
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** The plan for people. Warnings are told apart, on stderr. */
function planText({
  method,
  base,
  finetuned,
  heads,
  results,
  bytes,
  dtype: type,
  summary,
  convEncoder,
  files,
}: MergeOutline): string {
  return [
    `method       ${method}`,
    `base         ${base.path}`,
    ...finetuned.map(({ path }) => `fine-tuned   ${path}`),
    `heads        ${heads === 'drop' ? 'dropped' : `those of the ${heads === 'base' ? 'base' : 'fine-tuned model'}`}`,
    `result       ${results === 1 ? '' : `${results} folders of `}${megabytes(bytes)} in ${type}: ${files.join(', ')}`,
    ...summary,
    ...convEncoder.map(({ moved, tensors }, i) =>
      moved === 0
        ? `The conv encoder of ${finetuned[i].name} is that of the base (${tensors} tensors), as in Speech-FT.`
        : `The conv encoder of ${finetuned[i].name} moved in ${moved} of ${tensors} tensors.`,
    ),
  ].join('\n');
}

/** Options somebody gave that the method does not use. */
function idle(given: Record<string, unknown>, uses: readonly string[]): string[] {
  return Object.entries(given)
    .filter(([name, value]) => value !== undefined && !uses.includes(name))
    .map(([name]) => name);
}

export function mergeCommand() {
  return new Command('merge')
    .description('Merge a pre-trained model with models fine-tuned from it, into a folder that transformers opens.')
    .requiredOption(
      '--base <path>',
      'the pre-trained model: a Hugging Face folder, .safetensors, or a torch checkpoint (s3prl, fairseq)',
    )
    .requiredOption('--finetuned <path>', 'a model fine-tuned from it; give it once per model', collect)
    .option(
      '--method <name>',
      `how to merge: ${mergeMethodIds().join(', ')}; several with commas make a sweep of methods`,
      methodNames,
      ['linear'],
    )
    .option(
      '--alpha <alpha>',
      `0 is the pre-trained model, 1 the fine-tuned one (default: ${usualAlpha}); a curve over layers such as 0:0.1,6:0.5; or a sweep such as 0,0.25,0.5`,
      alphas,
    )
    .option(
      '--sweep <n|from:to:step>',
      'n results, alpha evenly from 0 to 1, or such as 0:1:0.05; from one reading of the inputs',
      sweep,
    )
    .option(
      '--alpha-module <module=alpha>',
      'another alpha for a module (conv, projection, position, attention, ffn, norm, other); may be given several times',
      moduleAlpha,
    )
    .option('--alpha-rule <pattern=alpha>', 'another alpha for tensors by name, with * and ?; the last that fits wins', alphaRule)
    .option('--density <share>', `share of changes that TIES and DARE keep (default: ${usualDensity})`, number)
    .addOption(
      new Option(
        '--scope <scope>',
        'TIES: trim over the whole model, as its authors, or by tensor, as mergekit (default: global)',
      ).choices(['global', 'tensor'] as const),
    )
    .addOption(
      new Option(
        '--rescale <rule>',
        'DARE: scale up by 1 / density, or to the same sum of magnitudes (default: bernoulli)',
      ).choices(['bernoulli', 'l1'] as const),
    )
    .option(
      '--weight <w>',
      'weight of a fine-tuned model; give one per model, in order',
      (text: string, previous: number[] = []) => [...previous, number(text)],
    )
    .option('--seed <n>', 'DARE: seed of what is dropped (default: 0)', integer)
    .addOption(
      new Option('--heads <rule>', 'whose heads, configuration and tokenizer the result gets')
        .choices(headRules)
        .default('base' as const),
    )
    .option('--dtype <type>', 'keep, float32, float16, bfloat16 or float64 (default: keep, the types of the base)', dtype)
    .option(
      '--out <dir>',
      'folder to make; it must not exist. A sweep makes OUT/alpha-0.25 and so on, one of methods OUT/ties-alpha-0.25',
    )
    .option('--dry-run', 'print the plan and write nothing', false)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      () =>
        `\nMethods:\n${mergeMethods.map(({ id, name, formula, source }) => `  ${id.padEnd(16)} ${name}: ${formula}\n  ${''.padEnd(16)} ${source}`).join('\n')}\n\nLayers are indices of hidden_states: 0 is all before the first block, block i makes layer i + 1.`,
    )
    .action(async (options) => {
      if (options.out === undefined && !options.dryRun)
        throw new ForetuneError('usage', 'There is nowhere to write to: give --out, or --dry-run to see the plan only.');
      const request: MergeInput = {
        base: options.base,
        finetuned: options.finetuned,
        method: options.method[0],
        ...(options.method.length > 1 ? { alsoBy: options.method.slice(1) } : {}),
        alphas: schedules(options).map(({ value, modules, rules }) => ({
          value: typeof value === 'number' ? value : value.map(([layer, alpha]): [number, number] => [layer, alpha]),
          modules: modules as MergeInput['alphas'][number]['modules'],
          rules: rules as MergeInput['alphas'][number]['rules'],
        })),
        settings: {
          density: options.density ?? usualDensity,
          scope: options.scope ?? 'global',
          rescale: options.rescale ?? 'bernoulli',
          weights: options.weight,
          seed: options.seed ?? 0,
        },
        heads: options.heads,
        dtype: options.dtype,
        out: options.out,
      };
      const { alpha, density, scope, rescale, weight: weights, seed } = options;
      const useless = idle(
        { alpha: alpha ?? options.sweep ?? options.alphaModule ?? options.alphaRule, density, scope, rescale, weights, seed },
        options.method.flatMap((name) => mergeMethod(name).uses),
      );
      const all = options.method.join(' and ');
      for (const name of useless)
        log(`warning: ${all} ${options.method.length > 1 ? 'have' : 'has'} no ${name}; what was given is ignored.`);
      await withApi(async (api) => {
        if (options.dryRun) {
          const plan = await api.weights.plan(request);
          for (const warning of plan.warnings) log(`warning: ${warning}`);
          if (options.json) printJson({ plan });
          else print(planText(plan));
          return;
        }
        const result = await run(api, request, options.json);
        if (options.json)
          printJson({
            plan: result.outline,
            results: result.results.map(({ path, method, alpha: made }) => ({ path, method, alpha: made?.value ?? null })),
          });
        else for (const { path } of result.results) print(path);
      });
    });
}

type Api = Parameters<Parameters<typeof withApi>[0]>[0];

/** Merges and shows what happens on stderr. */
async function run(api: Api, request: MergeInput, quiet: boolean): Promise<MergeResult> {
  const abort = new AbortController();
  const view = createProgressView();
  let result: MergeResult | undefined;
  try {
    await untilInterrupted(
      () => abort.abort(),
      async () => {
        for await (const event of await api.weights.merge({ ...request, out: request.out! }, { signal: abort.signal })) {
          if (event.type === 'done') result = event.result;
          else if (event.type === 'progress') view.show(event.progress);
          else {
            for (const warning of event.plan.warnings) log(`warning: ${warning}`);
            if (!quiet) log(planText(event.plan));
          }
        }
      },
    );
  } finally {
    view.stop();
  }
  if (!result) throw new ForetuneError('cancelled', 'The merge was stopped; nothing was written.');
  for (const folder of result.leftovers) log(`${folder} is left of an interrupted merge; it can be deleted.`);
  return result;
}
