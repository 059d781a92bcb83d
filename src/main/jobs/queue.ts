import * as z from 'zod';

import { type Project } from '#main/project/project.ts';
import { type ErrorValue, ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type MachineSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type JobState } from '#shared/jobs.ts';
import { type ProbeSpec } from '#shared/probe.ts';
import { type SpeedSpec, speedSpecSchema } from '#shared/speed.ts';

import { type Engine } from './engine.ts';
import { EventLog } from './events.ts';
import { prepareProbing } from './probePrepare.ts';
import { type ProbeRun, runProbing } from './probing.ts';
import { prepareScoring, runScoring, type ScoringRun } from './scoring.ts';
import { runSpeed } from './speeding.ts';
import { prepareSpeed } from './speedPrepare.ts';

/** A job that runs, or has run, in this process. */
export interface RunningJob {
  id: number;
  /** Null where it belongs to no experiment. */
  experimentId: number | null;
  events: EventLog;
  /** Whether it is over, one way or another. */
  ended(): boolean;
  /** Why it failed; the project file says so too, unless the failure was that it cannot be written. */
  failure(): ErrorValue | null;
  /** Asks the job to stop at the next chunk. */
  cancel(): void;
  /** Resolves with the final state; rejects with the reason of a failure. */
  finished: Promise<JobState>;
}

/** What the queue gives an experiment to work with. */
type ExperimentRun = Omit<ScoringRun & ProbeRun, 'machine'>;

/** What a job of kind `speed` was asked. */
export const speedJobSchema = z.object({ run: z.number().int(), spec: speedSpecSchema });

/** Runs the jobs of one project, one after another; a job is a row of the project file and goes on where it was left. */
export class JobQueue {
  private readonly engine: Engine;
  private readonly project: Project;
  private last: Promise<unknown> = Promise.resolve();
  private readonly jobs = new Map<number, RunningJob>();

  constructor(engine: Engine, project: Project) {
    this.engine = engine;
    this.project = project;
  }

  get(id: number): RunningJob | undefined {
    return this.jobs.get(id);
  }

  /**
   * Starts a scoring run, or takes up the one with equal settings, models and data that was cancelled, failed or killed.
   * Throws before anything is stored if models or data cannot be scored.
   */
  async score(spec: ScoringSpec, machine: MachineSettings, name?: string): Promise<RunningJob & { experimentId: number }> {
    const prepared = await prepareScoring(spec);
    return this.experiment({ kind: 'score', spec, name, verb: 'scored' }, prepared, (run) =>
      runScoring(prepared, { ...run, machine }),
    );
  }

  /** As `score`, for probes. */
  async probe(spec: ProbeSpec, machine: MachineSettings, name?: string): Promise<RunningJob & { experimentId: number }> {
    const prepared = await prepareProbing(spec);
    return this.experiment({ kind: 'probe', spec, name, verb: 'probed' }, prepared, (run) =>
      runProbing(prepared, { ...run, machine }),
    );
  }

  /** The job of a prepared experiment, a new one or the one it already has. */
  private experiment(
    { kind, spec, name, verb }: { kind: 'score' | 'probe'; spec: ScoringSpec | ProbeSpec; name?: string; verb: string },
    { hash, warnings }: { hash: string; warnings: string[] },
    work: (run: ExperimentRun) => Promise<void>,
  ): RunningJob & { experimentId: number } {
    const experimentId =
      this.project.findExperiment(hash)?.id ??
      this.project.createExperiment({ name: name ?? spec.settings.labels.join(', '), spec, specHash: hash });
    const earlier = this.project.jobs().findLast((job) => job.experimentId === experimentId);
    const running = earlier && this.jobs.get(earlier.id);
    if (running && !running.ended()) return { ...running, experimentId };
    const id = earlier?.id ?? this.project.createJob({ kind, experimentId, spec });
    const job = this.start(id, experimentId, earlier?.state === 'done' ? 'done' : 'queued', async (events, signal) => {
      for (const message of warnings) events.add({ type: 'log', level: 'warning', message });
      if (earlier?.state === 'done') {
        events.add({
          type: 'log',
          level: 'info',
          message: `These models and data were ${verb} with these settings before; the saved numbers stand.`,
        });
        return;
      }
      if (earlier) events.add({ type: 'log', level: 'info', message: 'Taking up the unfinished run with these settings.' });
      const { engine, project } = this;
      await work({ engine, project, experimentId, jobId: id, signal, report: (report) => events.add(report) });
    });
    return { ...job, experimentId };
  }

