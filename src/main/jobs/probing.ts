import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { type OpenReply, sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { buildEncoder } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { penalties } from '#main/probing/linearProbe.ts';
import { type RowTargets } from '#main/probing/losses.ts';
import { type Project } from '#main/project/project.ts';
import { type LabelColumn } from '#main/tasks/labels.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type MachineSettings } from '#shared/experiment.ts';
import { type LayerSumEntry } from '#shared/probe.ts';
import { type ScoreEntry } from '#shared/project.ts';
import { type Unit } from '#shared/score.ts';

import { KeptAudio } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { type JobReport } from './events.ts';
import { Pace } from './pace.ts';
import { collectFeatures, featureFolder, type FrameFiles, type ProbeFeatures, type SharedRows } from './probeFeatures.ts';
import { columnName, type PreparedProbing, type ProbedColumn } from './probePrepare.ts';
import { type ProbeResult } from './probeTasks.ts';
import { isFirstOf, keepDataset } from './scoring.ts';
import { probeVersion, versions } from './versions.ts';

export interface ProbeRun {
  engine: Engine;
  project: Project;
  experimentId: number;
  jobId: number;
  machine: MachineSettings;
  report: (report: JobReport) => void;
  signal: AbortSignal;
}

/** A head to train: on one layer, or on the weighted sum of all that are probed. */
interface Head {
  column: number;
  unit: Unit;
  /** Null for the weighted sum. */
  layer: number | null;
}

/** What a head gave, or why it could not be had. */
type Outcome = { result: ProbeResult } | { refusal: string };

interface Pass {
  model: EncoderModel;
  weights: 'own' | 'random';
  key: string;
  columns: ProbedColumn[];
  pace: Pace;
  kept: KeptAudio;
}

/** A head counts as much as this share of the utterances in the progress told. */
const headShare = 0.05;

const passName = ({ model, weights }: Pick<Pass, 'model' | 'weights'>): string =>
  weights === 'own' ? model.name : `${model.name}, random weights`;

function layersOf({ spec }: PreparedProbing, model: EncoderModel): number[] {
  const { layers } = spec.settings;
  return layers === 'all' ? Array.from({ length: model.layers }, (_, layer) => layer) : [...layers];
}

/** Heads of a pass, the costliest first so that none is waited for alone. */
function headsOf({ spec }: PreparedProbing, layers: readonly number[], columns: readonly ProbedColumn[]): Head[] {
  const { heads, kind, units } = spec.settings;
  const wanted: (number | null)[] = [];
  if (heads.includes('weighted-sum') && layers.length > 1) wanted.push(null);
  if (heads.includes('layers')) wanted.push(...layers);
  const each: Unit[] = kind === 'ctc' ? ['frame'] : [...new Set(units)];
  return wanted.flatMap((layer) => each.flatMap((unit) => columns.map((_, column) => ({ column, unit, layer }))));
}

/** Runs prepared probes: one pass over the audio per model (and per random-weights control), then all its heads in the pool. */
export async function runProbing(prepared: PreparedProbing, run: ProbeRun): Promise<void> {
  const { project, jobId, signal } = run;
  const { settings } = prepared.spec;
  const { split } = prepared;
  const perPass = split.train.length + split.dev.length + split.test.length;
  const headSteps = Math.max(1, Math.round(perPass * headShare));
  const drawn = new Set<string>();
  const plans = prepared.models.flatMap((model) => {
    const weights =
      settings.controls.includes('random-weights') && isFirstOf(model, drawn) ? (['own', 'random'] as const) : (['own'] as const);
    return weights.map((which) => {
      const columns = which === 'own' ? prepared.columns : prepared.columns.filter(({ control }) => control === '');
      const heads = headsOf(prepared, layersOf(prepared, model), columns);
      if (heads.length === 0)
        throw new ForetuneError(
          'usage',
          `A weighted sum needs at least two layers; of ${model.name} one is asked for. Probe it by itself (heads: layers).`,
        );
      return { model, weights: which, columns, heads, key: `${model.fingerprint}/${which}` };
    });
  });
  const total = plans.reduce((sum, { heads }) => sum + perPass + heads.length * headSteps, 0);
  const pace = new Pace(total, (progress) => run.report({ type: 'progress', progress }));
  const kept = new KeptAudio();
  keepDataset(prepared, project, null);
  for (const { heads, ...plan } of plans) {
    signal.throwIfAborted();
    if (project.committedUnits(jobId).has(`${plan.key}/probed`)) pace.skip(perPass + heads.length * headSteps);
    else await runPass(prepared, run, { ...plan, pace, kept }, heads, headSteps);
  }
}

async function runPass(prepared: PreparedProbing, run: ProbeRun, pass: Pass, heads: Head[], headSteps: number): Promise<void> {
  const folder = featureFolder(run.engine.cacheDir, `${run.jobId}-${prepared.hash.slice(0, 16)}`);
  try {
    const { opened, features } = await listen(prepared, run, pass, folder);
    const outcomes = await trainHeads(prepared, run, pass, { opened, features, heads, headSteps });
    save(prepared, run, pass, { opened, features, heads, outcomes });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The pass over the audio. */
async function listen(
  prepared: PreparedProbing,
  run: ProbeRun,
  pass: Pass,
  folder: string,
): Promise<{ opened: OpenReply; features: ProbeFeatures }> {
  const { settings } = prepared.spec;
  const { model, weights, pace } = pass;
  const { thread, giveBack } = await run.engine.borrowInference(run.signal, () => pace.doing('waiting for another run'));
  try {
    pace.doing(passName(pass));
    const built = await buildEncoder(model, {
      cacheDir: join(run.engine.cacheDir, 'graphs'),
      weights: weights === 'own' ? 'own' : { randomSeed: settings.seed },
      layers: settings.layers === 'all' ? undefined : settings.layers,
    });
    try {
      const opened = await thread.call('open', {
        encoder: sessionOf(built),
        settings: settingsFor(model, run.machine),
        rule: waveformRule(model, settings.maxSeconds),
      });
      const say = (message: string): void => {
        if (weights === 'own') run.report({ type: 'log', level: 'info', message: `${model.name}: ${message}` });
      };
      if (weights === 'own' && model === prepared.models[0])
        for (const message of opened.fallbacks) run.report({ type: 'log', level: 'info', message });
      say(`${opened.layers.length} layers of width ${opened.width} on ${opened.provider}.`);
      const { engine, signal } = run;
      const { columns, kept } = pass;
      const rate = model.preprocessing.samplingRate;
      const features = await collectFeatures(thread, prepared, {
        engine,
        signal,
        pace,
        kept,
        opened,
        rate,
        columns,
        folder,
        say,
      });
      if (weights === 'own') {
        for (const { file, message } of features.skipped)
          run.report({ type: 'log', level: 'warning', message: message.includes(file) ? message : `${file} ${message}` });
      }
      return { opened, features };
    } finally {
      await thread.call('close', undefined);
      await built.dispose();
    }
  } finally {
    giveBack();
  }
}

/** Targets of rows, from the labels of their utterances or, of stretches, from what each frame was found to be. */
function targetsOf({ kind, k, values }: LabelColumn, rows: SharedRows, column: number): RowTargets {
  const aligned = rows.classes.get(column);
  const { utterances, n } = rows;
  if (kind === 'classification') {
    const classes = aligned ?? Int32Array.from(utterances, (utterance) => (values[utterance] as number | null) ?? -1);
    return { kind, classes, k };
  }
  const targets = new Float64Array(n * k).fill(NaN);
  for (let row = 0; row < n; row++) {
    const value = values[utterances[row]] as number | Float64Array | null;
    if (value !== null) targets.set(typeof value === 'number' ? [value] : value, row * k);
  }
  return { kind, values: targets, k };
}

/** Why no head can learn from these layers; undefined where it can. A NaN would pass for a class, and so for a number. */
function flawOf({ flawed, utterances }: ProbeFeatures, layers: readonly number[], model: EncoderModel): string | undefined {
  const layer = layers.find((one) => flawed.has(one));
  if (layer === undefined) return undefined;
  const files = flawed.get(layer)!;
  return `Layer ${layer} of ${model.name} gives values that are not finite for ${files.length} of ${utterances} audio files (the first: ${files[0]}): its weights are damaged, or it overflows. Choose other --layers, or leave these files out.`;
}

interface Trained {
  opened: OpenReply;
  features: ProbeFeatures;
  heads: Head[];
}

/** Trains the heads in the pool, several at a time; those an earlier run has trained are taken from there. */
async function trainHeads(
  prepared: PreparedProbing,
  run: ProbeRun,
  pass: Pass,
  { opened, features, heads, headSteps }: Trained & { headSteps: number },
): Promise<Outcome[]> {
  const { engine, project, jobId } = run;
  const { settings } = prepared.spec;
  const resampling = { draws: settings.resamples, seed: settings.seed };
  const failed = new AbortController();
  const signal = AbortSignal.any([run.signal, failed.signal]);
  pass.pace.doing(`${passName(pass)}: training heads`);
  for (const { layers, n, d, train } of features.units.values())
    await Promise.all(
      layers.flatMap((rows, l) =>
        features.flawed.has(opened.layers[l]) ? [] : [engine.compute('standardiseLayer', { rows, n, d, train }, signal)],
      ),
    );

  const fit = ({ column, unit, layer }: Head): Promise<ProbeResult> => {
    const probed = pass.columns[column];
    const chosen = layer === null ? opened.layers.map((_, l) => l) : [opened.layers.indexOf(layer)];
    if (probed.kind === 'labels') {
      const { layers, n, d, train, dev, utterances } = features.units.get(unit)!;
      const targets = targetsOf(probed.labels, features.units.get(unit)!, column);
      const task = { layers: chosen.map((l) => layers[l]), n, d, train, dev, utterances, targets, resampling };
      return engine.compute('fitProbe', task, signal);
    }
    const { files, d, train, dev, test } = features.frames!;
    const { tokens, values } = probed.tokens;
    const transcribed = (part: FrameFiles['train']) =>
      part.flatMap(({ utterance, start, frames }) => {
        const own = values[utterance];
        return own === null ? [] : [{ start, frames, tokens: own }];
      });
    const { upsampling, inner, epochs, learningRate, batch } = settings.ctc;
    const task = {
      files: chosen.map((l) => files[l]),
      shape: { layers: chosen.length, d, inner, columns: tokens.length, upsampling },
      train: transcribed(train),
      dev: transcribed(dev),
      test: transcribed(test),
      settings: { epochs, learningRate, batch, seed: settings.seed },
      resampling,
    };
    return engine.compute('fitCtcProbe', task, signal);
  };

  const earlier = project.committedUnits(jobId);
  const attempts = heads.map(async (head): Promise<Outcome> => {
    const { column, unit, layer } = head;
    const key = `${pass.key}/${column}/${unit}/${layer ?? 'sum'}`;
    const known = earlier.get(key) as Outcome | undefined;
    if (known) {
      pass.pace.skip(headSteps);
      return known;
    }
    const flaw = flawOf(features, layer === null ? opened.layers : [layer], pass.model);
    const outcome = flaw
      ? { refusal: flaw }
      : await fit(head).then(
          (result): Outcome => ({ result }),
          (error: unknown): Outcome => {
            const { code, message } = toErrorValue(error);
            if (code !== 'invalid-data') throw error;
            return { refusal: message };
          },
        );
    signal.throwIfAborted();
    project.commitUnit(jobId, key, outcome);
    pass.pace.add(headSteps, 0);
    return outcome;
  });
  try {
    return await Promise.all(attempts);
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    // Files may not go while a head reads them.
    await Promise.allSettled(attempts);
  }
}

/** Saves what a pass gave, with the recipe, in one transaction. */
function save(
  prepared: PreparedProbing,
  run: ProbeRun,
  pass: Pass,
  { opened, features, heads, outcomes }: Trained & { outcomes: Outcome[] },
): void {
  const { project, experimentId } = run;
  tellRefusals(run, pass, heads, outcomes);
  const { source: _source, ...card } = pass.model;
  const recipe = recipeOf(prepared, run, pass, opened, features);
  project.transaction(() => {
    const modelId = project.upsertModel(card);
    const rows: ScoreEntry[] = [];
    const sums: LayerSumEntry[] = [];
    for (const [i, { column, unit, layer }] of heads.entries()) {
      const outcome = outcomes[i];
      if ('refusal' in outcome) continue;
      const { metric, value, low, high, replicates, n, classes, weights, notes } = outcome.result;
      const probed = pass.columns[column];
      const entry = {
        modelId,
        model: pass.model.name,
        label: columnName(probed),
        unit,
        metric,
        value,
        ci_low: low,
        ci_high: high,
        n,
        d: opened.width,
        classes,
        control: pass.weights === 'random' ? ('random-weights' as const) : probed.control,
        replicates,
        notes,
      };
      if (layer === null) sums.push({ ...entry, layers: opened.layers, weights: weights! });
      else rows.push({ ...entry, layer, resampling: 'bootstrap' });
    }
    keepDataset(prepared, project, prepared.spec.settings.sample === undefined ? features.seconds / 3600 : null);
    project.saveScores(experimentId, recipe, rows);
    project.saveLayerSums(experimentId, recipe, sums);
    project.commitUnit(run.jobId, `${pass.key}/probed`, {});
  });
}

/** A head that could not be had is told once per reason; if none of a model's own could, that is a failure. */
function tellRefusals(run: ProbeRun, pass: Pass, heads: readonly Head[], outcomes: readonly Outcome[]): void {
  const refused = outcomes.flatMap((outcome, i) => ('refusal' in outcome ? [{ ...heads[i], message: outcome.refusal }] : []));
  if (refused.length === outcomes.length && pass.weights === 'own') throw new ForetuneError('invalid-data', refused[0].message);
  for (const same of Map.groupBy(refused, ({ column, unit, message }) => JSON.stringify([column, unit, message])).values()) {
    const [{ column, unit, message }] = same;
    const probed = pass.columns[column];
    const which = same.map(({ layer }) => layer ?? 'weighted sum').join(', ');
    run.report({
      type: 'log',
      level: 'warning',
      message: `${passName(pass)}${probed.control === '' ? '' : ` (${probed.control})`}, layer ${which}: no probe of "${columnName(probed)}" by ${unit}: ${message}`,
    });
  }
}

/** Everything a reader needs to make the numbers of a pass again. */
function recipeOf(
  { spec, dataset, columns, split, stratum }: PreparedProbing,
  run: ProbeRun,
  { model, weights }: Pass,
  opened: OpenReply,
  features: ProbeFeatures,
) {
  const { settings } = spec;
  const { column, group } = settings.split;
  return {
    ...versions,
    probe: probeVersion,
    model: {
      name: model.name,
      path: model.path,
      family: model.family,
      fingerprint: model.fingerprint,
      dtype: model.dtype,
      preprocessing: model.preprocessing,
      notes: model.notes,
      ...(model.merge ? { merge: model.merge } : {}),
    },
    weights: weights === 'own' ? 'own' : `random, seed ${settings.seed}`,
    data: { name: dataset.name, path: dataset.path, fingerprint: dataset.fingerprint, audioColumn: dataset.audioColumn },
    settings,
    labels: columns
      .filter(({ control }) => control === '')
      .map((probed) => {
        if (probed.kind === 'tokens') {
          const { name, tokens, unlabelled } = probed.tokens;
          return { name, kind: 'ctc', tokens: tokens.slice(1), unlabelled };
        }
        const { name, kind, classes, counts, unlabelled } = probed.labels;
        return { name, kind, classes, counts, unlabelled };
      }),
    parts: {
      train: split.train.length,
      dev: split.dev.length,
      test: split.test.length,
      by: column === undefined ? `seed ${settings.seed}` : `column "${column}"; what it leaves open by seed ${settings.seed}`,
      stratified:
        stratum === undefined ? 'no' : `by the classes of "${stratum.name}"; those too small for every part stay in training`,
      together: group === undefined ? 'nothing but an utterance' : `column "${group}"`,
    },
    features: `${settings.layerNorm ? 'layer norm of every frame; ' : ''}each layer and dimension standardised by the training part`,
    training:
      settings.kind === 'ctc'
        ? 'Adam on the CTC loss per token; rate halved after two epochs without a lower loss on the development part, at most four times; the epoch with the lowest counts'
        : `L-BFGS from zero under squared penalties ${penalties.join(', ')}, ended when the loss on the development part has twice become lower by less than 0.001; the penalty with the lowest counts; layer weights begin equal under each penalty, with a standard normal prior`,
    provider: opened.provider,
    fallbacks: opened.fallbacks,
    threads: settingsFor(model, run.machine).threads,
    audioSeconds: features.seconds,
    utterances: features.utterances,
    skipped: features.skipped,
    interval: `95 %, bootstrap of ${settings.resamples} draws of held-out utterances, percentiles`,
  };
}
