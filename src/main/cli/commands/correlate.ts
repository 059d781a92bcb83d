import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';

import { list } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

function where(value: string, previous: { column: string; value: string }[] = []): { column: string; value: string }[] {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give column=value.');
  return [...previous, { column: value.slice(0, at), value: value.slice(at + 1) }];
}

export function correlateCommand() {
  return new Command('correlate')
    .description('Rank agreement of scores with what fine-tuning really gave: Spearman, Kendall and weighted Kendall.')
    .requiredOption('--scores <file>', 'CSV with the scores')
    .requiredOption('--truth <file>', 'CSV with the results of fine-tuning')
    .requiredOption('--on <columns>', 'columns that name the same thing in both, such as model or model,layer', list)
    .requiredOption('--score <column>', 'column with the scores')
    .requiredOption('--truth-column <column>', 'column with the results')
    .option('--where <column=value>', 'only these rows, in every table that has the column; may be given several times', where)
    .addOption(
      new Option('--repeated <rule>', 'of several scores of one key, such as the layers of a model: refuse, or take the best')
        .choices(['refuse', 'max', 'min'] as const)
        .default('refuse' as const),
    )
    .option('--json', 'print one JSON document', false)
    .action(async ({ json, where: filters = [], ...options }) => {
      const { unmatched, ...agreement } = await withApi((api) => api.metrics.correlate({ ...options, where: filters }));
      for (const [table, keys] of Object.entries(unmatched)) {
        if (keys.length > 0)
          log(
            `warning: ${keys.length} rows of the ${table} have no partner: ${keys.slice(0, 5).join('; ')}${keys.length > 5 ? '; ...' : ''}`,
          );
      }
      if (json) printJson(agreement);
      else
        print(
          formatTable(
            ['agreement', 'value'],
            Object.entries(agreement).map(([name, value]) => [name, name === 'n' ? value : value.toPrecision(6)]),
          ),
        );
    });
}
