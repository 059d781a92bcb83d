import { Command } from '@commander-js/extra-typings';

import type { Api } from '#main/api/router.ts';
import { agreementP, type PredictorRanking, type TruthAgreement } from '#main/reports/truthAgreement.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Cell, formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

const digits = (value: number | undefined): Cell => (value === undefined ? '' : value.toFixed(3));
const pText = (p: number): string => (p < 0.001 ? p.toExponential(1) : p.toFixed(3));
const range = (interval: { low: number; high: number } | null | undefined): string =>
  interval ? `${interval.low.toFixed(2)} .. ${interval.high.toFixed(2)}` : '';

/** One row per score: how its order agrees with what was measured. */
function agreementTable(agreements: readonly TruthAgreement[]): string {
  return formatTable(
    ['score', 'by', 'n', 'spearman', 'p', '95 % interval', 'kendall', 'weighted', 'remark'],
    agreements.map(({ metric, unit, agreement, pairs, problem }): Cell[] => [
      metric,
      unit,
      agreement?.n ?? pairs.length,
      digits(agreement?.spearman.value),
      agreement ? pText(agreementP(agreement)) : '',
      range(agreement?.spearman.interval),
      digits(agreement?.kendall.value),
      digits(agreement?.weightedKendall.value),
      problem ?? '',
    ]),
  );
}

/** All rankings for people. */
export function predictorText(rankings: readonly PredictorRanking[]): string {
  return rankings
    .map(({ label, source, measure, level, agreements, reading }) => {
      const within = agreements[0].within
        .filter(({ spearman }) => spearman !== null)
        .map(({ model, spearman }) => `${model} ${spearman!.toFixed(2)}`);
      return [
        `${label}: ${measure} of ${level} (${source})`,
        agreementTable(agreements),
        reading,
        ...(within.length > 0
          ? [`Within each model, ${agreements[0].metric} by ${agreements[0].unit}: ${within.join(', ')}.`]
          : []),
      ].join('\n');
    })
    .join('\n\n');
}

/** Takes what the probes of experiments gave as what was measured: of the one of this name, or of all. */
async function takeProbes(api: Api, project: string, name: string | true) {
  const { experiments } = await api.projects.summary({ project });
  const probed = experiments.filter((experiment) => experiment.procedure === 'probe');
  const wanted = probed.filter((experiment) => name === true || experiment.name === name);
  if (wanted.length === 0) {
    const there = probed.map((experiment) => `"${experiment.name}"`).join(', ');
    throw new ForetuneError(
      'not-found',
      probed.length === 0
        ? 'The project has no probes; run "foretune probe" with --project first.'
        : `No probes are called "${String(name)}"; the project has ${there}.`,
    );
  }
  const taken = [];
  for (const { id } of wanted)
    taken.push({ ...(await api.truth.useProbes({ project, experiment: id })), missing: [], unknownModels: [] });
  return taken;
}

export function truthCommand() {
  return new Command('truth')
    .description('Take what fine-tuning (or probes) really gave into a project, and say how well each score predicted it.')
    .argument('<file>', 'project file (.foretune)')
    .option(
      '--import <table...>',
      'CSV with the columns model, value and perhaps layer, label, measure; or one column per measure',
    )
    .option(
      '--probes [experiment]',
      'take the held-out results of the probes in the project, or of this experiment, as what was measured',
    )
    .option('--model-column <name>', 'column that names the model')
    .option('--layer-column <name>', 'column with the layer')
    .option('--label-column <name>', 'column with the label')
    .option('--measure-column <name>', 'column with the name of the measure')
    .option('--value-column <name>', 'column with the value')
    .option('--label <name>', 'label that the table speaks of, where it has no such column')
    .option('--measure <name>', 'what was measured, where it has no such column')
    .option('--higher', 'higher is better, whatever the name of the measure')
    .option('--lower', 'lower is better')
    .option('--json', 'print one JSON document', false)
    .action(async (file, options) => {
      if (options.higher && options.lower) throw new ForetuneError('usage', 'Give --higher or --lower, not both.');
      await withApi(async (api) => {
        const { project } = await api.projects.open({ path: file });
        const imported: Awaited<ReturnType<Api['truth']['import']>>[] = [];
        for (const path of options.import ?? []) {
          const result = await api.truth.import({
            project,
            path,
            columns: {
              model: options.modelColumn,
              layer: options.layerColumn,
              label: options.labelColumn,
              measure: options.measureColumn,
              value: options.valueColumn,
            },
            label: options.label,
            measure: options.measure,
            higherIsBetter: options.higher ? true : options.lower ? false : undefined,
          });
          imported.push(result);
        }
        if (options.probes !== undefined) imported.push(...(await takeProbes(api, project, options.probes)));
        for (const result of imported) {
          log(`Took ${result.rows} values from ${result.source}.`);
          for (const { row, what } of result.missing) log(`warning: row ${row} (${what}) has no value and is left out.`);
          if (result.unknownModels.length > 0) log(`warning: not in the project: ${result.unknownModels.join(', ')}.`);
        }
        const rankings = await api.truth.agreement({ project });
        if (options.json) printJson({ imported, rankings });
        else if (rankings.length > 0) print(predictorText(rankings));
        else log('Nothing to compare: the project has no ground truth for a label that was scored.');
      });
    });
}
