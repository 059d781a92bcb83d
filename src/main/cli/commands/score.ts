import { Command, Option } from '@commander-js/extra-typings';

import type { Api } from '#main/api/router.ts';
import { scoreAxis } from '#main/reports/scoreAxis.ts';
import { ForetuneError } from '#shared/errors.ts';
import {
  type AlignmentChoice,
  type MachineSettings,
  type ScoringSettings,
  type ScoringSpecInput,
  scoringSpecSchema,
} from '#shared/experiment.ts';
import { type ScoreRow, scoreColumns } from '#shared/score.ts';

import { finishJob } from '../followJob.ts';
import { collect, count, integer, labelMetrics, layers, list, machine, providers, seconds, unitOption } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';
import { scoreHelp } from '../scoreHelp.ts';

export interface ScoreRequest {
  /** A project file, or ":memory:". */
  project: string;
  name?: string;
  spec: ScoringSpecInput;
  machine: MachineSettings;
  /** Keep progress and remarks to oneself. */
  quiet?: boolean;
}

/** Scores in a project and follows the job to its end; gives the rows of its experiment. */
export async function score(api: Api, request: ScoreRequest): Promise<ScoreRow[]> {
  const { project } = await api.projects.open({ path: request.project, mode: 'open-or-create', name: request.name });
  const { job, experiment } = await api.jobs.score({
    project,
    name: request.name,
    spec: scoringSpecSchema.parse(request.spec),
    machine: request.machine,
  });
  await finishJob(api, { project, job, path: request.project, quiet: request.quiet });
  const stored = await api.projects.scores({ project, experiment });
  return stored.map((row) => Object.fromEntries(scoreColumns.map((column) => [column, row[column]])) as unknown as ScoreRow);
}

export const digits = (value: number | null): string => (value === null ? '' : value.toFixed(4));

/** The rows for people: best layer of each model marked, controls last. */
export function scoreTable(rows: ScoreRow[]): string {
  const key = ({ model, label, unit, metric, control }: ScoreRow): string => [model, label, unit, metric, control].join('\n');
  const best = new Map<string, number>();
  for (const row of rows) {
    const known = best.get(key(row));
    const better = scoreAxis(row.metric).higherIsBetter ? Math.max : Math.min;
    best.set(key(row), known === undefined ? row.value : better(known, row.value));
  }
  const ordered = rows.toSorted((a, b) => Number(a.control !== '') - Number(b.control !== ''));
  return formatTable(
    ['label', 'unit', 'metric', 'model', 'layer', 'value', '', '95 % interval', 'n', 'd', 'classes', 'control'],
    ordered.map((row) => [
      row.label,
      row.unit,
      row.metric,
      row.model,
      row.layer,
      digits(row.value),
      row.control === '' && row.value === best.get(key(row)) ? '*' : '',
      row.ci_low === null ? '' : `${digits(row.ci_low)} .. ${digits(row.ci_high)}`,
      row.n,
      row.d,
      row.classes,
      row.control,
    ]),
  );
}

export const controls = ['none', 'all', 'random-weights', 'shuffled-labels'] as const;

/** What to run beside the models, by the name of `--controls`. */
export function controlsOf(which: (typeof controls)[number]): ScoringSettings['controls'] {
  if (which === 'none') return [];
  return which === 'all' ? ['random-weights', 'shuffled-labels'] : [which];
}

/** Where labels of frames come from. Throws `usage` for options that contradict each other. */
export function alignmentChoice(options: {
  alignments?: string;
  alignmentColumn?: string;
  tier?: string;
  fold?: AlignmentChoice['fold'];
  without?: string[];
}): AlignmentChoice | undefined {
  const { alignments: path, alignmentColumn: column, tier, fold, without } = options;
  if (path !== undefined && column !== undefined)
    throw new ForetuneError('usage', 'Give --alignments or --alignment-column, not both.');
  if (path === undefined && column === undefined) {
    const needing = Object.entries({ tier, fold, without }).find(([, value]) => value !== undefined);
    if (needing) throw new ForetuneError('usage', `--${needing[0]} needs --alignments or --alignment-column.`);
    return undefined;
  }
  return { path, column, tier, fold, without };
}

