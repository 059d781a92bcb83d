import { Command, Option } from '@commander-js/extra-typings';

import { type Judgement, type MemberStanding, layerRules } from '#main/merging/judgement.ts';
import { mergeMethodIds } from '#main/merging/registry.ts';
import { usualTolerance } from '#main/reports/judgement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { unitSchema } from '#shared/score.ts';

import {
  collect,
  count,
  integer,
  layers,
  list,
  machine,
  metricList,
  number,
  providers,
  reportTargets,
  seconds,
  sweep,
} from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { untilInterrupted, withApi } from '../run.ts';
import { followJob } from '../followJob.ts';

/** Speech-FT's own sweep, in finer steps. */
const usualAlphas = [0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

const jsonHelp = `
JSON: target, others[], over, metric, unit, scales (per task: chance or spread), recommended (index), reason, and
  members[]  id, role (base, merge, finetuned), method, alpha, target (share; 1 is the pre-trained model, 0 chance), others (mean share of the
             other tasks), targetLow, targetHigh, othersLow, othersHigh (95 % intervals), onFront, loses, and
             tasks[]  task, layer, value, low, high, share
Members are scored without being written; "foretune merge --alpha" writes the one you take.`;

const digits = (value: number | null): string => (value === null ? '' : value.toFixed(4));
const percent = (share: number | null): string => (share === null ? '' : (100 * share).toFixed(1));

function standingTable({ members, recommended, target, others }: Judgement): string {
  const tasks = [target, ...others];
  const of = (member: MemberStanding, task: string) => member.tasks.find((one) => one.task === task)!;
  return formatTable(
    ['model', 'alpha', ...tasks.flatMap((task) => [task, 'layer']), `${target} %`, 'others %', 'front', ''],
    members.map((member, index) => [
      member.id,
      member.alpha,
      ...tasks.flatMap((task) => [digits(of(member, task).value), of(member, task).layer ?? '']),
      percent(member.target),
      percent(member.others),
      member.onFront ? 'front' : '',
      index === recommended ? '<- take this' : '',
    ]),
  );
}

export function judgeCommand() {
  return new Command('judge')
    .description('Judge a sweep of merges on labelled audio without writing them, and recommend an alpha.')
    .requiredOption('--base <dir>', 'the pre-trained model: a Hugging Face folder')
    .requiredOption('--finetuned <path>', 'a model fine-tuned from it; give it once per model', collect)
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest, or a folder with one sub-folder per class')
    .requiredOption('--label <column>', 'label column; give it once per task, the target first', collect)
    .option('--target <label>', 'the task to gain on (default: the first label)')
    .option('--alphas <list>', 'such as 0,0.25,0.5 (default: 0, 0.1, 0.2, 0.25, 0.3 ... 1)', (text: string) =>
      list(text).map(number),
    )
    .option('--sweep <n|from:to:step>', 'instead: n members evenly from 0 to 1, or such as 0:1:0.05', sweep)
    .addOption(new Option('--method <name>', 'how to merge').choices(mergeMethodIds()).default('linear'))
    .option('--density <share>', 'share of changes that TIES and DARE keep', number, 0.2)
    .addOption(
      new Option('--scope <scope>', 'TIES: trim over the whole model or by tensor')
        .choices(['global', 'tensor'] as const)
        .default('global' as const),
    )
    .addOption(
      new Option('--rescale <rule>', 'DARE: 1 / density, or the same sum of magnitudes')
        .choices(['bernoulli', 'l1'] as const)
        .default('bernoulli' as const),
    )
    .addOption(
      new Option('--over <rule>', 'what stands for the layers: the best one, their mean, the last')
        .choices(layerRules)
        .default('best' as const),
    )
    .option(
      '--tolerance <share>',
      "share of the pre-trained model's lead over chance that may be given up on the other tasks",
      number,
      usualTolerance,
    )
    .addOption(new Option('--unit <unit>', 'what counts as a sample').choices(unitSchema.options).default('frame' as const))
    .option('--metrics <name>', 'the score to judge by', metricList, ['logme'])
    .option('--layers <layers>', 'all, or numbers and ranges such as 0,4,9-12', layers, 'all' as const)
    .option('--audio-column <name>', 'manifest column that holds the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option('--sample <n>', 'score a seeded sample of n utterances', count)
    .option('--groups <n>', 'groups of utterances left out in turn for the intervals', count, 10)
    .option('--seed <n>', 'seed of sampling, groups, controls and DARE', integer, 0)
    .option('--max-seconds <s>', 'longer utterances are cut into even parts', seconds, 30)
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--project <file>', 'project file to keep results in; an interrupted run goes on from there')
    .option('--name <text>', 'name of the experiment in the project')
    .option('--pdf <file>', 'report with heatmaps and tables')
    .option('--csv <dir>', 'folder for tidy CSV files')
    .option('--latex <file>', 'tables for a paper (booktabs)')
    .option('--svg <dir>', 'folder for the figures')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', jsonHelp)
    .action(async (options) => {
      const { alphas, target, label, over } = options;
      if (alphas !== undefined && options.sweep !== undefined)
        throw new ForetuneError('usage', 'Give either --alphas or --sweep, not both.');
      if (options.metrics.length !== 1)
        throw new ForetuneError('usage', 'Members are judged by one score; give --metrics one name.');
      if (target !== undefined && !label.includes(target))
        throw new ForetuneError('usage', `The target "${target}" is none of the labels ${label.join(', ')}.`);
      const values = [...new Set(options.sweep ?? alphas ?? usualAlphas)];
      const result = await withApi(async (api) => {
        const { project } = await api.projects.open({
          path: options.project ?? ':memory:',
          mode: 'open-or-create',
          name: options.name,
        });
        const { job, experiment } = await api.weights.judge({
          project,
          name: options.name,
          base: options.base,
          finetuned: options.finetuned,
          method: options.method,
          alphas: values.map((value) => ({ value })),
          settings: { density: options.density, scope: options.scope, rescale: options.rescale, seed: options.seed },
          data: { path: options.data, audioColumn: options.audioColumn, root: options.audioRoot },
          scoring: {
            labels: [...new Set(label)],
            units: [options.unit],
            metrics: options.metrics,
            layers: options.layers,
            seed: options.seed,
            groups: Math.max(2, options.groups),
            maxSeconds: options.maxSeconds,
            sample: options.sample,
          },
          machine: machine(options),
        });
        await untilInterrupted(
          () => void api.jobs.cancel({ project, job }),
          () => followJob(api, { project, job, file: options.project }),
        );
        const choice = { project, experiment, target: target ?? label[0], over, tolerance: options.tolerance };
        const targets = reportTargets(options);
        if (targets)
          for (const file of (await api.weights.report({ about: { kind: 'judgement', ...choice }, ...targets })).files) log(file);
        return api.weights.judgement(choice);
      });
      if (!result) throw new ForetuneError('invalid-data', 'Nothing was scored.');
      if (options.json) printJson(result);
      else {
        print(standingTable(result));
        print(`\n${result.reason}`);
      }
    });
}
