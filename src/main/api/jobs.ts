import * as z from 'zod';

import { type RunningJob, speedJobSchema } from '#main/jobs/queue.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings, machineSettingsSchema, type ScoringSpec, scoringSpecSchema } from '#shared/experiment.ts';
import { experimentSpecSchema, type ProbeSpec, probeSpecSchema } from '#shared/probe.ts';

import { type Context, type OpenProject } from './context.ts';
import { estimateRun } from './estimate.ts';
import { procedure } from './procedure.ts';
import { startSpeed } from './speedRuns.ts';

const jobSchema = z.object({ project: z.string(), job: z.number().int() });

/** Refuses a run that reads files which this caller may not name. */
export function allowFiles({ files }: Context, { models, data }: Pick<ScoringSpec, 'models' | 'data'>): void {
  const paths = [
    ...models.flatMap(({ path, merge }) => [path, ...(merge?.finetuned ?? [])]),
    data.path,
    data.root,
    data.alignments?.path,
  ];
  for (const path of paths) if (path !== undefined) files.allow(path);
}

/** Starts scoring, or takes up the unfinished run of the same experiment. */
export async function startScoring(
  context: Context,
  key: string,
  spec: ScoringSpec,
  machine: MachineSettings,
  name?: string,
): Promise<{ job: number; experiment: number }> {
  const { queue } = context.projects.get(key);
  return announce(context, key, await queue.score(spec, machine, name));
}

/** Starts probes, or takes up the unfinished run of the same experiment. */
export async function startProbing(
  context: Context,
  key: string,
  spec: ProbeSpec,
  machine: MachineSettings,
  name?: string,
): Promise<{ job: number; experiment: number }> {
  const { queue } = context.projects.get(key);
  return announce(context, key, await queue.probe(spec, machine, name));
}

/** Lets every window on the project know how a job goes. */
function announce(
  context: Context,
  key: string,
  job: RunningJob & { experimentId: number },
): { job: number; experiment: number } {
  const { changes } = context.projects.get(key);
  // A failure reaches the listeners of `follow`; nobody may be waiting here.
  job.finished.catch(() => undefined);
  changes.tell('experiments');
  void (async () => {
    let doing = '';
    for await (const event of job.events.follow()) {
      if (event.type === 'state') changes.tell('jobs');
      else if (event.type === 'progress' && event.progress.doing !== doing) {
        doing = event.progress.doing;
        changes.tell('scores');
      }
    }
    for (const topic of ['models', 'data', 'scores', 'jobs'] as const) changes.tell(topic);
  })();
  return { job: job.id, experiment: job.experimentId };
}

/**
 * The jobs of a project without their specifications. `interrupted`: it ran when the program ended, and can be taken up. A job
 * that ended when the file could not be written is still running in the file; what is known of it here counts.
 */
export function jobSummaries({ project, queue }: OpenProject) {
  const sweeps = new Map(project.speedRuns().map(({ id, name }) => [id, name]));
  return project.jobs().map(({ spec, progress: _progress, ...rest }) => {
    const sweep = rest.kind === 'speed' ? speedJobSchema.parse(spec).run : null;
    const job = { ...rest, sweep: sweep === null ? null : { run: sweep, name: sweeps.get(sweep) ?? '' } };
    const unfinished = job.state === 'queued' || job.state === 'running';
    const known = queue.get(job.id);
    const live = unfinished && known !== undefined && !known.ended();
    // In a project opened for reading only it may be running elsewhere.
    if (!unfinished || live || project.mode === 'read') return { ...job, live };
    const failure = known?.failure() ?? null;
    return { ...job, live, state: failure ? ('failed' as const) : ('interrupted' as const), error: failure ?? job.error };
  });
}

export const jobProcedures = {
  /** Starts scoring in an open project, or takes up the unfinished run of the same experiment. */
  score: procedure
    .input(
      z.object({ project: z.string(), name: z.string().optional(), spec: scoringSpecSchema, machine: machineSettingsSchema }),
    )
    .handler(({ input, context }) => {
      allowFiles(context, input.spec);
      return startScoring(context, input.project, input.spec, input.machine, input.name);
    }),

  /** Takes up a job that was cancelled, failed or interrupted, after its last committed unit. */
  resume: procedure.input(jobSchema.extend({ machine: machineSettingsSchema })).handler(async ({ input, context }) => {
    const open = context.projects.get(input.project);
    const row = open.project.jobs().find(({ id }) => id === input.job);
    if (!row) throw new ForetuneError('not-found', `The project has no job number ${input.job}.`);
    const { live } = jobSummaries(open).find(({ id }) => id === input.job)!;
    if (live) return { job: row.id, experiment: row.experimentId };
    if (row.kind === 'probe') return startProbing(context, input.project, probeSpecSchema.parse(row.spec), input.machine);
    if (row.kind === 'speed') {
      const { job } = await startSpeed(context, input.project, speedJobSchema.parse(row.spec).spec, input.machine);
      return { job, experiment: null };
    }
    return startScoring(context, input.project, scoringSpecSchema.parse(row.spec), input.machine);
  }),

  /** How much work a run would be, and about how long it would take here. */
  estimate: procedure.input(z.object({ spec: experimentSpecSchema })).handler(({ input, context, signal }) => {
    allowFiles(context, input.spec);
    return estimateRun(context, input.spec, signal);
  }),

  /** The events of a job after number `since`, then new ones as they come, until it ends. */
  follow: procedure.input(jobSchema.extend({ since: z.number().int().nonnegative().default(0) })).handler(async function* ({
    input,
    context,
    signal,
  }) {
    const job = context.projects.get(input.project).queue.get(input.job);
    if (!job) throw new ForetuneError('not-found', `Job ${input.job} has not run since ${input.project} was opened.`);
    yield* job.events.follow(input.since, signal);
  }),

  /** Asks a job to stop at its next chunk. */
  cancel: procedure.input(jobSchema).handler(({ input, context }) => {
    context.projects.get(input.project).queue.get(input.job)?.cancel();
  }),

  list: procedure
    .input(z.object({ project: z.string() }))
    .handler(({ input, context }) => jobSummaries(context.projects.get(input.project))),
};
