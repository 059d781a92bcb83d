import { Command, Option } from '@commander-js/extra-typings';

import { type Judgement, layerRules, layerRuleTexts, type MemberStanding } from '#main/merging/judgement.ts';
import { mergeMethodIds } from '#main/merging/registry.ts';
import { usualTolerance } from '#main/reports/judgement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { axisText } from '#shared/figures/axis.ts';
import { type ScoringSettingsInput } from '#shared/experiment.ts';
import { probeKindSchema, type ProbeSettingsInput } from '#shared/probe.ts';
import { unitSchema } from '#shared/score.ts';

import {
  collect,
  count,
  integer,
  layers,
  list,
  machine,
  methodNames,
  metricList,
  number,
  providers,
  reportTargets,
  seconds,
  share,
  sweep,
} from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';
import { finishJob } from '../followJob.ts';

/** Speech-FT's own sweep, in finer steps. */
const usualAlphas = [0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

const jsonHelp = `
Members are judged by a transferability score (--metrics), or with --measure probe by a linear head on frozen features, trained and held out on
the same utterances for every member (see foretune probe): accuracy for classes, R² for numbers, F1 for several labels, with --kind ctc the
token error rate, of which lower is better. By default a model then stands by the learned weighted sum of its layers.
Several methods with commas are judged in one sweep, each at every alpha; members that are one of the models as it is are left to that.

JSON: target, others[], measure (score or probe), metric, metricName, axes (per task: name, unit, higherIsBetter), unit, over (sum, best, mean or
  last), scales (per task: chance or spread), recommended (index), bestMerge (index of the best that is a merge), reason,
  lines[] (method, members[]: indices by alpha), merges[] (per member how it is made; null for the pre-trained model), and
  members[]  id, role (base, merge, finetuned), method, alpha, target (share; 1 is the pre-trained model, 0 chance), others (mean share of the
             other tasks), targetLow, targetHigh, othersLow, othersHigh (95 % intervals), onFront, loses, and
             tasks[]  task, layer, value, low, high, share
Members are scored without being written; "foretune merge --alpha" writes the one you take.`;

/** Options that mean something to one kind of measure only. */
const ofScores = ['metrics', 'groups'] as const;
const ofProbes = ['kind', 'epochs', 'splitColumn', 'group', 'test', 'dev', 'layerNorm', 'resamples'] as const;
const flag = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const digits = (value: number | null): string => (value === null ? '' : value.toFixed(4));
const percent = (share: number | null): string => (share === null ? '' : (100 * share).toFixed(1));

function standingTable({ members, recommended, bestMerge, target, others }: Judgement): string {
  const tasks = [target, ...others];
  const hasLayers = members.some((member) => member.tasks.some(({ layer }) => layer !== null));
  const of = (member: MemberStanding, task: string) => member.tasks.find((one) => one.task === task)!;
  return formatTable(
    [
      'model',
      'alpha',
      ...tasks.flatMap((task) => (hasLayers ? [task, 'layer'] : [task])),
      `${target} %`,
      'others %',
      'front',
      '',
    ],
    members.map((member, index) => [
      member.id,
      member.alpha,
      ...tasks.flatMap((task) => {
        const { value, layer } = of(member, task);
        return hasLayers ? [digits(value), layer ?? ''] : [digits(value)];
      }),
      percent(member.target),
      percent(member.others),
      member.onFront ? 'front' : '',
      index === recommended ? '<- take this' : index === bestMerge ? '<- the best merge' : '',
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
    .option(
      '--method <name>',
      `how to merge: ${mergeMethodIds().join(', ')}; several with commas are judged in one sweep`,
      methodNames,
      ['linear'],
    )
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
      new Option(
        '--over <rule>',
        'what stands for the layers: the best one, their mean, the last, or of probes the learned weighted sum (default: best; of probes sum)',
      ).choices(layerRules),
    )
    .option(
      '--tolerance <share>',
      "share of the pre-trained model's lead over chance that may be given up on the other tasks",
      number,
      usualTolerance,
    )
    .addOption(
      new Option('--measure <which>', 'what members are judged by')
        .choices(['score', 'probe'] as const)
        .default('score' as const),
    )
    .addOption(
      new Option('--unit <unit>', 'what counts as a sample (default: frame; of probes utterance)').choices(unitSchema.options),
    )
    .option('--metrics <name>', 'scores only: the score to judge by (default: logme)', metricList)
    .addOption(new Option('--kind <kind>', 'probes only: how labels are read (default: auto)').choices(probeKindSchema.options))
    .option('--epochs <n>', 'probes only, --kind ctc: most epochs (default: 60)', count)
    .option('--split-column <column>', 'probes only: manifest column that says train, dev or test for each row')
    .option('--group <column>', 'probes only: column whose values stay in one part, such as the speaker')
    .option('--test <share>', 'probes only: share that is held out, where no column says so (default: 0.2)', share)
    .option('--dev <share>', 'probes only: share that training is stopped by (default: 0.1)', share)
    .option('--layer-norm', "probes only: layer norm of every frame first (s3prl's --upstream_feature_normalize)")
    .option('--resamples <n>', 'probes only: draws of held-out utterances behind the intervals (default: 200)', count)
    .option('--layers <layers>', 'all, or numbers and ranges such as 0,4,9-12', layers, 'all' as const)
    .option('--audio-column <name>', 'manifest column that holds the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option('--sample <n>', 'use a seeded sample of n utterances', count)
    .option('--groups <n>', 'scores only: groups of utterances left out in turn for the intervals (default: 10)', count)
    .option('--seed <n>', 'seed of sampling, groups or parts, controls and DARE', integer, 0)
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
      const isProbe = options.measure === 'probe';
      const idle = (isProbe ? ofScores : ofProbes).find((name) => options[name] !== undefined);
      if (idle !== undefined)
        throw new ForetuneError(
          'usage',
          `${flag(idle)} is for ${isProbe ? 'scores' : 'probes'}, but --measure is ${options.measure}; leave one of them out.`,
        );
      if (over === 'sum' && !isProbe)
        throw new ForetuneError(
          'usage',
          'A learned weighted sum of layers is probed, not scored: --over sum needs --measure probe.',
        );
      if (options.metrics !== undefined && options.metrics.length !== 1)
        throw new ForetuneError('usage', 'Members are judged by one score; give --metrics one name.');
      if (target !== undefined && !label.includes(target))
        throw new ForetuneError('usage', `The target "${target}" is none of the labels ${label.join(', ')}.`);
      const values = [...new Set(options.sweep ?? alphas ?? usualAlphas)];
      // A sum needs two layers; of a single one the head on it is all there is.
      const rule = over ?? (isProbe && (options.layers === 'all' || options.layers.length > 1) ? 'sum' : 'best');
      const [method, ...alsoBy] = options.method;
      const common = {
        labels: [...new Set(label)],
        layers: options.layers,
        seed: options.seed,
        maxSeconds: options.maxSeconds,
        sample: options.sample,
      };
      const { splitColumn: column, group, test, dev } = options;
      const measure = isProbe
        ? {
            probing: {
              ...common,
              units: [options.unit ?? 'utterance'],
              kind: options.kind,
              heads: [rule === 'sum' ? 'weighted-sum' : 'layers'],
              layerNorm: options.layerNorm,
              split: { column, group, test, dev },
              ctc: { epochs: options.epochs },
              // Chance is what shares are counted from.
              controls: ['shuffled-labels'],
              resamples: options.resamples === undefined ? undefined : Math.max(20, options.resamples),
            } satisfies ProbeSettingsInput,
          }
        : {
            scoring: {
              ...common,
              units: [options.unit ?? 'frame'],
              metrics: options.metrics ?? ['logme'],
              groups: options.groups === undefined ? undefined : Math.max(2, options.groups),
            } satisfies ScoringSettingsInput,
          };
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
          method,
          alsoBy,
          alphas: values.map((value) => ({ value })),
          settings: { density: options.density, scope: options.scope, rescale: options.rescale, seed: options.seed },
          data: { path: options.data, audioColumn: options.audioColumn, root: options.audioRoot },
          ...measure,
          machine: machine(options),
        });
        await finishJob(api, { project, job, path: options.project ?? ':memory:' });
        const choice = { project, experiment, target: target ?? label[0], over: rule, tolerance: options.tolerance };
        const targets = reportTargets(options);
        if (targets)
          for (const file of (await api.weights.report({ about: { kind: 'judgement', ...choice }, ...targets })).files) log(file);
        return api.weights.judgement(choice);
      });
      if (!result) throw new ForetuneError('invalid-data', 'Nothing was scored.');
      if (options.json) printJson(result);
      else {
        const { axes, unit } = result;
        print([result.target, ...result.others].map((task) => `${task}: ${axisText(axes[task])}`).join('\n'));
        print(`by ${unit}; ${layerRuleTexts[result.over]}\n`);
        print(standingTable(result));
        print(`\n${result.reason}`);
      }
    });
}
