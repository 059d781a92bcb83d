import { Command } from '@commander-js/extra-typings';

import type { PublishedStudy } from '#main/jobs/publishedStudies.ts';

import { type Cell, formatTable, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

function said(reproduced: boolean | null): string {
  return reproduced === null ? '' : reproduced ? 'yes' : 'no';
}

function studyText({ title, source, items, itemName, truth, scores, notes }: PublishedStudy): string {
  const table = formatTable(
    ['score', 'n', 'spearman', 'printed', 'same', 'p', 'printed p', 'same p', 'kendall', 'weighted'],
    scores.map(({ name, agreement: { n, spearman, kendall, weightedKendall }, printed, reproduced }): Cell[] => [
      name,
      n,
      spearman.value.toFixed(4),
      printed.rho ?? '',
      said(reproduced.rho),
      spearman.p.toExponential(1),
      printed.p ?? '',
      said(reproduced.p),
      kendall.value.toFixed(3),
      weightedKendall.value.toFixed(3),
    ]),
  );
  return [`${title} (${items.length} ${itemName}s; ${truth.name})`, source, table, ...notes.map((note) => `- ${note}`)].join(
    '\n',
  );
}

export function studiesCommand() {
  return new Command('studies')
    .description(
      'Published tables of layer and model choice: the printed correlations made again, and where they contradict themselves.',
    )
    .option('--json', 'print one JSON document', false)
    .action(async ({ json }) => {
      const studies = await withApi((api) => api.truth.studies());
      if (json) printJson({ studies });
      else print(studies.map(studyText).join('\n\n'));
    });
}
