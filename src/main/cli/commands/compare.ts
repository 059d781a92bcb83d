import { Command } from '@commander-js/extra-typings';

import { moduleNames } from '#main/merging/names.ts';
import { type ModelComparison } from '#main/weights/compareModels.ts';
import { ForetuneError } from '#shared/errors.ts';

import { collect, seconds } from '../options.ts';
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

export function compareCommand() {
  return new Command('compare')
    .description('What fine-tuning changed: distance of weights per module and layer, and how task vectors agree.')
    .requiredOption('--a <path>', 'the pre-trained model: a Hugging Face folder, .safetensors, or a torch checkpoint')
    .requiredOption('--b <path>', 'a model fine-tuned from it; give it once per model', collect)
    .option('--density <share>', 'also count the share of each part that TIES would keep at this density', seconds)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', jsonHelp)
    .action(async ({ a, b, density, json }) => {
      const result = await compare({ a, b, density });
      if (json) printJson(result);
      else {
        print(comparisonText(result));
        for (const note of result.notes) log(note);
      }
    });
}

/** Compares and shows on stderr how far it has come. */
async function compare(request: { a: string; b: string[]; density?: number }): Promise<ModelComparison> {
  const abort = new AbortController();
  const view = createProgressView();
  let result: ModelComparison | undefined;
  try {
    await withApi((api) =>
      untilInterrupted(
        () => abort.abort(),
        async () => {
          for await (const event of await api.weights.compare(request, { signal: abort.signal })) {
            if (event.type === 'done') result = event.result;
            else view.show(event.progress);
          }
        },
      ),
    );
  } finally {
    view.stop();
  }
  if (!result) throw new ForetuneError('cancelled', 'The comparison was stopped.');
  return result;
}
