import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';

import { type OpenReply, sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { type TargetColumn, type TargetValue } from '#main/inference/statistics.ts';
import { buildEncoder } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { readSourceHead } from '#main/models/sourceHead.ts';
import { type Project } from '#main/project/project.ts';
import { metric } from '#main/scoring/registry.ts';
import { type AlignmentReport } from '#main/tasks/alignments/alignments.ts';
import { type Dataset, openDataset } from '#main/tasks/dataset.ts';
import { alignmentEnd, beyondAudio, isAligned, type LabelColumn, shuffledLabels } from '#main/tasks/labels.ts';
import { openLabels } from '#main/tasks/openLabels.ts';
import { openScoredModel } from '#main/weights/member.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type MachineSettings, type ScoringSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type Control, type ScoreRow } from '#shared/score.ts';

import { decodeAhead, KeptAudio } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { type JobReport } from './events.ts';
import { dealGroups, sampleUtterances } from './plan.ts';
import { Pace } from './pace.ts';
import { type Refusal, type ScoreLayerTask } from './scoreLayer.ts';
import { keepPass, openKeptPass, passFolder } from './statisticsCache.ts';
import { versions } from './versions.ts';

/** A label column as it is scored: the labels themselves, or their shuffled control. */
interface ScoredColumn extends LabelColumn {
  control: Extract<Control, '' | 'shuffled-labels'>;
}

/** A scoring run with everything opened and checked: what is left can only fail on single files or on the machine. */
export interface PreparedScoring {
  spec: ScoringSpec;
  models: EncoderModel[];
  dataset: Dataset;
  columns: ScoredColumn[];
  /** What was understood of the alignments, where labels come from them. */
  alignments: AlignmentReport | null;
  /** Indices of the utterances that are scored, dealt into groups. */
  groups: number[][];
  /** Equal for two runs that must give equal numbers. */
  hash: string;
  warnings: string[];
}

/** Opens models and data and refuses what cannot be scored, before anything is run. */
export async function prepareScoring(spec: ScoringSpec): Promise<PreparedScoring> {
  const { settings } = spec;
  for (const id of settings.metrics) {
    const { needs, name } = metric(id);
    if (needs === 'two-sets') {
      throw new ForetuneError(
        'unsupported',
        `${name} (${id}) compares two sets of features and knows no labels; use "foretune similarity" for two models, layers or data sets.`,
      );
    }
  }
  const models: EncoderModel[] = [];
  for (const choice of spec.models) models.push(await openScoredModel(choice));
  refuseTwins(models);
  for (const model of models) checkLayers(model, settings);

  const dataset = await openDataset(spec.data.path, spec.data);
  const { columns: labels, alignments } = await openLabels(dataset, settings.labels, {
    kind: settings.kind,
    root: spec.data.root,
    alignments: spec.data.alignments,
  });
  for (const column of labels) checkLabel(column, settings, models);
  const columns: ScoredColumn[] = labels.map((column) => ({ ...column, control: '' }));
  if (settings.controls.includes('shuffled-labels')) {
    columns.push(
      ...labels.map((column): ScoredColumn => ({
        ...shuffledLabels(column, settings.seed),
        name: column.name,
        control: 'shuffled-labels',
      })),
    );
  }

  const numeric = labels.filter(({ kind }) => kind !== 'classification').map(({ name }) => `"${name}"`);
  const unfit = settings.metrics.filter((id) => numeric.length > 0 && metric(id).targets === 'classification');
  if (unfit.length > 0 && numeric.length === labels.length) {
    throw new ForetuneError(
      'unsupported',
      `${unfit.join(', ')} needs one class per sample, which ${numeric.join(', ')} does not hold; choose LogME, or --kind classification.`,
    );
  }
  const labelled = dataset.utterances.map((_, i) => i).filter((i) => columns.some(({ values }) => values[i] !== null));
  const chosen = sampleUtterances(labelled, settings.sample, settings.seed);
  const warnings = dataset.problems.map(({ row, message }) => `${dataset.name}, row ${row}: ${message}`);
  for (const { row, message } of alignments?.problems ?? []) warnings.push(`${dataset.name}, row ${row}: ${message}`);
  warnings.push(...(alignments?.notes ?? []).map((note) => `alignments: ${note}`));
  for (const model of models) warnings.push(...model.notes.map((note) => `${model.name}: ${note}`));
  if (unfit.length > 0) warnings.push(`${unfit.join(', ')} needs one class per sample and leaves out ${numeric.join(', ')}.`);
  return {
    spec,
    models,
    dataset,
    columns,
    alignments,
    groups: dealGroups(chosen, settings.groups, settings.seed),
    hash: hashOf(spec, models, dataset, alignments),
    warnings,
  };
}

/** Refuses labels of frames where means over utterances are asked for, and where frames have no known times. */
function checkLabel({ name, values }: LabelColumn, { units }: ScoringSettings, models: EncoderModel[]): void {
  if (!values.some(isAligned)) return;
  if (units.includes('utterance')) {
    throw new ForetuneError(
      'usage',
      `The label "${name}" comes from alignments, which label frames: score it with the unit "frame" alone, and labels of whole utterances by their means in a run of their own.`,
    );
  }
  const timeless = models.find(({ frontEnd }) => frontEnd === null);
  if (timeless) {
    throw new ForetuneError(
      'unsupported',
      `The graph of ${timeless.name} does not show the convolutions in front of it, so the times of its frames are unknown and "${name}", which comes from alignments, cannot be scored.`,
    );
  }
}

/** Rows name a model by its base name, so two different models of one name could not be told apart. */
export function refuseTwins(models: EncoderModel[]): void {
  const seen = new Map<string, string>();
  for (const { name, path } of models) {
    const other = seen.get(name);
    if (other !== undefined)
      throw new ForetuneError(
        'mismatch',
        `Two models are called "${name}" (${other} and ${path}); rename one folder, since results name models by it.`,
      );
    seen.set(name, path);
  }
}

export function checkLayers({ name, layers }: EncoderModel, { layers: wanted }: Pick<ScoringSettings, 'layers'>): void {
  const beyond = wanted === 'all' ? undefined : wanted.find((layer) => layer >= layers);
  if (beyond !== undefined)
    throw new ForetuneError('not-found', `${name} has layers 0 to ${layers - 1}; layer ${beyond} does not exist.`);
}

/** Which labels of stretches there are, and how they are read; nothing without. */
export function labelSource({ alignments: choice }: ScoringSpec['data'], alignments: AlignmentReport | null) {
  if (!alignments) return {};
  const { tier, fold, without } = choice ?? {};
  return { alignments: { fingerprint: alignments.fingerprint, tier, fold, without } };
}

function hashOf(
  { settings, data, models: choices }: ScoringSpec,
  models: EncoderModel[],
  dataset: Dataset,
  alignments: AlignmentReport | null,
): string {
  const decisive = {
    scoring: versions.scoring,
    settings,
    models: models.map(({ name, fingerprint }, i) => ({ name, fingerprint, mapping: choices[i].mapping })),
    data: { name: dataset.name, fingerprint: dataset.fingerprint, audioColumn: data.audioColumn ?? null },
    ...labelSource(data, alignments),
  };
  return createHash('sha256').update(JSON.stringify(decisive)).digest('hex');
}

export interface ScoringRun {
  engine: Engine;
  project: Project;
  experimentId: number;
  jobId: number;
  machine: MachineSettings;
  report: (report: JobReport) => void;
  signal: AbortSignal;
}

/** What is kept of a group of utterances when part of it is worked off: enough to go on from there. */
interface GroupUnit {
  /** Position in the group of the next utterance. */
  next: number;
  done: boolean;
  /** The statistics so far; null while no frame was seen. */
  file: string | null;
  seconds: number;
  skipped: { file: string; message: string }[];
  /** Frames that were seen, and those of them that had a label in each column. */
  frames: number;
  labelled: number[];
}

/** Audio after which the statistics so far are committed. Counted in audio, not in time, so that a resumed run adds up in the same order. */
const secondsPerCommit = 300;

type Weights = 'own' | 'random';

/** Random weights depend on the architecture alone, so that a model and the merges of it need them once. */
export function isFirstOf({ merge, fingerprint }: EncoderModel, drawn: Set<string>): boolean {
  const base = merge?.base.fingerprint ?? fingerprint;
  const isFirst = !drawn.has(base);
  drawn.add(base);
  return isFirst;
}

/** Runs a prepared scoring: one pass over the audio per model (and per random-weights control), all layers, labels and units at once. */
export async function runScoring(prepared: PreparedScoring, run: ScoringRun): Promise<void> {
  const { project, jobId, signal } = run;
  const { settings } = prepared.spec;
  const folder = join(run.engine.cacheDir, 'jobs', prepared.hash.slice(0, 32));
  mkdirSync(folder, { recursive: true });
  const drawn = new Set<string>();
  const passes = prepared.models.flatMap((model) => {
    const weights: Weights[] =
      settings.controls.includes('random-weights') && isFirstOf(model, drawn) ? ['own', 'random'] : ['own'];
    return weights.map((which) => ({ model, weights: which, key: `${model.fingerprint}/${which}` }));
  });
  const perPass = prepared.groups.reduce((total, group) => total + group.length, 0);
  const pace = new Pace(perPass * passes.length, (progress) => run.report({ type: 'progress', progress }));
  keepDataset(prepared, project, null);
  const kept = new KeptAudio();
  for (const { model, weights, key } of passes) {
    signal.throwIfAborted();
    if (project.committedUnits(jobId).has(`${key}/scored`)) pace.skip(perPass);
    else await runPass(prepared, run, { model, weights, key, folder, pace, kept });
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Audio files as the project keeps them: relative to the manifest where they lie below it, so that both can move together. */
function audioOf({ path, format, utterances }: Dataset): string[] {
  const folder = format === 'folders' ? path : dirname(path);
  return utterances.map((utterance) => {
    const below = relative(folder, utterance.path);
    return below.startsWith('..') || isAbsolute(below) ? utterance.path : below;
  });
}

/** A data set, and what it was asked for by. */
type KeptDataset = { dataset: Dataset; spec: Pick<ScoringSpec, 'data'> };

/** Remembers a data set in the project. */
export function keepDataset({ dataset, spec }: KeptDataset, project: Project, hours: number | null): void {
  const { name, path, audioColumn, fingerprint, utterances } = dataset;
  const problems = dataset.problems.map(({ row, file = null, message }) => ({ row, file, message }));
  project.upsertDataset({
    name,
    path,
    audioColumn,
    audioRoot: spec.data.root ?? null,
    fingerprint,
    utterances: utterances.length,
    hours,
    problems,
    audio: audioOf(dataset),
  });
}

interface Pass {
  model: EncoderModel;
  weights: Weights;
  key: string;
  folder: string;
  pace: Pace;
  kept: KeptAudio;
}

const passName = ({ model, weights }: Pass): string => (weights === 'own' ? model.name : `${model.name}, random weights`);

async function runPass(prepared: PreparedScoring, run: ScoringRun, pass: Pass): Promise<void> {
  const { model, weights, pace } = pass;
  pace.doing(passName(pass));
  const cached = passFolder(run.engine.cacheDir, decisiveOf(prepared, pass));
  const kept = await openKeptPass(cached);
  if (kept) {
    if (weights === 'own') {
      run.report({
        type: 'log',
        level: 'info',
        message: `${model.name}: scored from the statistics of an earlier pass over the same audio; no second pass is needed.`,
      });
    }
    await scorePass(prepared, run, pass, { ...kept, reused: true }, kept.units);
    pace.skip(prepared.groups.reduce((total, group) => total + group.length, 0));
    return;
  }
  const { thread, giveBack } = await run.engine.borrowInference(run.signal, () => pace.doing('waiting for another run'));
  try {
    pace.doing(passName(pass));
    await listen(thread, prepared, run, pass, cached);
  } finally {
    giveBack();
  }
}

/** The pass itself: opens the encoder on the thread, goes over the audio and scores. */
async function listen(
  thread: InferenceThread,
  prepared: PreparedScoring,
  run: ScoringRun,
  pass: Pass,
  cached: string,
): Promise<void> {
  const { settings } = prepared.spec;
  const { model, weights } = pass;
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
    if (weights === 'own') {
      if (model === prepared.models[0])
        for (const message of opened.fallbacks) run.report({ type: 'log', level: 'info', message });
      run.report({
        type: 'log',
        level: 'info',
        message: `${model.name}: ${opened.layers.length} layers of width ${opened.width} on ${opened.provider}.`,
      });
    }
    const units = await collectStatistics(thread, prepared, run, pass, opened);
    await scorePass(prepared, run, pass, { ...opened, reused: false }, units);
    const { provider, fallbacks, layers, width } = opened;
    await keepPass(cached, { provider, fallbacks, layers, width, units: units.map((unit) => ({ ...unit, done: true })) }).catch(
      (error: unknown) => {
        run.report({
          type: 'log',
          level: 'info',
          message: `The statistics of ${model.name} could not be kept for later scores (${toErrorValue(error).message}).`,
        });
      },
    );
  } finally {
    await thread.call('close', undefined);
    await built.dispose();
  }
}

/** Everything that decides the statistics of a pass; what is scored from them does not. */
function decisiveOf(
  { spec, dataset, columns, alignments }: PreparedScoring,
  { model, weights }: Pick<Pass, 'model' | 'weights'>,
): unknown {
  const { units, layers, seed, groups, maxSeconds, sample, rows } = spec.settings;
  const choice = spec.models.find(({ path }) => resolve(path) === model.path);
  return {
    scoring: versions.scoring,
    model: model.fingerprint,
    mapping: choice?.mapping ?? null,
    weights,
    data: dataset.fingerprint,
    audioColumn: dataset.audioColumn,
    ...labelSource(spec.data, alignments),
    columns: (weights === 'own' ? columns : columns.filter(({ control }) => control === '')).map(
      ({ name, kind, control, classes }) => ({ name, kind, control, classes }),
    ),
    settings: { units, layers, seed, groups, maxSeconds, sample: sample ?? null, rows },
  };
}

/** What an earlier run committed of a group; nothing if its statistics are no longer there. */
function committedGroup(project: Project, jobId: number, unitKey: string): GroupUnit {
  const unit = project.committedUnits(jobId).get(unitKey) as GroupUnit | undefined;
  if (unit && (unit.file === null || existsSync(unit.file))) return unit;
  return { next: 0, done: false, file: null, seconds: 0, skipped: [], frames: 0, labelled: [] };
}

/** The pass over the audio, group after group, committing as it goes. */
async function collectStatistics(
  thread: InferenceThread,
  prepared: PreparedScoring,
  run: ScoringRun,
  pass: Pass,
  opened: OpenReply,
): Promise<GroupUnit[]> {
  const { project, jobId, signal } = run;
  const { settings } = prepared.spec;
  const columns = columnsOf(prepared, pass);
  const plan = {
    layers: opened.layers,
    width: opened.width,
    units: settings.units,
    columns: columns.map(({ name, kind, k }): TargetColumn => ({ name, kind, k })),
    sample: { rows: Math.ceil(settings.rows / prepared.groups.length), seed: settings.seed },
  };
  const units: GroupUnit[] = [];
  for (const [g, group] of prepared.groups.entries()) {
    const unitKey = `${pass.key}/group/${g}`;
    let unit = committedGroup(project, jobId, unitKey);
    pass.pace.skip(unit.next);
    if (unit.done) {
      units.push(unit);
      continue;
    }
    const shiftsFrom = units.find(({ file }) => file !== null)?.file ?? undefined;
    await thread.call('beginStatistics', {
      plan,
      threads: settingsFor(pass.model, run.machine).threads,
      from: unit.file ?? undefined,
      shiftsFrom,
    });
    let sinceCommit = 0;
    const commit = async (next: number, frames: boolean): Promise<void> => {
      const file = frames
        ? join(pass.folder, `${pass.weights}-${pass.model.fingerprint.slice(0, 16)}-g${g}-u${next}.safetensors`)
        : null;
      if (file) await thread.call('saveStatistics', { path: file });
      const before = unit.file;
      unit = { ...unit, next, done: next === group.length, file };
      project.commitUnit(jobId, unitKey, unit);
      if (before && before !== file) rmSync(before, { force: true });
      sinceCommit = 0;
    };
    let anyFrames = unit.file !== null;
    const rest = group.slice(unit.next);
    let position = unit.next;
    for await (const { utterance, audio, problem } of decodeAhead(
      run.engine,
      prepared.dataset,
      rest,
      pass.model.preprocessing.samplingRate,
      pass.kept,
    )) {
      signal.throwIfAborted();
      position++;
      if (audio) {
        const { seconds } = audio;
        const { path } = prepared.dataset.utterances[utterance];
        const values = columns.map(({ values }): TargetValue => values[utterance]);
        const beyond = beyondAudio(Math.max(...values.map(alignmentEnd)), seconds);
        if (beyond !== undefined) {
          unit.skipped.push({ file: path, message: beyond });
        } else {
          try {
            const { frames, labelled } = await thread.call('addUtterance', { samples: audio.samples, values, utterance });
            unit.frames += frames;
            unit.labelled = labelled.map((count, column) => count + (unit.labelled.at(column) ?? 0));
            if (frames === 0) unit.skipped.push({ file: path, message: `is too short for one frame (${seconds.toFixed(4)} s).` });
            else anyFrames ||= labelled.some((count) => count > 0);
          } catch (error) {
            const { code, message } = toErrorValue(error);
            if (code !== 'invalid-data') throw error;
            unit.skipped.push({ file: path, message });
          }
        }
        unit.seconds += seconds;
        sinceCommit += seconds;
        pass.pace.add(1, seconds);
      } else {
        unit.skipped.push({ file: prepared.dataset.utterances[utterance].path, message: problem });
        pass.pace.add(1, 0);
      }
      if (sinceCommit >= secondsPerCommit && position < group.length) await commit(position, anyFrames);
    }
    await commit(group.length, anyFrames);
    units.push(unit);
  }
  if (pass.weights === 'own') {
    const skipped = units.flatMap((unit) => unit.skipped);
    for (const { file, message } of skipped)
      run.report({ type: 'log', level: 'warning', message: message.includes(file) ? message : `${file} ${message}` });
    reportFrames(prepared, run, units);
    if (units.every(({ file }) => file === null)) {
      if (skipped.length === 0)
        throw new ForetuneError(
          'invalid-data',
          `None of the ${units.reduce((total, { frames }) => total + frames, 0)} frames lies in a labelled interval; are the alignments those of these files?`,
        );
      throw new ForetuneError(
        'invalid-data',
        `None of the ${skipped.length} audio files of ${prepared.dataset.path} gave a frame; the first: ${skipped[0].file}: ${skipped[0].message}`,
      );
    }
  }
  return units;
}

/** Frames with a label, by column; only where labels are of stretches can there be others. */
function framesByLabel({ columns }: PreparedScoring, units: GroupUnit[]) {
  const frames = units.reduce((total, unit) => total + unit.frames, 0);
  return columns.flatMap(({ name, control, values }, column) => {
    if (control !== '' || !values.some(isAligned)) return [];
    const labelled = units.reduce((total, unit) => total + (unit.labelled.at(column) ?? 0), 0);
    return [{ label: name, labelled, dropped: frames - labelled }];
  });
}

/** Says how many frames were dropped because they lie in no interval. */
function reportFrames(prepared: PreparedScoring, run: ScoringRun, units: GroupUnit[]): void {
  for (const { label, labelled, dropped } of framesByLabel(prepared, units)) {
    run.report({
      type: 'log',
      level: 'info',
      message: `${label}: ${labelled} frames have a label, ${dropped} lie in no interval and were dropped.`,
    });
  }
}

/** The shuffled control belongs to the model's own weights only. */
function columnsOf({ columns }: PreparedScoring, { weights }: Pass): ScoredColumn[] {
  return weights === 'own' ? columns : columns.filter(({ control }) => control === '');
}

/** Scores all layers in the pool and saves them, with the recipe, in one transaction. */
async function scorePass(
  prepared: PreparedScoring,
  run: ScoringRun,
  pass: Pass,
  opened: ScoredPass,
  units: GroupUnit[],
): Promise<void> {
  const { settings } = prepared.spec;
  const columns = columnsOf(prepared, pass);
  const groupFiles = units.map(({ file }) => file).filter((file) => file !== null);
  const task: Omit<ScoreLayerTask, 'layer'> = {
    groupFiles,
    units: settings.units,
    columns: columns.map(({ name, kind }) => ({ name, kind })),
    metrics: settings.metrics,
    centre: settings.centre,
    seed: settings.seed,
    resampling: settings.resampling === 'jackknife' ? { kind: 'jackknife' } : { kind: 'bootstrap', draws: settings.resamples },
    head: await headOf(prepared, run, pass),
  };
  const perLayer = await Promise.all(
    opened.layers.map(async (layer) => ({ layer, scores: await run.engine.compute('scoreLayer', { ...task, layer }) })),
  );
  run.signal.throwIfAborted();
  tellRefusals(
    run,
    pass,
    columns,
    perLayer.flatMap(({ scores: { refusals } }) => refusals),
  );
  const { source: _source, ...card } = pass.model;
  const modelId = run.project.upsertModel(card);
  const rows = perLayer.flatMap(({ layer, scores }) =>
    scores.scores.map((score) => {
      const column = columns[score.column];
      const row: ScoreRow = {
        model: pass.model.name,
        layer,
        label: column.name,
        unit: score.unit,
        metric: score.metric,
        value: score.value,
        ci_low: score.low,
        ci_high: score.high,
        n: score.n,
        d: score.d,
        classes: column.kind === 'regression' ? 0 : score.targets,
        control: pass.weights === 'random' ? 'random-weights' : column.control,
      };
      return { ...row, modelId, replicates: score.replicates, resampling: settings.resampling, notes: score.notes };
    }),
  );
  const recipe = recipeOf(prepared, run, pass, opened, units);
  run.project.transaction(() => {
    keepDataset(prepared, run.project, prepared.spec.settings.sample === undefined ? recipe.audioSeconds / 3600 : null);
    run.project.saveScores(run.experimentId, recipe, rows);
    run.project.commitUnit(run.jobId, `${pass.key}/scored`, {});
  });
}

/** Where labels of stretches came from, what was made of them, and how many frames had one. */
function alignmentsOf(prepared: PreparedScoring, report: AlignmentReport, units: GroupUnit[]) {
  const { path, formats, found, missing, problems, notes, fingerprint } = report;
  const { tier, fold, without } = prepared.spec.data.alignments!;
  return {
    path,
    fingerprint,
    formats,
    tier: tier ?? 'named like the label',
    fold: fold ?? 'none',
    without: without ?? [],
    utterances: { aligned: found, withoutAlignment: missing, left: problems.length },
    frames: framesByLabel(prepared, units),
    frameRule: 'label of the interval that holds the centre of the receptive field',
    notes,
  };
}

/** A score that could not be had is told once per reason, not once per layer. */
function tellRefusals(run: ScoringRun, { model, weights }: Pass, columns: ScoredColumn[], refusals: Refusal[]): void {
  const byReason = Map.groupBy(refusals, ({ column, unit, metric: id, message }) => JSON.stringify([column, unit, id, message]));
  for (const same of byReason.values()) {
    const [{ column, unit, metric: id, message }] = same;
    const { name, control } = columns[column];
    const what = [weights === 'random' ? 'random weights' : '', control].filter((part) => part !== '').join(', ');
    run.report({
      type: 'log',
      level: 'warning',
      message: `${model.name}${what === '' ? '' : ` (${what})`}, layer ${same.map(({ layer }) => layer).join(', ')}: no ${id} of "${name}" by ${unit}: ${message}`,
    });
  }
}

/** The classifier a model brought along, where a score asks for its posteriors; the control puts it on random features. */
async function headOf({ spec }: PreparedScoring, run: ScoringRun, { model, weights }: Pass): Promise<ScoreLayerTask['head']> {
  const asked = spec.settings.metrics.filter((id) => metric(id).needs === 'source-posteriors');
  if (asked.length === 0) return undefined;
  const head = await readSourceHead(model);
  const without = `${model.name} has no classifier (CTC or sequence classification) of its own, so ${asked.join(', ')} cannot be had of it; N-LEEP needs none.`;
  if (weights === 'random') return head;
  if (!head) run.report({ type: 'log', level: 'warning', message: without });
  else if (!spec.settings.units.includes(head.unit)) {
    run.report({
      type: 'log',
      level: 'warning',
      message: `The classifier of ${model.name} speaks of ${head.unit}s; score by ${head.unit} for ${asked.join(', ')}.`,
    });
  }
  return head;
}

/** What a pass ran on, and whether its statistics were there already. */
type ScoredPass = Pick<OpenReply, 'provider' | 'fallbacks' | 'layers' | 'width'> & { reused: boolean };

/** Everything a reader needs to make the numbers of a pass again. */
function recipeOf(prepared: PreparedScoring, run: ScoringRun, { model, weights }: Pass, opened: ScoredPass, units: GroupUnit[]) {
  const { spec, dataset, columns, alignments } = prepared;
  return {
    ...versions,
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
    weights: weights === 'own' ? 'own' : `random, seed ${spec.settings.seed}`,
    data: { name: dataset.name, path: dataset.path, fingerprint: dataset.fingerprint, audioColumn: dataset.audioColumn },
    ...(alignments ? { alignments: alignmentsOf(prepared, alignments, units) } : {}),
    settings: spec.settings,
    labels: columns
      .filter(({ control }) => control === '')
      .map(({ name, kind, classes, counts, unlabelled }) => ({ name, kind, classes, counts, unlabelled })),
    provider: opened.provider,
    fallbacks: opened.fallbacks,
    threads: settingsFor(model, run.machine).threads,
    audioSeconds: units.reduce((total, { seconds }) => total + seconds, 0),
    utterances: units.reduce((total, { next, skipped }) => total + next - skipped.length, 0),
    skipped: units.flatMap(({ skipped }) => skipped),
    statistics: opened.reused ? 'of an earlier pass over the same audio' : 'of this pass over the audio',
    interval:
      spec.settings.resampling === 'jackknife'
        ? `95 %, delete-one-group jackknife over ${units.length} groups of utterances, Student t`
        : `95 %, bootstrap of ${spec.settings.resamples} draws of ${units.length} groups of utterances, percentiles about the score`,
  };
}
