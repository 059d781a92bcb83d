import { Command } from '@commander-js/extra-typings';

import { ForetuneError } from '#shared/errors.ts';

import { integer, metricList } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';
import { scoreHelp } from '../scoreHelp.ts';

export function metricsCommand() {
  return new Command('metrics')
    .description('Scores of features in NumPy files, against class labels or regression targets.')
    .requiredOption('--features <file>', 'features, [n, d]')
    .option('--labels <file>', 'class labels, [n]: integers or strings')
    .option('--targets <file>', 'regression targets, [n] or [n, k]')
    .option('--probabilities <file>', 'for LEEP and NCE: posteriors of a source classifier, [n, z]')
    .option('--other <file>', 'for scores between two sets of features: the other one')
    .option('--metrics <names>', 'scores, separated by commas', metricList, ['logme'])
    .option('--seed <n>', 'seed of scores that draw random numbers', integer, 0)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', scoreHelp())
    .action(async ({ json, ...options }) => {
      if (options.labels === undefined && options.targets === undefined && options.other === undefined) {
        throw new ForetuneError('usage', 'There is nothing to score the features against: give --labels, --targets or --other.');
      }
      const result = await withApi((api) => api.metrics.compute(options));
      for (const { text, metrics: of } of result.notes) log(`warning: ${of.join(', ')}: ${text}`);
      if (json) printJson(result);
      else
        print(
          formatTable(
            ['metric', 'value'],
            Object.entries(result.metrics).map(([name, value]) => [name, value.toPrecision(9)]),
          ),
        );
    });
}
