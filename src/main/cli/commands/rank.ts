import { Command } from '@commander-js/extra-typings';

import type { Api } from '#main/api/router.ts';
import { probabilityText } from '#main/reports/ranking.ts';

import { type Cell, formatTable, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

type Ranking = NonNullable<Awaited<ReturnType<Api['results']['ranking']>>>;

function rankingText({ label, unit, metricName, models, reading, recommendation }: Ranking): string {
  const digits = (value: number | null): string => (value === null ? '' : value.toFixed(4));
  const table = formatTable(
    ['rank', 'model', 'layer', 'value', '95 % interval', 'P(best)', 'ranks, 95 %', 'P(beats next)'],
    models.rows.map((row): Cell[] => [
      row.rank,
      row.model,
      row.layer,
      digits(row.value),
      row.low === null ? '' : `${digits(row.low)} .. ${digits(row.high)}`,
      probabilityText(row.best),
      row.rankLow === null ? '' : `${row.rankLow} .. ${row.rankHigh}`,
      probabilityText(row.beatsNext),
    ]),
  );
  return [`${metricName} of ${label}, by ${unit}`, table, ...reading, recommendation.reason].join('\n');
}

export function rankCommand() {
  return new Command('rank')
    .description('Rank models and layers of a project: how sure the ranks are, what to take for each task, and why.')
    .argument('<file>', 'project file (.foretune)')
    .option('--metric <name>', 'only this score')
    .option('--label <column>', 'only this label')
    .option('--json', 'print one JSON document', false)
    .action(async (file, { metric, label, json }) => {
      await withApi(async (api) => {
        const { project } = await api.projects.open({ path: file });
        const { experiments } = await api.projects.summary({ project });
        const documents = [];
        for (const { id, name } of experiments) {
          const first = await api.results.section({ project, experiment: id });
          if (!first) continue;
          const rankings: Ranking[] = [];
          for (const choice of first.choices) {
            if ((metric !== undefined && choice.metric !== metric) || (label !== undefined && choice.label !== label)) continue;
            const ranking = await api.results.ranking({ project, experiment: id, ...choice });
            if (ranking) rankings.push(ranking);
          }
          const tasks = (await api.results.tasks({ project, experiment: id })).filter(
            (comparison) => metric === undefined || comparison.metric === metric,
          );
          documents.push({ experiment: name, rankings, tasks });
        }
        if (json) return printJson({ experiments: documents });
        for (const { experiment, rankings, tasks } of documents) {
          print([`# ${experiment}`, ...rankings.map(rankingText)].join('\n\n'));
          for (const comparison of tasks)
            print(`\n${comparison.metricName} by ${comparison.unit}, all tasks: ${comparison.reading}`);
        }
      });
    });
}
