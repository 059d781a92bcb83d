import { Command, Option } from '@commander-js/extra-typings';

import type { Api } from '#main/api/router.ts';
import { probeMeasures } from '#main/probing/measures.ts';
import { type MachineSettings } from '#shared/experiment.ts';
import { type LayerSumRow, layerSumRowSchema, type ProbeSpecInput, probeSpecSchema } from '#shared/probe.ts';
import { type ScoreRow, scoreRowSchema } from '#shared/score.ts';

import { finishJob } from '../followJob.ts';
import { collect, count, integer, layers, list, machine, providers, seconds, share, unitOption } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';
import { alignmentChoice, controls, controlsOf, digits, scoreTable } from './score.ts';

export interface ProbeRequest {
  /** A project file, or ":memory:". */
  project: string;
  name?: string;
  spec: ProbeSpecInput;
  machine: MachineSettings;
}

export interface ProbeRows {
  /** Of heads on single layers. */
  rows: ScoreRow[];
  /** Of heads on the weighted sum of all layers. */
  weighted: LayerSumRow[];
}

/** Trains probes in a project and follows the job to its end. */
export async function probe(api: Api, request: ProbeRequest): Promise<ProbeRows> {
  const { project } = await api.projects.open({ path: request.project, mode: 'open-or-create', name: request.name });
  const { job, experiment } = await api.probes.start({
    project,
    name: request.name,
    spec: probeSpecSchema.parse(request.spec),
    machine: request.machine,
  });
  await finishJob(api, { project, job, path: request.project });
  const rows = await api.projects.scores({ project, experiment });
  const weighted = await api.probes.layerSums({ project, experiment });
  return { rows: rows.map((row) => scoreRowSchema.parse(row)), weighted: weighted.map((row) => layerSumRowSchema.parse(row)) };
}

/** Layers of a sum with their weights, the heaviest first; those below one percent are left out. */
function weightsText({ layers: summed, weights }: LayerSumRow): string {
  return summed
    .map((layer, i) => ({ layer, weight: weights[i] }))
    .filter(({ weight }) => weight >= 0.01)
    .sort((a, b) => b.weight - a.weight)
    .map(({ layer, weight }) => `${layer}: ${weight.toFixed(2)}`)
    .join(', ');
}

function weightedTable(rows: readonly LayerSumRow[]): string {
  const ordered = rows.toSorted((a, b) => Number(a.control !== '') - Number(b.control !== ''));
  return formatTable(
    ['label', 'unit', 'metric', 'model', 'value', '95 % interval', 'n', 'd', 'classes', 'control', 'layer weights'],
    ordered.map((row) => [
      row.label,
      row.unit,
      row.metric,
      row.model,
      digits(row.value),
      row.ci_low === null ? '' : `${digits(row.ci_low)} .. ${digits(row.ci_high)}`,
      row.n,
      row.d,
      row.classes,
      row.control,
      weightsText(row),
    ]),
  );
}

const help = `
A probe is a light head on frozen features, as in SUPERB: softmax-weighted sum of layers (or one layer) and a linear layer. Rows tell how
well it does on held-out utterances:
${probeMeasures.map(({ id, direction, meaning }) => `  ${id.padEnd(15)} ${direction} is better: ${meaning}`).join('\n')}
Intervals are bootstraps over held-out utterances. With --kind ctc the label is a transcript, and a CTC head reads its characters.`;

