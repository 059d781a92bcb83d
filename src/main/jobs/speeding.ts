import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { beamSettings } from '#main/decoding/beamSearch.ts';
import { settingsFor } from '#main/inference/handlers.ts';
import { type StageGraph } from '#main/inference/stages.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { segmentBounds } from '#main/audio/segment.ts';
import { type BuiltStages, buildStages } from '#main/models/stageGraphs.ts';
import { type Project } from '#main/project/project.ts';
import { type Judged, judgeAll, type JudgedUtterance, type JudgeInput } from '#main/speedup/judge.ts';
import { type Body, exitHeadStage, headAt, type Track } from '#main/speedup/plan.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings } from '#shared/experiment.ts';
import { type SpeedPoint, type SpeedRecord } from '#shared/speed.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { type JobReport } from './events.ts';
import { Pace } from './pace.ts';
import { headsFile, trainedLayers, trainHeads, trainingSteps } from './speedHeads.ts';
import { type PreparedSpeed } from './speedPrepare.ts';
import { type BeamDecoding, recordsOf } from './speedRecords.ts';
import { bodyMinimum, exitHeadOf, headStage, routeOf } from './speedRoutes.ts';
import { summariseTimes, timeAll, timedUtterances, timingKey, timingSteps } from './speedTiming.ts';
import { speedVersion, versions } from './versions.ts';

export interface SpeedRun {
  engine: Engine;
  project: Project;
  runId: number;
  jobId: number;
  machine: MachineSettings;
  report: (report: JobReport) => void;
  signal: AbortSignal;
}

/** A sweep while it holds the inference thread. */
export interface SpeedRunning extends SpeedRun {
  thread: InferenceThread;
}

/** What is open while a sweep runs. */
interface Opened {
  built: BuiltStages[];
  provider: string;
  fallbacks: string[];
}

const graphsOf = ({ stages }: BuiltStages): StageGraph[] =>
  stages.map(({ id, path, inputs, outputs }) => ({ id, path, inputs, outputs }));

/** Tracks by the body that they share, in the order of the plan. */
function byBody(tracks: readonly Track[]): Map<Body, Track[]> {
  const bodies = new Map<string, Track[]>();
  for (const track of tracks) bodies.set(track.body.key, [...(bodies.get(track.body.key) ?? []), track]);
  return new Map([...bodies.values()].map((own) => [own[0].body, own]));
}

async function openEncoder(prepared: PreparedSpeed, run: SpeedRunning): Promise<Opened> {
  const { model, plan, tracks, spec } = prepared;
  const built = await buildStages(model, plan.specs, { cacheDir: join(run.engine.cacheDir, 'graphs') });
  try {
    const [full] = tracks;
    const { provider, fallbacks } = await run.thread.call('openStages', {
      stages: graphsOf(built),
      settings: settingsFor(model, run.machine),
      rule: {
        normalize: model.preprocessing.doNormalize,
        rate: model.preprocessing.samplingRate,
        maxSeconds: spec.settings.maxSeconds,
      },
      check: routeOf(prepared, full.body, [], 0),
    });
    return { built: [built], provider, fallbacks };
  } catch (error) {
    await built.dispose();
    throw error;
  }
}

/** Opens the heads of one file beside the encoder. */
async function openHeads(
  prepared: PreparedSpeed,
  run: SpeedRunning,
  opened: Opened,
  file: string,
  tracks: readonly Track[],
): Promise<void> {
  const blocks = prepared.source.config.num_hidden_layers;
  const stages = new Map(
    tracks.flatMap((track) =>
      track.exits
        .filter((layer) => headAt(track, layer, blocks) !== 'final')
        .flatMap((layer) =>
          Array.from({ length: prepared.folds }, (_, fold) => {
            const id = headStage(prepared, track, layer, fold);
            return [id, exitHeadStage(id, exitHeadOf(prepared, track, layer, fold))] as const;
          }),
        ),
    ),
  );
  if (stages.size === 0) return;
  const built = await buildStages(prepared.model, [...stages.values()], {
    cacheDir: join(run.engine.cacheDir, 'graphs'),
    exitHeads: file,
  });
  opened.built.push(built);
  await run.thread.call('addStages', { stages: graphsOf(built) });
}

