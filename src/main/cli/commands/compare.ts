import { Command } from '@commander-js/extra-typings';

import type { DriftInput } from '#main/api/judge.ts';
import type { Api } from '#main/api/router.ts';
import { moduleNames } from '#main/merging/names.ts';
import type { ModelComparison } from '#main/weights/compareModels.ts';
import { type Drift } from '#shared/drift.ts';
import { ForetuneError } from '#shared/errors.ts';

import { collect, count, integer, layers, machine, number, providers, reportTargets, seconds } from '../options.ts';
import { type Cell, formatTable, log, print, printJson } from '../output.ts';
import { createProgressView } from '../progress.ts';
import { untilInterrupted, withApi } from '../run.ts';

const jsonHelp = `
JSON: a, b (name, path, fingerprint), layers (index of the last), parameters, density, notes, and
  total[]        b, parameters, changed (share that differs), l2 (||b-a||), relative_l2 (||b-a||/||a||), cosine (a with b), max_abs,
                 kept (share that TIES keeps at --density, authors' global trimming; null without)
  rows[]         the same for each b, module (conv, projection, position, attention, ffn, norm, other) and layer
  tensors[]      the same for each b and tensor
  pairs[]        b1, b2: cosine of the task vectors, agreement and conflict (shares of the parameters that both changed), both (their number)
  pairRows[]     the same for each module and layer
  convEncoder[]  b, tensors, moved
  drift          with --data: models, data, utterances, frames, layers, notes, and rows[]: a, b, layer, cka (linear, 0 to 1), debiased
Layers are indices of hidden_states: 0 is all before the first block, block i makes layer i + 1.`;

const digits = (value: number | null): Cell => (value === null ? null : value.toPrecision(4));
const percent = (value: number | null): Cell => (value === null ? null : (100 * value).toFixed(1));

function comparisonText({ b, rows, total, pairs, pairRows, density }: ModelComparison): string {
  const kept = density !== null;
  const header = [
    'layer',
    'module',
    'parameters',
    'relative change',
    'cosine',
    'largest',
    'changed %',
    ...(kept ? ['TIES keeps %'] : []),
  ];
  const cells = (row: (typeof total)[number]): Cell[] => [
    row.parameters,
    digits(row.relative_l2),
    row.cosine === null ? null : row.cosine.toFixed(6),
    digits(row.max_abs),
    percent(row.changed),
    ...(kept ? [percent(row.kept)] : []),
  ];
  const parts = total.map((all) => {
    const own = rows.filter((row) => row.b === all.b);
    const table = formatTable(header, [
      ...own.map((row): Cell[] => [row.layer, moduleNames[row.module], ...cells(row)]),
      ['', 'all', ...cells(all)],
    ]);
    return b.length > 1 ? `${all.b}\n${table}` : table;
  });
  for (const pair of pairs) {
    const own = pairRows.filter(({ b1, b2 }) => b1 === pair.b1 && b2 === pair.b2);
    const line = (label: Cell[], row: Omit<typeof pair, 'b1' | 'b2'>): Cell[] => [
      ...label,
      digits(row.cosine),
      percent(row.agreement),
      percent(row.conflict),
      row.both,
    ];
    const table = formatTable(
      ['layer', 'module', 'cosine', 'same sign %', 'opposite %', 'both changed'],
      [...own.map((row) => line([row.layer, moduleNames[row.module]], row)), line(['', 'all'], pair)],
    );
    parts.push(`task vectors of ${pair.b1} and ${pair.b2}\n${table}`);
  }
  return parts.join('\n\n');
}

/** A row per layer, a column per pair of models. */
function driftText({ rows, layers: all, frames, utterances }: Drift): string {
  const pairs = [...new Map(rows.map(({ a, b }) => [`${a}\n${b}`, { a, b }])).values()];
  const cell = (value: number | null | undefined): string => (value == null ? '' : value.toFixed(4));
  const table = formatTable(
    ['layer', ...pairs.flatMap(({ a, b }) => [`${a} - ${b}`, 'debiased'])],
    all.map((layer): Cell[] => [
      layer,
      ...pairs.flatMap(({ a, b }) => {
        const row = rows.find((one) => one.a === a && one.b === b && one.layer === layer);
        return [cell(row?.cka), cell(row?.debiased)];
      }),
    ]),
  );
  return `feature drift: CKA of ${frames} frames of ${utterances} utterances, 1 where nothing moved\n${table}`;
}