export function probeCommand() {
  return new Command('probe')
    .description('Train light heads on frozen features: every layer by itself, and the learned weighted sum of all.')
    .requiredOption('--model <path>', 'a Hugging Face model folder or an ONNX file; give it once per model', collect)
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest, or a folder with one sub-folder per class')
    .requiredOption(
      '--label <column>',
      'label column, several columns of numbers as one target (f0+energy), a transcript (--kind ctc), or with --alignments a tier; give it once per label',
      collect,
    )
    .addOption(unitOption('utterance'))
    .option(
      '--layers <layers>',
      'all, or numbers and ranges such as 0,4,9-12 (0 is the input of the first block)',
      layers,
      'all' as const,
    )
    .addOption(
      new Option('--kind <kind>', 'how labels are read')
        .choices(['auto', 'classification', 'regression', 'multi-label', 'ctc'] as const)
        .default('auto' as const),
    )
    .addOption(
      new Option('--heads <which>', 'on every layer by itself, on the weighted sum of all, or both')
        .choices(['both', 'layers', 'weighted-sum'] as const)
        .default('both' as const),
    )
    .option('--layer-norm', "layer norm of every frame first (s3prl's --upstream_feature_normalize)", false)
    .addOption(
      new Option('--controls <which>', 'what to probe beside the models: random weights, shuffled labels')
        .choices(controls)
        .default('all' as const),
    )
    .option('--split-column <column>', 'manifest column that says train, dev or test for each row')
    .option('--group <column>', 'column whose values stay in one part, such as the speaker')
    .option(
      '--test <share>',
      'share that is held out, where no column says so (of each class, unless --group keeps together)',
      share,
      0.2,
    )
    .option('--dev <share>', 'share that training is stopped by', share, 0.1)
    .addOption(
      new Option('--tokens <which>', 'ctc only: what the head writes')
        .choices(['characters', 'words'] as const)
        .default('characters' as const),
    )
    .option('--upsampling <n>', 'ctc only: rows of logits for each frame', count, 1)
    .option('--inner <width>', 'ctc only: width of a LeakyReLU layer before the last one', count)
    .option('--epochs <n>', 'ctc only: most epochs', count, 60)
    .option('--learning-rate <rate>', 'ctc only: rate of Adam', share, 0.01)
    .option('--frames <n>', 'frames kept for the unit frame, of all utterances together', count, 20_000)
    .option('--seed <n>', 'seed of parts, controls and heads', integer, 0)
    .option('--resamples <n>', 'draws of held-out utterances behind the interval', count, 200)
    .option('--sample <n>', 'use a random sample of this many utterances', count)
    .option('--max-seconds <s>', 'cut longer utterances into even parts of at most this length', seconds, 30)
    .option('--audio-column <column>', 'manifest column with the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option(
      '--alignments <path>',
      'labels of frames: a folder of alignments, or one CTM, RTTM or CSV for all (see foretune score)',
    )
    .option('--alignment-column <column>', 'labels of frames: manifest column that names the alignment of each row')
    .option('--tier <name>', 'tier of the alignments, by name or number (default: the one named like the label)')
    .addOption(new Option('--fold <n>', "fold TIMIT's 61 phones to 48 or 39 (Lee & Hon)").choices(['48', '39'] as const))
    .option('--without <labels>', 'labels of the alignments to leave out, separated by commas, such as sil,spn', list)
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--project <file>', 'project file to keep results in; an interrupted run goes on from there')
    .option('--name <text>', 'name of the experiment in the project')
    .option('--out <file>', 'write the rows of single layers to this CSV file')
    .option('--weights-out <file>', 'write the weighted sums, a row per layer, to this CSV file')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', help)
    .action(async (options) => {
      const spec: ProbeSpecInput = {
        models: options.model.map((path) => ({ path })),
        data: {
          path: options.data,
          audioColumn: options.audioColumn,
          root: options.audioRoot,
          alignments: alignmentChoice(options),
        },
        settings: {
          labels: [...new Set(options.label)],
          kind: options.kind,
          units: options.unit && [...new Set(options.unit)],
          layers: options.layers,
          heads: options.heads === 'both' ? ['layers', 'weighted-sum'] : [options.heads],
          layerNorm: options.layerNorm,
          split: { column: options.splitColumn, group: options.group, test: options.test, dev: options.dev },
          ctc: {
            tokens: options.tokens,
            upsampling: options.upsampling,
            inner: options.inner ?? null,
            epochs: options.epochs,
            learningRate: options.learningRate,
          },
          frames: options.frames,
          controls: controlsOf(options.controls),
          seed: options.seed,
          resamples: Math.max(20, options.resamples),
          maxSeconds: options.maxSeconds,
          sample: options.sample,
        },
      };
      await withApi(async (api) => {
        const result = await probe(api, {
          project: options.project ?? ':memory:',
          name: options.name,
          spec,
          machine: machine(options),
        });
        if (options.out !== undefined) {
          const { writeScoresCsv } = await import('#main/reports/csv.ts');
          await writeScoresCsv(options.out, result.rows);
          log(`${result.rows.length} rows written to ${options.out}.`);
        }
        if (options.weightsOut !== undefined) {
          const { writeLayerSumsCsv } = await import('#main/reports/layerSums.ts');
          await writeLayerSumsCsv(options.weightsOut, result.weighted);
          log(`${result.weighted.length} weighted sums written to ${options.weightsOut}.`);
        }
        if (options.json) printJson(result);
        else {
          if (result.rows.length > 0) print(scoreTable(result.rows));
          if (result.weighted.length > 0) print(`${result.rows.length > 0 ? '\n' : ''}${weightedTable(result.weighted)}`);
        }
      });
    });
}
