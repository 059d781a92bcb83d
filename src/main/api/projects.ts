import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import * as z from 'zod';

import { findMoved } from '#main/jobs/findMoved.ts';
import { checkProject } from '#main/project/check.ts';
import { openProject } from '#main/project/project.ts';
import { writeReport } from '#main/reports/writeReport.ts';
import { ForetuneError } from '#shared/errors.ts';
import { machineSettingsSchema } from '#shared/experiment.ts';
import { experimentSpecSchema, probeMarkSchema } from '#shared/probe.ts';

import { type Context } from './context.ts';
import { demoProjectPath, demoSpec } from './demo.ts';
import { jobSummaries, startScoring } from './jobs.ts';
import { describeModel } from './models.ts';
import { procedure } from './procedure.ts';
import { shelved } from './shelf.ts';

const keySchema = z.object({ project: z.string() });

const extensions = { pdf: '.pdf', latex: '.tex', csv: '-csv', svg: '-svg' } as const;

/** A new project's file must be recognisable, and must not replace another. */
function newProjectPath(path: string): string {
  if (extname(path) !== '.foretune')
    throw new ForetuneError('usage', `A project file's name ends in .foretune; "${basename(path)}" does not.`);
  if (existsSync(path))
    throw new ForetuneError('mismatch', `${path} exists already; open it, or choose another name for the new project.`);
  return path;
}

function enter(
  context: Context,
  path: string,
  mode: 'create' | 'open' | 'open-or-create' | 'read',
  name = basename(path, '.foretune'),
): string {
  return context.projects.enter(path, mode, name, existsSync);
}

/** What a list says of an experiment; a specification that this version does not know is still listed. */
const outlineSchema = z
  .object({
    models: z.array(z.looseObject({ merge: z.unknown().optional() })),
    data: z.object({ path: z.string() }),
    settings: z.object({ labels: z.array(z.string()), units: z.array(z.string()) }),
  })
  .transform(({ models, data, settings: { labels, units } }) => ({
    models: models.length,
    /** How many of them are merges that are not written: a sweep to be judged. */
    merges: models.filter(({ merge }) => merge !== undefined).length,
    data: basename(data.path),
    labels,
    units,
  }))
  .catch({ models: 0, merges: 0, data: '', labels: [], units: [] });

function procedureOf(spec: unknown): 'score' | 'probe' {
  return probeMarkSchema.safeParse(spec).success ? 'probe' : 'score';
}

function outlineOf(spec: unknown): z.infer<typeof outlineSchema> {
  return outlineSchema.parse(spec);
}

function experimentOf(context: Context, { project, experiment }: { project: string; experiment: number }) {
  const found = context.projects
    .get(project)
    .project.experiments()
    .find(({ id }) => id === experiment);
  if (!found) throw new ForetuneError('not-found', `The project has no experiment number ${experiment}.`);
  return found;
}

