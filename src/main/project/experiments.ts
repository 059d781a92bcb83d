import * as z from 'zod';

import { type ErrorValue, ForetuneError } from '#shared/errors.ts';
import { type JobState } from '#shared/jobs.ts';
import { type ExperimentRecord, experimentRecordSchema, type JobRecord, jobRecordSchema } from '#shared/project.ts';

import { type Connection } from './database.ts';
import { fromJson, toJson } from './json.ts';

const idRow = z.object({ id: z.number() });
const unitRow = z.object({ unit: z.string(), payload: z.string() });
const experimentRow = experimentRecordSchema.extend({ spec: z.string() });
const jobRow = jobRecordSchema.extend({ spec: z.string(), progress: z.string().nullable(), error: z.string().nullable() });

function toExperiment(row: unknown): ExperimentRecord {
  const experiment = experimentRow.parse(row);
  return experimentRecordSchema.parse({ ...experiment, spec: fromJson(experiment.spec) });
}

function parsed(text: string | null): unknown {
  return text === null ? null : fromJson(text);
}

function toJob(row: unknown): JobRecord {
  const job = jobRow.parse(row);
  return jobRecordSchema.parse({ ...job, spec: parsed(job.spec), progress: parsed(job.progress), error: parsed(job.error) });
}

/** Experiments, the jobs that compute them, and the units a job has finished. */
export function experimentQueries({ db, read, write }: Connection) {
  const insertExperiment = db.prepare(`
    INSERT INTO experiments (name, created, spec, spec_hash) VALUES (@name, @created, @spec, @specHash) RETURNING id`);
  const experimentColumns = 'id, name, created, spec, spec_hash AS specHash, notes';
  const selectExperiments = db.prepare(`SELECT ${experimentColumns} FROM experiments ORDER BY id`);
  const selectExperiment = db.prepare(`SELECT ${experimentColumns} FROM experiments WHERE spec_hash = ?`);
  const updateNotes = db.prepare('UPDATE experiments SET notes = ? WHERE id = ?');
  const insertJob = db.prepare(`
    INSERT INTO jobs (kind, experiment_id, state, spec, created) VALUES (@kind, @experimentId, 'queued', @spec, @created) RETURNING id`);
  const updateJob = db.prepare(`
    UPDATE jobs SET
      state = ifnull(@state, state),
      progress = ifnull(@progress, progress),
      error = CASE WHEN @setError THEN @error ELSE error END,
      heartbeat = ifnull(@heartbeat, heartbeat),
      started = CASE WHEN @state = 'running' THEN ifnull(started, @now) ELSE started END,
      finished = CASE WHEN @state IN ('done', 'failed', 'cancelled') THEN @now WHEN @state IN ('queued', 'running') THEN NULL ELSE finished END
    WHERE id = @id`);
  const selectJobs = db.prepare(`
    SELECT id, kind, experiment_id AS experimentId, state, spec, progress, error, created, started, finished, heartbeat FROM jobs ORDER BY id`);
  const insertUnit = db.prepare(`
    INSERT INTO job_units (job_id, unit, committed, payload) VALUES (@jobId, @unit, @committed, @payload)
    ON CONFLICT (job_id, unit) DO UPDATE SET committed = @committed, payload = @payload`);
  const selectUnits = db.prepare('SELECT unit, payload FROM job_units WHERE job_id = ? ORDER BY rowid');

  const now = () => new Date().toISOString();

  return {
    /** `specHash` must be new to the project: look with `findExperiment` first. */
    createExperiment(experiment: { name: string; spec: unknown; specHash: string }): number {
      const { name, spec, specHash } = experiment;
      return write(() => idRow.parse(insertExperiment.get({ name, spec: toJson(spec), specHash, created: now() })).id);
    },

    /** The experiment with this specification, so that the same question is not computed twice. */
    findExperiment(specHash: string): ExperimentRecord | undefined {
      return read(() => {
        const row = selectExperiment.get(specHash);
        return row === undefined ? undefined : toExperiment(row);
      });
    },

    experiments(): ExperimentRecord[] {
      return read(() => selectExperiments.all().map(toExperiment));
    },

    /** The researcher's own words on an experiment; the report prints them. */
    setNotes(id: number, notes: string): void {
      const { changes } = write(() => updateNotes.run(notes, id));
      if (changes === 0) throw new ForetuneError('not-found', `The project has no experiment number ${id}.`);
    },

    /** Adds a job to the queue. */
    createJob(job: { kind: string; experimentId?: number; spec: unknown }): number {
      const { kind, experimentId = null, spec } = job;
      return write(() => idRow.parse(insertJob.get({ kind, experimentId, spec: toJson(spec), created: now() })).id);
    },

    /** Changes what is given and keeps the rest; `error: null` clears it. Start and finish times follow from the state. */
    updateJob(id: number, change: { state?: JobState; progress?: unknown; error?: ErrorValue | null; heartbeat?: string }): void {
      const { state = null, progress, error, heartbeat = null } = change;
      const values = {
        id,
        state,
        progress: progress === undefined ? null : toJson(progress),
        setError: error === undefined ? 0 : 1,
        error: error ? toJson(error) : null,
        heartbeat,
        now: now(),
      };
      const { changes } = write(() => updateJob.run(values));
      if (changes === 0) throw new ForetuneError('not-found', `The project has no job number ${id}.`);
    },

    jobs(): JobRecord[] {
      return read(() => selectJobs.all().map(toJob));
    },

    /** Records a finished unit of a job for good; a resumed job starts after it. */
    commitUnit(jobId: number, unit: string, payload: unknown): void {
      write(() => insertUnit.run({ jobId, unit, committed: now(), payload: toJson(payload) }));
    },

    /** Finished units of a job with what they left, in the order of their commits. Numbers read back exactly. */
    committedUnits(jobId: number): Map<string, unknown> {
      return read(() => {
        const units = selectUnits.all(jobId).map((row) => unitRow.parse(row));
        return new Map(units.map(({ unit, payload }) => [unit, parsed(payload)]));
      });
    },
  };
}
