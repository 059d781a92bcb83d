import { Command, Option } from '@commander-js/extra-typings';

import type { SimilarityResult } from '#main/jobs/similarity.ts';
import { ForetuneError } from '#shared/errors.ts';

import { count, integer, layers, machine, metricList, providers, seconds } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { createProgressView } from '../progress.ts';
import { untilInterrupted, withApi } from '../run.ts';
import { scoreHelp } from '../scoreHelp.ts';

const layersHelp = 'all, or numbers and ranges such as 0,4,9-12';

export function similarityCommand() {
  return new Command('similarity')
    .description(
      'Compare two sets of features, layer by layer: two models, a model and a filterbank, or one model on two data sets.',
    )
    .requiredOption('--model <path>', 'a Hugging Face model folder or an ONNX file')
    .requiredOption('--data <manifest>', 'manifest or folder of audio')
    .option('--layers <layers>', layersHelp, layers, 'all' as const)
    .option('--other-model <path>', 'hold it against this model (default: the same)')
    .option('--other-layers <layers>', `${layersHelp} (default: the same)`, layers)
    .option('--other-data <manifest>', 'hold it against this data (default: the same)')
    .option('--filterbank <bands>', 'hold it against a log-mel filterbank of this many bands', count)
    .option('--metrics <names>', 'cka, cka-debiased, pwcca, swd or tsne, separated by commas', metricList, ['cka'])
    .addOption(
      new Option('--take <what>', 'what a sample is: every frame, or the mean or median over an utterance')
        .choices(['frames', 'mean', 'median'] as const)
        .default('frames' as const),
    )
    .option('--rows <n>', 'samples kept of each side', count, 2000)
    .option('--sample <n>', 'take a random sample of this many utterances', count)
    .option('--p <order>', 'order of the Wasserstein distance', seconds, 2)
    .option('--projections <n>', 'directions of the sliced Wasserstein distance', count, 50)
    .option('--seed <n>', 'seed of samples and directions', integer, 0)
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', scoreHelp(['two-sets']))
    .action(async (options) => {
      if (options.filterbank !== undefined && (options.otherModel ?? options.otherData) !== undefined)
        throw new ForetuneError('usage', '--filterbank takes the same data; leave --other-model and --other-data out.');
      const side = (model: string, chosen: 'all' | number[], path: string) =>
        ({ kind: 'model', model: { path: model }, layers: chosen, data: { path } }) as const;
      const a = side(options.model, options.layers, options.data);
      const b =
        options.filterbank !== undefined
          ? ({ kind: 'filterbank', bands: options.filterbank, data: { path: options.data } } as const)
          : side(options.otherModel ?? options.model, options.otherLayers ?? options.layers, options.otherData ?? options.data);
      const { metrics, take, rows, sample, p, projections, seed } = options;
      const abort = new AbortController();
      const view = createProgressView();
      const request = { a, b, metrics, take, rows, sample, p, projections, seed, machine: machine(options) };
      let result: SimilarityResult | undefined;
      await withApi((api) =>
        untilInterrupted(
          () => abort.abort(new ForetuneError('cancelled', 'The comparison was stopped; there is no result.')),
          async () => {
            for await (const event of await api.features.similarity(request, { signal: abort.signal })) {
              if (event.type === 'done') result = event.result;
              else view.show(event.progress);
            }
          },
        ),
      ).finally(() => view.stop());
      if (!result) return;
      for (const note of result.notes) log(`warning: ${note}`);
      if (options.json) printJson(result);
      else {
        const counted = (part: SimilarityResult['a']) =>
          `${part.name} on ${part.data} (${part.rows} rows, ${part.utterances} utterances)`;
        print(`${counted(result.a)} against ${counted(result.b)}`);
        print(
          formatTable(
            ['score', 'layer', 'other layer', 'value', ''],
            result.values.map(({ metric, layerA, layerB, value, problem }) => [
              metric,
              layerA,
              layerB,
              value === null ? '' : value.toFixed(4),
              problem ?? '',
            ]),
          ),
        );
      }
    });
}
