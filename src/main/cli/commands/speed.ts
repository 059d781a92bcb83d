import { Command, InvalidArgumentError } from '@commander-js/extra-typings';

import type { Api } from '#main/api/router.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings } from '#shared/experiment.ts';
import {
  headKindSchema,
  speedColumns,
  type SpeedPoint,
  type SpeedRow,
  type SpeedSpecInput,
  speedSpecSchema,
  type StrategyId,
  strategyIds,
  strategySchema,
} from '#shared/speed.ts';

import { finishJob } from '../followJob.ts';
import { count, integer, layers, list, machine, providers, seconds } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

/** Runs a sweep in a project and follows it to its end; gives its settings. */
async function sweep(
  api: Api,
  request: { project: string; spec: SpeedSpecInput; machine: MachineSettings; again: boolean },
): Promise<{ project: string; run: number; points: SpeedPoint[] }> {
  const { project } = await api.projects.open({ path: request.project, mode: 'open-or-create' });
  const spec = speedSpecSchema.parse(request.spec);
  const { job, run } = await api.speed.start({ project, spec, machine: request.machine, again: request.again });
  await finishJob(api, { project, job, path: request.project });
  return { project, run, points: await api.speed.points({ project, run }) };
}

const rowOf = (point: SpeedPoint): SpeedRow =>
  Object.fromEntries(speedColumns.map((column) => [column, point[column]])) as unknown as SpeedRow;

/** The rows for people. */
function speedTable(rows: readonly SpeedRow[]): string {
  const [full] = rows;
  const share = (value: number | null, of: number | null): string =>
    value === null || of === null || of === 0 ? '' : `${((100 * value) / of).toFixed(0)} %`;
  return formatTable(
    ['strategy', 'setting', 'decoding', 'WER', 'CER', 'GMACs', 'of full', 'seconds', 'of full', 'RTF', 'mean exit', 'MB'],
    rows.map((row) => [
      row.strategy,
      row.setting,
      row.decoding,
      `${(100 * row.wer).toFixed(2)} %`,
      `${(100 * row.cer).toFixed(2)} %`,
      (row.macs / 1e9).toFixed(3),
      share(row.macs, full.macs),
      row.seconds === null ? '' : row.seconds.toPrecision(3),
      share(row.seconds, full.seconds),
      row.rtf === null ? '' : row.rtf.toPrecision(3),
      row.mean_exit_layer.toFixed(2),
      (row.memory / 1e6).toFixed(1),
    ]),
  );
}

function strategies(value: string): StrategyId[] {
  return [...new Set(list(value))].map((name) => {
    const known = strategySchema.safeParse(name);
    if (!known.success) throw new InvalidArgumentError(`There is no strategy "${name}"; there are ${strategyIds.join(', ')}.`);
    return known.data;
  });
}

function heads(value: string) {
  return list(value).map((name) => {
    const known = headKindSchema.safeParse(name);
    if (!known.success) throw new InvalidArgumentError(`Give ${headKindSchema.options.join(', ')}.`);
    return known.data;
  });
}

function thresholds(value: string): 'auto' | 'published' | number[] {
  if (value === 'auto' || value === 'published') return value;
  return list(value).map((part) => {
    const number = Number(part);
    if (!Number.isFinite(number)) throw new InvalidArgumentError('Give "auto", "published", or numbers separated by commas.');
    return number;
  });
}

function factors(value: string): number[] {
  return list(value).map((part) => {
    const factor = integer(part);
    if (factor < 1 || factor > 8) throw new InvalidArgumentError('Factors are whole numbers from 1 to 8.');
    return factor;
  });
}

function kinds(value: string) {
  return list(value).map((name) => {
    const known = (['decimation', 'convolution', 'average', 'features'] as const).find((kind) => kind === name);
    if (known === undefined) throw new InvalidArgumentError('Give decimation, convolution, average or features.');
    return known;
  });
}

function precisions(value: string) {
  return list(value).map((name) => {
    const known = (['int8', 'float16'] as const).find((precision) => precision === name);
    if (known === undefined) throw new InvalidArgumentError('Give int8 or float16.');
    return known;
  });
}

/** Key of the setting that is named, or recommended; the full model's where neither is. */
function chooseSetting(
  points: readonly SpeedPoint[],
  named: string | undefined,
  recommendation: { point: string | null; sentence: string } | undefined,
): string {
  if (named !== undefined) {
    const found = points.find(({ setting }) => setting === named);
    if (!found)
      throw new ForetuneError(
        'not-found',
        `No setting is called "${named}"; there are ${points.map(({ setting }) => `"${setting}"`).join(', ')}.`,
      );
    return found.key;
  }
  if (!recommendation) return points[0].key;
  if (recommendation.point === null) throw new ForetuneError('not-found', recommendation.sentence);
  return recommendation.point;
}