export function scoreCommand() {
  return new Command('score')
    .description('Score every layer of one or more models on labelled audio, without fine-tuning.')
    .requiredOption('--model <path>', 'a Hugging Face model folder or an ONNX file; give it once per model', collect)
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest, or a folder with one sub-folder per class')
    .requiredOption(
      '--label <column>',
      'label column, several columns of numbers as one target (f0+energy), or with --alignments a tier ("word (alignment)" where a column has that name); give it once per label',
      collect,
    )
    .addOption(unitOption('frame'))
    .option('--metrics <names>', 'scores, separated by commas, or "all" (list below)', labelMetrics, ['logme'])
    .option(
      '--layers <layers>',
      'all, or numbers and ranges such as 0,4,9-12 (0 is the input of the first block)',
      layers,
      'all' as const,
    )
    .addOption(
      new Option('--kind <kind>', 'how labels are read')
        .choices(['auto', 'classification', 'regression', 'multi-label'] as const)
        .default('auto' as const),
    )
    .addOption(
      new Option('--controls <which>', 'what to score beside the models: random weights, shuffled labels')
        .choices(controls)
        .default('all' as const),
    )
    .option('--centre', 'subtract the feature mean first (LogME has no intercept)', false)
    .option('--seed <n>', 'seed of groups, samples and controls', integer, 0)
    .option('--groups <n>', 'groups of utterances for the 95 % interval', count, 10)
    .addOption(
      new Option('--interval <how>', 'leave each group out in turn, or draw groups with replacement')
        .choices(['jackknife', 'bootstrap'] as const)
        .default('jackknife' as const),
    )
    .option('--resamples <n>', 'draws of the bootstrap', count, 200)
    .option('--rows <n>', 'frames of each layer kept for scores that need samples', count, 2000)
    .option('--sample <n>', 'score a random sample of this many utterances', count)
    .option('--max-seconds <s>', 'cut longer utterances into even parts of at most this length', seconds, 30)
    .option('--audio-column <column>', 'manifest column with the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option(
      '--alignments <path>',
      'labels of frames: a folder of files named like the audio (TextGrid, TIMIT .PHN/.WRD, CTM, RTTM, CSV), or one CTM, RTTM or CSV (file,start,end,label) for all',
    )
    .option('--alignment-column <column>', 'labels of frames: manifest column that names the alignment of each row')
    .option('--tier <name>', 'tier of the alignments, by name or number (default: the one named like the label)')
    .addOption(new Option('--fold <n>', "fold TIMIT's 61 phones to 48 or 39 (Lee & Hon)").choices(['48', '39'] as const))
    .option('--without <labels>', 'labels of the alignments to leave out, separated by commas, such as sil,spn', list)
    .option('--input <name>', 'ONNX only: name of the waveform input')
    .option('--taps <names>', 'ONNX only: names of the hidden states, layer 0 first', list)
    .option('--sampling-rate <hz>', 'ONNX only: sampling rate the model expects', count)
    .option('--normalize', 'ONNX only: give the model zero-mean, unit-variance audio')
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--project <file>', 'project file to keep results in; an interrupted run goes on from there')
    .option('--name <text>', 'name of the experiment in the project')
    .option('--out <file>', 'write the rows to this CSV file')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', scoreHelp(['moments', 'samples', 'source-posteriors']))
    .action(async (options) => {
      const given = options.input ?? options.taps ?? options.samplingRate ?? options.normalize;
      const mapping =
        given === undefined
          ? undefined
          : { input: options.input, layers: options.taps, samplingRate: options.samplingRate, doNormalize: options.normalize };
      const spec: ScoringSpecInput = {
        models: options.model.map((path) => ({ path, mapping: path.endsWith('.onnx') ? mapping : undefined })),
        data: {
          path: options.data,
          audioColumn: options.audioColumn,
          root: options.audioRoot,
          alignments: alignmentChoice(options),
        },
        settings: {
          labels: [...new Set(options.label)],
          units: options.unit && [...new Set(options.unit)],
          metrics: options.metrics,
          layers: options.layers,
          kind: options.kind,
          controls: controlsOf(options.controls),
          seed: options.seed,
          groups: Math.max(2, options.groups),
          resampling: options.interval,
          resamples: options.resamples,
          rows: options.rows,
          maxSeconds: options.maxSeconds,
          centre: options.centre,
          sample: options.sample,
        },
      };
      await withApi(async (api) => {
        const rows = await score(api, {
          project: options.project ?? ':memory:',
          name: options.name,
          spec,
          machine: machine(options),
        });
        if (options.out !== undefined) {
          const { writeScoresCsv } = await import('#main/reports/csv.ts');
          await writeScoresCsv(options.out, rows);
          log(`${rows.length} rows written to ${options.out}.`);
        }
        if (options.json) printJson({ rows });
        else print(scoreTable(rows));
      });
    });
}
