import * as z from 'zod';

import { readManifest } from '#main/formats/manifest.ts';
import { alignTranscripts } from '#main/jobs/align.ts';
import { decodeAhead } from '#main/jobs/decodeAhead.ts';
import { type Dataset, type Utterance } from '#main/tasks/dataset.ts';
import { collectAlignments } from '#main/tasks/alignments/alignments.ts';
import { beyondAudio, labelColumn } from '#main/tasks/labels.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type DataChoice, dataChoiceSchema, machineSettingsSchema, modelChoiceSchema } from '#shared/experiment.ts';

import { type Context } from './context.ts';
import { evenly } from './evenly.ts';
import { procedure } from './procedure.ts';
import { setShelved } from './shelf.ts';

/** Rate at which clips are shown and heard: that of every encoder so far. */
const clipRate = 16_000;
/** Longest clip that is sent to a screen, in seconds. */
const longestClip = 60;

/** The choice with its paths checked. */
function allowed({ files }: Context, { path, audioColumn, root, alignments }: DataChoice): DataChoice {
  const optional = (place: string | undefined) => (place === undefined ? undefined : files.allow(place));
  return {
    path: files.allow(path),
    audioColumn,
    root: optional(root),
    alignments: alignments && { ...alignments, path: optional(alignments.path) },
  };
}

/** What is said when in an utterance, tier by tier; a sentence where its alignment cannot be used. */
async function alignmentOf({ datasets, files }: Context, choice: DataChoice, utterance: Utterance, seconds: number) {
  const source = await datasets.alignments(choice, (path) => files.allow(path));
  if (!source) return null;
  try {
    const found = await source.of(utterance);
    const tiers = found?.tiers ?? [];
    const end = Math.max(0, ...tiers.map(({ intervals }) => intervals.at(-1)?.end ?? 0));
    const problem = found ? (beyondAudio(end, seconds) ?? '') : `${source.path} has no alignment of this file.`;
    return { tiers, problem };
  } catch (error) {
    return { tiers: [], problem: toErrorValue(error).message };
  }
}

/** A manifest's row as a list shows it. */
function rowOf({ path, utterances }: Dataset, index: number) {
  const { id, path: file, start, end, values, row } = utterances[index];
  return { index, id, file, manifest: path, start: start ?? null, end: end ?? null, values, row };
}

/** Values of a column that are shown to tell what it holds. */
const examples = 3;