function takeFormat(value: string): 'onnx' | 'huggingface' {
  if (value !== 'onnx' && value !== 'huggingface') throw new InvalidArgumentError('Give onnx or huggingface.');
  return value;
}

/** "5,6" once per set of blocks. */
function blockSet(value: string, previous: number[][] = []): number[][] {
  const set = layers(value);
  if (set === 'all') throw new InvalidArgumentError('Give the numbers of blocks, such as 4,5.');
  return [...previous, set];
}

function wish(value: string): number {
  const number = Number(value);
  if (!(number >= 0)) throw new InvalidArgumentError('Give a number of at least 0.');
  return number;
}

const help = `
Every row is the whole data set under one setting; "full" is the untouched model. macs are multiply-accumulate operations, mean over
utterances; seconds are for all of the audio; mean_exit_layer is the layer of the last block that was run. Heads that are not the model's own
are trained on --train, or cross-fitted on the data itself: no utterance is decoded by a head that saw it.`;

export function speedCommand() {
  return new Command('speed')
    .description('Try ways to make a fine-tuned recogniser faster: error rate against operations against seconds.')
    .requiredOption('--model <dir>', 'a Hugging Face model folder with a CTC head')
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest of transcribed audio')
    .requiredOption('--text <column>', 'column with the transcripts')
    .option('--strategies <names>', `what to try, separated by commas: ${strategyIds.join(', ')}`, strategies, [
      'early-exit',
      'downsampling',
      'layer-removal',
    ] as StrategyId[])
    .option('--heads <kinds>', "characters from the model's own head (final), heads trained here, or imported", heads)
    .option('--imported-heads <file>', 'safetensors file with heads for --heads imported')
    .option('--exits <layers>', 'layers at which to leave early (default: from the middle on)', layers)
    .option('--entropy <thresholds>', 'leave where the entropy is below: auto, published, or numbers (nats)', thresholds)
    .option('--similarity <thresholds>', 'leave where layers are more similar: auto, published, or numbers', thresholds)
    .option('--batch <n>', 'utterances that leave together (published: 4)', count, 1)
    .option('--factors <list>', 'factors of downsampling', factors)
    .option('--kinds <names>', 'kinds of downsampling: decimation, convolution, average, features', kinds)
    .option('--upsampling <n>', 'rows of logits for each frame of heads trained for downsampling', count, 2)
    .option('--kernel <file>', 'safetensors or npy file with the taps of a learned convolution')
    .option('--keep <list>', 'numbers of first blocks to keep', layers)
    .option('--drop <blocks>', 'a set of blocks to leave out, such as 4,5; may be given several times', blockSet)
    .option('--precisions <names>', 'of the strategy quantised: int8, float16', precisions)
    .option('--train <manifest>', 'transcribed audio to train heads on (default: the data itself, cross-fitted)')
    .option('--train-text <column>', 'its column with transcripts (default: as --text)')
    .option('--folds <n>', 'parts of the data for cross-fitting', count, 4)
    .option('--lm <file>', 'ARPA language model, plain or gzip: also decode with a beam search')
    .option('--alpha <x>', 'weight of the language model', Number)
    .option('--beta <x>', 'reward for each word', Number)
    .option('--beam <n>', 'prefixes kept', count)
    .option('--repetitions <n>', 'timed runs of every setting', count, 3)
    .option('--timing-seconds <s>', 'audio that is timed; a sample where there is more', seconds, 120)
    .option('--no-timing', 'measure no seconds')
    .option('--again', 'time a finished sweep anew', false)
    .option('--seed <n>', 'seed of folds, samples and intervals', integer, 0)
    .option('--sample <n>', 'try a random sample of this many utterances', count)
    .option('--max-seconds <s>', 'cut longer utterances into even parts of at most this length', seconds, 30)
    .option('--audio-column <column>', 'manifest column with the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--project <file>', 'keep the results in this project file; an interrupted run goes on from there')
    .option(
      '--max-wer-increase <points>',
      'recommend the fastest setting with at most so many points more WER (in percent)',
      wish,
    )
    .option('--min-saved <percent>', 'recommend the most accurate setting that saves at least so much time', wish)
    .option('--take <dir>', 'write a setting as ONNX graphs into this new folder: the recommended one, or that of --setting')
    .option('--setting <text>', 'the setting to write, as the table calls it (default: the recommended one, or the full model)')
    .option('--take-format <format>', 'onnx, or huggingface for layer removal', takeFormat, 'onnx' as const)
    .option('--out <file>', 'write the rows as CSV')
    .option('--pdf <file>', 'write a report with the Pareto charts, the exits and all settings')
    .option('--latex <file>', 'write the tables for a paper')
    .option('--svg <dir>', 'write the figures into this folder')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', help)
    .action(async (options) => {
      const grid = (value: 'auto' | 'published' | number[] | undefined) => (Array.isArray(value) ? value : undefined);
      const named = [options.entropy, options.similarity].find((value) => typeof value === 'string');
      const [entropy, similarity] = [grid(options.entropy), grid(options.similarity)];
      const rules = [
        ...(entropy === undefined && similarity !== undefined && options.entropy === undefined ? [] : ['entropy' as const]),
        ...(similarity === undefined && entropy !== undefined && options.similarity === undefined ? [] : ['similarity' as const]),
      ];
      if ((entropy !== undefined || similarity !== undefined) && named !== undefined)
        throw new ForetuneError('usage', 'Give numbers for both --entropy and --similarity, or for one of them alone.');
      const spec: SpeedSpecInput = {
        model: { path: options.model },
        data: { path: options.data, audioColumn: options.audioColumn, root: options.audioRoot },
        text: options.text,
        settings: {
          strategies: options.strategies,
          heads: options.heads ?? (options.importedHeads === undefined ? undefined : ['final', 'imported']),
          importedHeads: options.importedHeads,
          earlyExit: {
            layers: options.exits === undefined || options.exits === 'all' ? undefined : options.exits,
            rules,
            thresholds: (entropy ?? similarity) ? { entropy: entropy ?? [], similarity: similarity ?? [] } : named,
            batch: options.batch,
          },
          downsampling: {
            kinds: options.kinds,
            factors: options.factors,
            upsampling: options.upsampling,
            kernel: options.kernel,
          },
          quantised: { precisions: options.precisions },
          // Who names sets of blocks to drop wants those, not also the usual depths.
          layerRemoval: {
            keep: options.keep === 'all' ? undefined : (options.keep ?? (options.drop ? [] : undefined)),
            drop: options.drop,
          },
          training: {
            data: options.train === undefined ? undefined : { path: options.train },
            text: options.trainText,
            folds: options.folds,
          },
          lm:
            options.lm === undefined
              ? undefined
              : { path: options.lm, alpha: options.alpha, beta: options.beta, width: options.beam },
          seed: options.seed,
          sample: options.sample,
          maxSeconds: options.maxSeconds,
        },
        timing: options.timing ? { repetitions: options.repetitions, audioSeconds: options.timingSeconds } : null,
      };
      await withApi(async (api) => {
        const { project, run, points } = await sweep(api, {
          project: options.project ?? ':memory:',
          spec,
          machine: machine(options),
          again: options.again,
        });
        const rows = points.map(rowOf);
        if (options.out) {
          const { writeSpeedCsv } = await import('#main/reports/speedCsv.ts');
          await writeSpeedCsv(options.out, rows);
        }
        const ask = (given: number | undefined, make: (value: number) => Parameters<Api['speed']['recommend']>[0]['wish']) =>
          given === undefined
            ? []
            : [api.speed.recommend({ project, run, wish: make(given / 100), cost: options.timing ? 'seconds' : 'macs' })];
        const recommendations = await Promise.all([
          ...ask(options.maxWerIncrease, (most) => ({ kind: 'error', most })),
          ...ask(options.minSaved, (least) => ({ kind: 'saving', least })),
        ]);
        const { pdf, latex, svg } = options;
        if (pdf ?? latex ?? svg)
          for (const file of (await api.speed.report({ project, run, pdf, latex, svg })).files) log(`wrote ${file}`);
        if (options.take) {
          const chosen = chooseSetting(points, options.setting, recommendations[0]);
          const { folder } = await api.speed.take({
            ...{ project, run, point: chosen, out: options.take, format: options.takeFormat },
          });
          log(`wrote ${folder}`);
        }
        if (options.json) printJson(recommendations.length > 0 ? { rows, recommendations } : { rows });
        else {
          print(speedTable(rows));
          for (const { sentence } of recommendations) print(sentence);
        }
        if (options.out) log(`wrote ${options.out}`);
      });
    });
}
