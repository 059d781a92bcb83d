import { Command } from '@commander-js/extra-typings';

import { ForetuneError } from '#shared/errors.ts';

import { list } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

const formatHelp = `
Results are a CSV file with a column "run" and a column for each metric, named task_metric: pr_per, asr_wer, ks_acc, qbe_mtwv, sid_acc,
asv_eer, sd_der, er_acc, ic_acc, sf_f1, sf_cer. A column "superb_printed" is compared with what the metrics give. Anchors are a CSV file
with the same columns after a first one, "row", and two rows: FBANK scores 0, SOTA scores 1. Metrics are averaged within a task, then
tasks, times 1000 (Speech-FT, equations 5 and 6). Values beyond SOTA count above 1.`;

export function superbCommand() {
  return new Command('superb')
    .description('SUPERB scores of a table of results.')
    .option('--results <file>', 'CSV file of results: a column "run", and one per metric')
    .option('--published', 'score the 42 runs of the Speech-FT paper instead', false)
    .option('--anchors <file>', 'CSV file with the rows FBANK and SOTA (default: those of the paper)')
    .option('--tasks <names>', 'tasks that count, such as pr,sid,er,sf (default: all that the results have)', list)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', formatHelp)
    .action(async ({ json, published, ...options }) => {
      if ((options.results === undefined) === !published)
        throw new ForetuneError('usage', 'Give --results FILE.csv, or --published for the table of the paper.');
      const { rows, tasks, misprints } = await withApi((api) => api.weights.superb(options));
      for (const { run, printed, score } of misprints)
        log(`warning: "${run}" is printed as ${printed}, but its metrics give ${score.toFixed(3)}.`);
      if (json) printJson(misprints.length > 0 ? { rows, tasks, misprints } : { rows, tasks });
      else {
        print(
          formatTable(
            ['run', 'SUPERB score'],
            rows.map(({ run, score }) => [run, score.toFixed(3)]),
          ),
        );
        log(`tasks: ${tasks.join(', ')}`);
      }
    });
}