async function measure(api: Api, input: DriftInput): Promise<Drift> {
  const abort = new AbortController();
  const view = createProgressView();
  let drift: Drift | undefined;
  try {
    await untilInterrupted(
      () => abort.abort(),
      async () => {
        for await (const event of await api.weights.drift(input, { signal: abort.signal })) {
          if (event.type === 'done') drift = event.drift;
          else view.show(event.progress);
        }
      },
    );
  } finally {
    view.stop();
  }
  if (!drift) throw new ForetuneError('cancelled', 'The comparison was stopped.');
  return drift;
}

export function compareCommand() {
  return new Command('compare')
    .description(
      'What fine-tuning changed: distance of weights per module and layer, how task vectors agree, and how far features moved.',
    )
    .requiredOption('--a <path>', 'the pre-trained model: a Hugging Face folder, .safetensors, or a torch checkpoint')
    .requiredOption('--b <path>', 'a model fine-tuned from it; give it once per model', collect)
    .option('--density <share>', 'also count the share of each part that TIES would keep at this density', seconds)
    .option('--data <manifest>', 'also measure feature drift on this audio: CKA of each layer between any two of the models')
    .option('--alpha <alpha>', 'with --data: and their merge at this alpha, which is not written', number)
    .option('--layers <layers>', 'with --data: all, or numbers and ranges such as 0,4,9-12', layers, 'all' as const)
    .option('--audio-column <name>', 'with --data: manifest column that holds the audio files (default: found by name)')
    .option('--audio-root <dir>', 'with --data: folder against which relative audio paths are looked for')
    .option('--sample <n>', 'with --data: take a seeded sample of n utterances', count)
    .option('--seed <n>', 'with --data: seed of the sample', integer, 0)
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--pdf <file>', 'report with heatmaps and tables')
    .option('--csv <dir>', 'folder for tidy CSV files')
    .option('--latex <file>', 'tables for a paper (booktabs)')
    .option('--svg <dir>', 'folder for the figures')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', jsonHelp)
    .action(async ({ a, b, density, json, data, alpha, ...options }) => {
      if (data === undefined && alpha !== undefined)
        throw new ForetuneError('usage', '--alpha needs --data: it adds a merge to the feature drift.');
      await withApi(async (api) => {
        const result = await compare(api, { a, b, density });
        const settings = { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 };
        const merge =
          alpha === undefined ? [] : [{ path: a, merge: { finetuned: b, method: 'linear', alpha: { value: alpha }, settings } }];
        const drift =
          data === undefined
            ? undefined
            : await measure(api, {
                models: [{ path: a }, ...b.map((path) => ({ path })), ...merge],
                data: { path: data, audioColumn: options.audioColumn, root: options.audioRoot },
                layers: options.layers,
                sample: options.sample,
                seed: options.seed,
                machine: machine(options),
              });
        const targets = reportTargets(options);
        if (targets) {
          const { files } = await api.weights.report({ about: { kind: 'comparison', a, b, density, drift }, ...targets });
          for (const file of files) log(file);
        }
        if (json) {
          printJson(drift ? { ...result, drift } : result);
          return;
        }
        print(comparisonText(result));
        if (drift) print(`\n${driftText(drift)}`);
        for (const note of [...result.notes, ...(drift?.notes ?? [])]) log(note);
      });
    });
}

/** Compares and shows on stderr how far it has come. */
async function compare(api: Api, request: { a: string; b: string[]; density?: number }): Promise<ModelComparison> {
  const abort = new AbortController();
  const view = createProgressView();
  let result: ModelComparison | undefined;
  try {
    await untilInterrupted(
      () => abort.abort(),
      async () => {
        for await (const event of await api.weights.compare(request, { signal: abort.signal })) {
          if (event.type === 'done') result = event.result;
          else view.show(event.progress);
        }
      },
    );
  } finally {
    view.stop();
  }
  if (!result) throw new ForetuneError('cancelled', 'The comparison was stopped.');
  return result;
}