/** The pass over the audio: every body once for every utterance, all exits read on the way. Committed utterance by utterance. */
async function record(prepared: PreparedSpeed, run: SpeedRunning, beam: BeamDecoding | null, pace: Pace): Promise<void> {
  const { project, runId, engine, signal } = run;
  const { dataset, utterances, tracks, spec, model } = prepared;
  const known = new Set(project.speedUtterances(runId).map(({ utterance }) => utterance));
  const missing = utterances.filter(({ utterance }) => !known.has(utterance));
  pace.skip((utterances.length - missing.length) * byBody(tracks).size);
  const similar = spec.settings.earlyExit.rules.includes('similarity');
  const position = new Map(missing.map((one) => [one.utterance, one]));
  const { samplingRate } = model.preprocessing;
  for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, [...position.keys()], samplingRate)) {
    signal.throwIfAborted();
    const one = position.get(utterance)!;
    const { id: name, path } = dataset.utterances[utterance];
    if (!audio) {
      run.report({ type: 'log', level: 'warning', message: problem.includes(path) ? problem : `${path} ${problem}` });
      project.saveSpeedRecords(runId, { utterance, name, seconds: null, reference: one.reference }, []);
      pace.add(byBody(tracks).size, 0);
      continue;
    }
    const records: { track: string; record: SpeedRecord }[] = [];
    for (const [body, own] of byBody(tracks)) {
      signal.throwIfAborted();
      pace.doing(body.description === '' ? model.name : `${model.name}, ${body.description}`);
      const reading = await run.thread.call('readExits', {
        samples: audio.samples,
        route: routeOf(prepared, body, own, one.fold),
        similar: similar && own.some(({ exits }) => exits.length > 1),
      });
      records.push(...(await recordsOf(engine, prepared, own, one, reading, beam)));
      pace.add(1, audio.seconds);
    }
    project.saveSpeedRecords(runId, { utterance, name, seconds: audio.seconds, reference: one.reference }, records);
  }
}

/** Utterances with audio, as positions in `prepared.utterances`, and their lengths. */
function usable({ utterances }: PreparedSpeed, { project, runId }: Pick<SpeedRunning, 'project' | 'runId'>) {
  const lengths = new Map(project.speedUtterances(runId).map(({ utterance, seconds }) => [utterance, seconds]));
  const positions: number[] = [];
  const seconds: number[] = [];
  for (const [position, { utterance }] of utterances.entries()) {
    const length = lengths.get(utterance);
    if (length === null || length === undefined) continue;
    positions.push(position);
    seconds.push(length);
  }
  return { positions, seconds };
}