  /**
   * Starts a sweep of speed-ups, or takes up the one with equal settings, model and data. One that is done is timed again where
   * other timing is asked for, or `again` says so; what was decoded stands.
   * Throws before anything is stored if the sweep cannot be run.
   */
  async speed(
    spec: SpeedSpec,
    machine: MachineSettings,
    { name, again = false }: { name?: string; again?: boolean } = {},
  ): Promise<RunningJob & { runId: number }> {
    const { project } = this;
    const prepared = await prepareSpeed(spec);
    const { source: _source, ...card } = prepared.model;
    const known = project.findSpeedRun(prepared.hash);
    const runId =
      known?.id ??
      project.createSpeedRun({
        name: name ?? prepared.model.name,
        modelId: project.upsertModel(card),
        model: prepared.model.name,
        data: prepared.dataset.name,
        spec,
        specHash: prepared.hash,
      });
    const earlier = project
      .jobs()
      .findLast(({ kind, spec: kept }) => kind === 'speed' && speedJobSchema.parse(kept).run === runId);
    const running = earlier && this.jobs.get(earlier.id);
    if (running && !running.ended()) return { ...running, runId };
    const isTimedSo =
      earlier !== undefined && JSON.stringify(speedJobSchema.parse(earlier.spec).spec.timing) === JSON.stringify(spec.timing);
    const isDone = earlier?.state === 'done' && isTimedSo && !again;
    if (known) project.setSpeedSpec(runId, spec);
    // Repetitions are kept by job: other timing begins anew.
    const id =
      earlier && isTimedSo && !(again && earlier.state === 'done')
        ? earlier.id
        : project.createJob({ kind: 'speed', spec: { run: runId, spec } });
    const job = this.start(id, null, isDone ? 'done' : 'queued', async (events, signal) => {
      for (const message of prepared.warnings) events.add({ type: 'log', level: 'warning', message });
      if (isDone) {
        events.add({
          type: 'log',
          level: 'info',
          message: 'This model was tried on these data with these settings before; the saved numbers stand.',
        });
        return;
      }
      await runSpeed(prepared, {
        engine: this.engine,
        project,
        runId,
        jobId: id,
        machine,
        signal,
        report: (report) => events.add(report),
      });
    });
    return { ...job, runId };
  }

  private start(
    id: number,
    experimentId: number | null,
    state: JobState,
    work: (events: EventLog, signal: AbortSignal) => Promise<void>,
  ): RunningJob {
    const events = new EventLog(id);
    let failure: ErrorValue | null = null;
    const abort = new AbortController();
    const enter = (next: JobState, details: { error?: ErrorValue } = {}): void => {
      this.project.updateJob(id, { state: next, ...details });
      events.add({ type: 'state', state: next });
    };
    if (state !== 'done') enter('queued');
    const finished = this.last.then(async (): Promise<JobState> => {
      try {
        abort.signal.throwIfAborted();
        if (state !== 'done') enter('running');
        await work(events, abort.signal);
        enter('done');
        return 'done';
      } catch (error) {
        const value = toErrorValue(error);
        if (value.code === 'cancelled') {
          enter('cancelled');
          return 'cancelled';
        }
        failure = value;
        events.add({ type: 'error', ...value });
        enter('failed', { error: value });
        throw error;
      } finally {
        events.end();
      }
    });
    // The queue goes on after a failure; who waits for the job still sees it.
    this.last = finished.catch(() => undefined);
    const job: RunningJob = {
      id,
      experimentId,
      events,
      finished,
      ended: () => events.isEnded,
      failure: () => failure,
      cancel: () =>
        abort.abort(
          new ForetuneError(
            'cancelled',
            'The run was cancelled; what it had committed is kept, and running it again goes on from there.',
          ),
        ),
    };
    this.jobs.set(id, job);
    return job;
  }

  /** Cancels what runs and waits until it has stopped. */
  async close(): Promise<void> {
    for (const job of this.jobs.values()) job.cancel();
    await this.last;
  }
}