export const projectProcedures = {
  /** Opens a project for writing (or reading only), or makes it; ":memory:" is one that is never saved. Gives the key by which the others know it. */
  open: procedure
    .input(
      z.object({
        path: z.string().min(1),
        mode: z.enum(['create', 'open', 'open-or-create', 'read']).default('open'),
        name: z.string().optional(),
        /** Put it on the user's list of recent projects. */
        remember: z.boolean().default(false),
      }),
    )
    .handler(({ input, context }) => {
      if (input.path === ':memory:') return { project: enter(context, input.path, 'create', input.name) };
      const path = context.files.allow(input.path);
      if (input.mode === 'create') newProjectPath(path);
      const key = enter(context, path, input.mode, input.name);
      if (input.remember) context.user.remember(key, context.projects.get(key).project.name);
      return { project: key };
    }),

  /** Opens the user's copy of the demo project; when it is new, makes it and starts scoring it. */
  demo: procedure.input(z.object({ machine: machineSettingsSchema.optional() })).handler(async ({ input, context }) => {
    const key = enter(context, demoProjectPath(context.user), 'open-or-create', 'Demo');
    const { project } = context.projects.get(key);
    context.user.remember(key, project.name);
    if (project.experiments().length > 0) return { project: key, job: null };
    const spec = await demoSpec();
    // On the list at once, not only when they are scored.
    for (const { path } of spec.models) project.upsertModel(await describeModel(path));
    const { job } = await startScoring(context, key, spec, input.machine ?? context.user.settings().machine, 'Demo');
    return { project: key, job };
  }),

  /** Stops the project's jobs at their next chunk and closes its file, for every window. */
  close: procedure.input(keySchema).handler(({ input, context }) => context.projects.leave(input.project)),

  /** Everything that stands in lists: models, data, experiments, jobs. Of scores only how many there are. */
  summary: procedure.input(keySchema).handler(({ input, context }) => {
    const open = context.projects.get(input.project);
    const { project } = open;
    const away = shelved(project);
    const jobs = jobSummaries(open);
    const latest = new Map(jobs.map((job) => [job.experimentId, job]));
    return {
      key: input.project,
      name: project.name,
      path: project.path,
      saved: project.path !== ':memory:',
      readOnly: project.mode === 'read',
      /** Why the last change could not be written; null when all are. */
      writeFailure: project.health.failure?.message ?? null,
      models: project
        .models()
        .filter(({ card }) => card.merge === undefined)
        .map((model) => ({ ...model, shelved: away.models.includes(model.id), exists: existsSync(model.path) })),
      datasets: project
        .datasets()
        .map((dataset) => ({ ...dataset, shelved: away.datasets.includes(dataset.id), exists: existsSync(dataset.path) })),
      experiments: project.experiments().map(({ id, name, created, spec }) => ({
        id,
        name,
        created,
        procedure: procedureOf(spec),
        ...outlineOf(spec),
        job: latest.get(id) ?? null,
      })),
      jobs,
    };
  }),

  /** Everything an experiment was set up with. */
  experiment: procedure.input(keySchema.extend({ experiment: z.number().int() })).handler(({ input, context }) => {
    const { name, spec } = experimentOf(context, input);
    return { name, spec: experimentSpecSchema.parse(spec) };
  }),

  /** What changes in the project, whoever changes it, until it is closed. */
  watch: procedure.input(keySchema).handler(async function* ({ input, context, signal }) {
    yield* context.projects.get(input.project).changes.follow(signal);
  }),

  /** How a screen of this project was left. */
  viewState: procedure.input(keySchema.extend({ view: z.string().max(100) })).handler(({ input, context }) => ({
    state: context.projects.get(input.project).project.viewState(`view/${input.view}`) ?? null,
  })),

  setViewState: procedure
    .input(keySchema.extend({ view: z.string().max(100), state: z.json() }))
    .handler(({ input, context }) => {
      context.projects.get(input.project).project.setViewState(`view/${input.view}`, input.state);
    }),

  /** What was written down about an experiment. */
  notes: procedure.input(keySchema.extend({ experiment: z.number().int() })).handler(({ input, context }) => ({
    text: experimentOf(context, input).notes,
  })),

  setNotes: procedure
    .input(keySchema.extend({ experiment: z.number().int(), text: z.string().max(100_000) }))
    .handler(({ input, context }) => {
      const { project, changes } = context.projects.get(input.project);
      project.setNotes(input.experiment, input.text);
      changes.tell('notes');
    }),

  /** Scores of an experiment, or of all of them, with the replicates behind their intervals. */
  scores: procedure
    .input(keySchema.extend({ experiment: z.number().int().optional() }))
    .handler(({ input, context }) => context.projects.get(input.project).project.scores(input.experiment)),

  /** Integrity of a project file and the files it refers to. Never writes. */
  check: procedure
    .input(z.object({ path: z.string().min(1) }))
    .handler(({ input, context }) => checkProject(context.files.allow(input.path))),

  /** Looks below a folder for models and data that have moved, and points the project to those with the same fingerprint. */
  findMoved: procedure
    .input(z.object({ path: z.string().min(1), folder: z.string().min(1) }))
    .handler(async ({ input, context }) => {
      const path = context.files.allow(input.path);
      const folder = context.files.allow(input.folder);
      if (context.projects.has(path)) return { moved: await findMoved(context.projects.get(path).project, folder) };
      const project = openProject(path, { mode: 'write' });
      try {
        return { moved: await findMoved(project, folder) };
      } finally {
        project.close();
      }
    }),

  /** Writes reports of a project file, which is opened for reading only. */
  report: procedure
    .input(
      z.object({
        path: z.string().min(1),
        pdf: z.string().optional(),
        csv: z.string().optional(),
        latex: z.string().optional(),
        svg: z.string().optional(),
      }),
    )
    .handler(async ({ input: { path, ...targets }, context }) => {
      const allowed = Object.fromEntries(
        Object.entries(targets).flatMap(([kind, target]) => (target === undefined ? [] : [[kind, context.files.allow(target)]])),
      );
      const project = openProject(context.files.allow(path), { mode: 'read' });
      try {
        return { files: await writeReport(project, allowed) };
      } finally {
        project.close();
      }
    }),

  /** Writes the chosen reports of an open project into a folder, named after the project. */
  export: procedure
    .input(keySchema.extend({ folder: z.string().min(1), formats: z.array(z.enum(['pdf', 'csv', 'latex', 'svg'])).min(1) }))
    .handler(async ({ input, context }) => {
      const { project } = context.projects.get(input.project);
      const folder = context.files.allow(input.folder);
      const stem = basename(project.path === ':memory:' ? project.name : project.path, '.foretune');
      const targets = Object.fromEntries(input.formats.map((format) => [format, join(folder, `${stem}${extensions[format]}`)]));
      return { files: await writeReport(project, targets) };
    }),

  /** A written report, for a browser that is not on the machine it lies on. */
  download: procedure.input(z.object({ path: z.string() })).handler(async ({ input, context }) => {
    const types: Record<string, string> = {
      '.pdf': 'application/pdf',
      '.csv': 'text/csv',
      '.tex': 'text/x-tex',
      '.svg': 'image/svg+xml',
      '.json': 'application/json',
    };
    const path = context.files.allow(input.path);
    const type = types[extname(path)];
    if (type === undefined)
      throw new ForetuneError(
        'usage',
        `${basename(path)} is no report; only ${Object.keys(types).join(', ')} files can be downloaded.`,
      );
    return { name: basename(path), file: new Blob([new Uint8Array(await readFile(path))], { type }) };
  }),
};