/** What the records of a sweep say, judged anew. Nothing is run. */
export function judgeInput(
  prepared: PreparedSpeed,
  kept: Pick<SpeedRunning, 'project' | 'runId'>,
  weightBytes: (stage: string) => number,
): JudgeInput {
  const { utterances, tracks, spec, source, head, model } = prepared;
  const { positions, seconds } = usable(prepared, kept);
  if (positions.length === 0)
    throw new ForetuneError(
      'invalid-data',
      `None of the ${utterances.length} utterances of ${prepared.dataset.name} could be read, so there is no error rate.`,
    );
  const all = kept.project.speedRecords(kept.runId);
  const rate = model.preprocessing.samplingRate;
  return {
    settings: spec.settings,
    config: source.config,
    blocks: source.config.num_hidden_layers,
    ownHead: head,
    tracks,
    utterances: seconds.map((length): JudgedUtterance => {
      const samples = Math.round(length * rate);
      const bounds = segmentBounds(samples, rate, {
        maxSeconds: spec.settings.maxSeconds,
        minSamples: bodyMinimum(prepared, tracks[0].body),
      });
      return { samples, parts: bounds.map(({ start, end }) => end - start) };
    }),
    records: new Map(
      tracks.map(({ key }) => {
        const records = all.get(key);
        return [key, positions.map((position) => records!.get(utterances[position].utterance)!)];
      }),
    ),
    exitHead: (track, layer) => exitHeadOf(prepared, track, layer, 0),
    memory: (track) => {
      const { front, segments } = routeOf(prepared, track.body, [track], 0);
      const stages = [...front, ...segments.flatMap(({ stages: own, heads }) => [...own, ...heads])];
      return [...new Set(stages)].reduce((sum, stage) => sum + weightBytes(stage), 0);
    },
    decodings: spec.settings.lm ? ['greedy', 'beam'] : ['greedy'],
  };
}

/** Repetitions that count, by way of running: [repetition][group]. */
function committedTimes(project: Project, jobId: number, warmUp: number): Map<string, number[][]> {
  const times = new Map<string, number[][]>();
  for (const [unit, payload] of project.committedUnits(jobId)) {
    const repetition = Number(/^timing\/(\d+)$/.exec(unit)?.[1] ?? NaN);
    if (!(repetition >= warmUp)) continue;
    for (const [key, seconds] of Object.entries(payload as Record<string, number[]>))
      times.set(key, [...(times.get(key) ?? []), seconds]);
  }
  return times;
}

/** The points with their seconds, scaled from the timed audio to all of it. */
function withTimes(
  judged: readonly Judged[],
  times: ReadonlyMap<string, number[][]>,
  { timedSeconds, allSeconds, provider }: { timedSeconds: number; allSeconds: number; provider: string },
): SpeedPoint[] {
  const scale = allSeconds / timedSeconds;
  return judged.map((one) => {
    const measured = times.get(timingKey(one));
    if (!measured) return one.point;
    const { seconds, repetitions } = summariseTimes(measured);
    return {
      ...one.point,
      rtf: seconds / timedSeconds,
      seconds: seconds * scale,
      repetitions: repetitions.map((value) => value * scale),
      provider,
    };
  });
}

/** Runs a prepared sweep: heads are trained, every utterance is read once, all settings are judged from that, and then timed. */
export async function runSpeed(prepared: PreparedSpeed, run: SpeedRun): Promise<void> {
  const waiting = (): void => run.report({ type: 'log', level: 'info', message: 'Waiting for another run to end.' });
  const { thread, giveBack } = await run.engine.borrowInference(run.signal, waiting);
  try {
    await sweep(prepared, { ...run, thread });
  } finally {
    giveBack();
  }
}