export const dataProcedures = {
  /** The columns of a manifest as they are written, before any audio is looked for: for a user who says which one names it. */
  columns: procedure.input(z.object({ path: z.string().min(1) })).handler(async ({ input, context }) => {
    const { columns, rows } = await readManifest(context.files.allow(input.path));
    return columns.map((name) => ({
      name,
      examples: [...new Set(rows.slice(0, 100).map(({ values }) => values[name]))].slice(0, examples),
    }));
  }),

  /** Reads a manifest and says what was understood: columns, labels, files that are missing. */
  inspect: procedure.input(dataChoiceSchema.extend({ label: z.string().optional() })).handler(async ({ input, context }) => {
    const { utterances, ...dataset } = await context.datasets.open(allowed(context, input), true);
    const label = input.label === undefined ? undefined : labelColumn({ ...dataset, utterances }, input.label);
    return {
      ...dataset,
      utterances: utterances.length,
      label: label && {
        name: label.name,
        kind: label.kind,
        classes: label.classes,
        counts: label.counts,
        unlabelled: label.unlabelled,
      },
    };
  }),

  /** How a label column would be read, with the number of utterances per class, or the values of a regression target. */
  label: procedure.input(dataChoiceSchema.extend({ label: z.string() })).handler(async ({ input, context }) => {
    const { name, kind, classes, counts, values, unlabelled } = labelColumn(
      await context.datasets.open(allowed(context, input)),
      input.label,
    );
    return {
      name,
      kind,
      classes,
      counts,
      unlabelled,
      numbers: values
        .flatMap((value) => (typeof value === 'number' ? [value] : value instanceof Float64Array ? [...value] : []))
        .slice(0, kind === 'regression' ? 20_000 : 0),
    };
  }),

  /**
   * Reads all alignments and says what was understood: tiers, files without one, problems, and, for a label, its classes with the
   * intervals and seconds of each. Tells how far it is as it goes; the report comes last.
   */
  alignments: procedure.input(dataChoiceSchema.extend({ label: z.string().optional() })).handler(async function* ({
    input,
    context,
    signal,
  }) {
    const choice = allowed(context, input);
    const dataset = await context.datasets.open(choice);
    const source = await context.datasets.alignments(choice, (path) => context.files.allow(path), true);
    if (!source) throw new ForetuneError('usage', 'Name a folder, a file or a column with the alignments.');
    const total = dataset.utterances.length;
    let done = 0;
    let finished = false;
    const reading = collectAlignments(dataset, source, choice.alignments!, input.label === undefined ? [] : [input.label], {
      signal,
      step: () => done++,
    }).finally(() => (finished = true));
    reading.catch(() => undefined);
    while (!finished) {
      await Promise.race([reading.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 200).unref())]);
      if (!finished) yield { done, total, report: null };
    }
    const { report, columns } = await reading;
    const [label] = columns.map(({ name, classes, counts, seconds, unlabelled }) => ({
      name,
      classes,
      counts,
      seconds,
      unlabelled,
    }));
    yield { done: total, total, report: { ...report, label: columns.length > 0 ? label : null } };
  }),

  /** Aligns transcripts with audio by a model's CTC head and writes the alignments, which labels of frames can then come from. */
  align: procedure
    .input(
      z.object({
        model: modelChoiceSchema,
        data: dataChoiceSchema.omit({ alignments: true }),
        /** Column of transcripts. */
        text: z.string().min(1),
        /** A .csv file for all, or a folder for TextGrids. */
        out: z.string().min(1).optional(),
        maxSeconds: z.number().positive().max(600).default(30),
        machine: machineSettingsSchema,
      }),
    )
    .handler(async function* ({ input, context, signal }) {
      const { model, data, out } = input;
      const request = {
        ...input,
        model: { ...model, path: context.files.allow(model.path) },
        data: allowed(context, data),
        out: out === undefined ? undefined : context.files.allow(out),
      };
      yield* alignTranscripts(context.engine, request, signal);
    }),

  /** Puts a data set on the project's list. */
  add: procedure.input(dataChoiceSchema.extend({ project: z.string() })).handler(async ({ input, context }) => {
    const { project, changes } = context.projects.get(input.project);
    const choice = allowed(context, input);
    const dataset = await context.datasets.open(choice, true);
    const known = project
      .datasets()
      .find(({ name, fingerprint }) => name === dataset.name && fingerprint === dataset.fingerprint);
    const { name, path, audioColumn, fingerprint, problems, utterances } = dataset;
    const id = project.upsertDataset({
      name,
      path,
      audioColumn,
      audioRoot: choice.root ?? null,
      fingerprint,
      utterances: utterances.length,
      hours: known?.hours ?? null,
      problems: problems.map(({ row, file = null, message }) => ({ row, file, message })),
    });
    setShelved(project, 'datasets', id, false);
    changes.tell('data');
    return { id, name };
  }),

  /** Takes a data set off the project's list, or puts it back. */
  shelve: procedure
    .input(z.object({ project: z.string(), id: z.number().int(), away: z.boolean() }))
    .handler(({ input, context }) => {
      const { project, changes } = context.projects.get(input.project);
      setShelved(project, 'datasets', input.id, input.away);
      changes.tell('data');
    }),

  /** Rows of a manifest, a page at a time; `find` keeps those that hold this text anywhere. */
  rows: procedure
    .input(
      dataChoiceSchema.extend({
        offset: z.number().int().nonnegative().default(0),
        limit: z.number().int().positive().max(1000).default(200),
        find: z.string().default(''),
      }),
    )
    .handler(async ({ input, context }) => {
      const dataset = await context.datasets.open(allowed(context, input));
      const text = input.find.trim().toLowerCase();
      const found = dataset.utterances.flatMap(({ id, values }, i) =>
        text === '' || [id, ...Object.values(values)].some((value) => value.toLowerCase().includes(text)) ? [i] : [],
      );
      return { total: found.length, rows: found.slice(input.offset, input.offset + input.limit).map((i) => rowOf(dataset, i)) };
    }),

  /** Decodes audio files (all, or some spread evenly over the set) and tells their durations and what is wrong with them, as it goes. */
  survey: procedure.input(dataChoiceSchema.extend({ most: z.number().int().positive().optional() })).handler(async function* ({
    input,
    context,
    signal,
  }) {
    const dataset = await context.datasets.open(allowed(context, input));
    const chosen = evenly(dataset.utterances.length, input.most ?? Infinity);
    let durations: number[] = [];
    let problems: { row: number; file: string; message: string }[] = [];
    let done = 0;
    let told = Date.now();
    for await (const { utterance, audio, problem } of decodeAhead(context.engine, dataset, chosen, clipRate)) {
      if (signal?.aborted) return;
      done++;
      if (audio) durations.push(audio.seconds);
      else problems.push({ row: dataset.utterances[utterance].row, file: dataset.utterances[utterance].path, message: problem });
      if (done < chosen.length && Date.now() - told < 200) continue;
      yield { done, total: chosen.length, durations, problems };
      durations = [];
      problems = [];
      told = Date.now();
    }
  }),

  /** One utterance as mono samples in [-1, 1], to be heard and drawn; at most a minute of it. */
  clip: procedure
    .input(dataChoiceSchema.extend({ index: z.number().int().nonnegative() }))
    .handler(async ({ input, context }) => {
      const choice = allowed(context, input);
      const dataset = await context.datasets.open(choice);
      if (input.index >= dataset.utterances.length) {
        throw new ForetuneError(
          'not-found',
          `${dataset.name} has ${dataset.utterances.length} utterances; there is none with number ${input.index}.`,
        );
      }
      const { path, start, end } = dataset.utterances[input.index];
      const { samples, seconds, resampling, downmix } = await context.engine.compute('decode', {
        path: context.files.allow(path),
        rate: clipRate,
        start,
        end,
      });
      return {
        ...rowOf(dataset, input.index),
        seconds,
        rate: clipRate,
        resampling,
        downmix,
        alignment: await alignmentOf(context, choice, dataset.utterances[input.index], seconds),
        samples: samples.slice(0, longestClip * clipRate),
      };
    }),
};