async function sweep(prepared: PreparedSpeed, run: SpeedRunning): Promise<void> {
  const { project, runId, jobId, signal, engine } = run;
  const { spec, tracks, utterances } = prepared;
  const folder = join(engine.cacheDir, 'jobs', prepared.hash.slice(0, 32));
  mkdirSync(folder, { recursive: true });
  const opened = await openEncoder(prepared, run);
  for (const message of opened.fallbacks) run.report({ type: 'log', level: 'info', message });
  try {
    if (spec.settings.importedHeads !== undefined)
      await openHeads(
        prepared,
        run,
        opened,
        spec.settings.importedHeads,
        tracks.filter(({ heads }) => heads === 'imported'),
      );
    const { lm } = spec.settings;
    // Before anything is trained: what is wrong with it is to be told at once.
    const beam: BeamDecoding | null = lm
      ? { settings: beamSettings(lm), lm: await engine.compute('readLanguageModel', lm.path) }
      : null;
    const trained = tracks.filter((track) => trainedLayers(prepared, track).length > 0);
    if (trained.length > 0) {
      const groups = byBody(trained);
      const steps = trainingSteps(prepared, [...groups.values()]);
      await trainHeads(prepared, run, groups, new Pace(steps, (progress) => run.report({ type: 'progress', progress })));
      const heads = await headsFile(project, runId, prepared, { heads: 'trained' }, engine.cacheDir);
      try {
        await openHeads(prepared, run, opened, heads.path, trained);
      } finally {
        await heads.dispose();
      }
    }
    const bodies = byBody(tracks).size;
    const reading = new Pace(utterances.length * bodies, (progress) => run.report({ type: 'progress', progress }));
    await record(prepared, run, beam, reading);
    signal.throwIfAborted();

    const bytes = new Map(opened.built.flatMap(({ stages }) => stages.map(({ id, weightBytes }) => [id, weightBytes])));
    const judged = judgeAll(judgeInput(prepared, run, (stage) => bytes.get(stage) ?? 0));
    for (const message of new Set(judged.flatMap(({ point }) => point.warnings)))
      run.report({ type: 'log', level: 'warning', message });
    const { seconds, positions } = usable(prepared, run);
    const allSeconds = seconds.reduce((sum, length) => sum + length, 0);
    const recipe = (timed: object) => recipeOf(prepared, run, opened, { audioSeconds: allSeconds, ...timed });
    project.saveSpeedPoints(
      runId,
      recipe({}),
      judged.map(({ point }) => point),
    );

    if (spec.timing) {
      const timed = timedUtterances(seconds, spec.timing.audioSeconds, spec.settings.seed);
      const timedSeconds = timed.reduce((sum, i) => sum + seconds[i], 0);
      const timing = new Pace(timingSteps(judged, timed.length, spec.timing), (progress) =>
        run.report({ type: 'progress', progress }),
      );
      timing.doing('timing');
      const done = [...project.committedUnits(jobId).keys()].filter((unit) => unit.startsWith('timing/')).length;
      timing.skip((timingSteps(judged, timed.length, spec.timing) / (spec.timing.warmUp + spec.timing.repetitions)) * done);
      await timeAll(
        run,
        prepared,
        judged,
        timed.map((i) => positions[i]),
        spec.timing,
        {
          done,
          signal,
          pace: timing,
          commit: (repetition, measured) => project.commitUnit(jobId, `timing/${repetition}`, measured),
        },
      );
      const times = committedTimes(project, jobId, spec.timing.warmUp);
      const points = withTimes(judged, times, { timedSeconds, allSeconds, provider: opened.provider });
      const memory = await run.thread.call('memory', undefined);
      project.saveSpeedPoints(
        runId,
        recipe({ timing: { ...spec.timing, timedSeconds, utterances: timed.length }, residentBytes: memory }),
        points,
      );
    }
    rmSync(folder, { recursive: true, force: true });
  } finally {
    await run.thread.call('closeStages', undefined);
    for (const built of opened.built) await built.dispose();
  }
}

/** Everything a reader needs to make the numbers of a sweep again. */
function recipeOf(prepared: PreparedSpeed, run: SpeedRunning, opened: Opened, further: object) {
  const { model, dataset, spec, training } = prepared;
  return {
    ...versions,
    speed: speedVersion,
    model: {
      name: model.name,
      path: model.path,
      family: model.family,
      fingerprint: model.fingerprint,
      dtype: model.dtype,
      preprocessing: model.preprocessing,
      notes: model.notes,
    },
    data: { name: dataset.name, path: dataset.path, fingerprint: dataset.fingerprint, text: spec.text },
    training: training && { name: training.dataset.name, fingerprint: training.dataset.fingerprint },
    settings: spec.settings,
    files: prepared.files,
    provider: opened.provider,
    fallbacks: opened.fallbacks,
    threads: settingsFor(model, run.machine).threads,
    utterances: prepared.utterances.length,
    interval: '95 %, bootstrap over utterances',
    ...further,
  };
}
