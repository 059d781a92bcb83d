import { createHash } from 'node:crypto';

import { type EncoderModel } from '#main/models/model.ts';
import { fewestToPart, type Split, splitUtterances } from '#main/probing/split.ts';
import { type AlignmentReport } from '#main/tasks/alignments/alignments.ts';
import { type Dataset, openDataset, requireColumn } from '#main/tasks/dataset.ts';
import { isAligned, type LabelColumn, shuffledLabels } from '#main/tasks/labels.ts';
import { openLabels } from '#main/tasks/openLabels.ts';
import { shuffledTokens, type TokenColumn, tokenColumn } from '#main/tasks/tokens.ts';
import { openScoredModel } from '#main/weights/member.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ProbeSpec } from '#shared/probe.ts';
import { type Control } from '#shared/score.ts';

import { sampleUtterances } from './plan.ts';
import { checkLayers, labelSource, refuseTwins } from './scoring.ts';
import { probeVersion, versions } from './versions.ts';

/** A column as it is probed: the labels themselves, or their shuffled control. */
export type ProbedColumn = { control: Extract<Control, '' | 'shuffled-labels'> } & (
  { kind: 'labels'; labels: LabelColumn } | { kind: 'tokens'; tokens: TokenColumn }
);

export const columnName = (column: ProbedColumn): string => (column.kind === 'labels' ? column.labels.name : column.tokens.name);

/** A probe run with everything opened and checked: what is left can only fail on single files or on the machine. */
export interface PreparedProbing {
  spec: ProbeSpec;
  models: EncoderModel[];
  dataset: Dataset;
  columns: ProbedColumn[];
  alignments: AlignmentReport | null;
  /** Utterances of each part; the same for all models, labels and heads. */
  split: Split;
  /** The labels whose classes it has in their shares, where it has. */
  stratum: LabelColumn | undefined;
  /** Equal for two runs that must give equal numbers. */
  hash: string;
  warnings: string[];
}

/** Refuses alignments for means, and where frames have no known times. */
function checkLabels({ name, values }: LabelColumn, { settings }: ProbeSpec, models: readonly EncoderModel[]): void {
  if (!values.some(isAligned)) return;
  if (settings.units.includes('utterance')) {
    throw new ForetuneError(
      'usage',
      `The label "${name}" comes from alignments, which label frames: probe it with the unit "frame" alone.`,
    );
  }
  const timeless = models.find(({ frontEnd }) => frontEnd === null);
  if (timeless) {
    throw new ForetuneError(
      'unsupported',
      `The graph of ${timeless.name} does not show the convolutions in front of it, so the times of its frames are unknown and "${name}", which comes from alignments, cannot be probed.`,
    );
  }
}

async function openColumns(
  spec: ProbeSpec,
  dataset: Dataset,
  models: readonly EncoderModel[],
): Promise<{ columns: ProbedColumn[]; alignments: AlignmentReport | null }> {
  const { labels: names, kind, ctc, controls, seed } = spec.settings;
  const shuffled = controls.includes('shuffled-labels');
  if (kind === 'ctc') {
    const own = names.map((name) => tokenColumn(dataset, name, ctc.tokens));
    const columns = own.map((tokens): ProbedColumn => ({ kind: 'tokens', tokens, control: '' }));
    if (shuffled) {
      for (const tokens of own)
        columns.push({ kind: 'tokens', tokens: shuffledTokens(tokens, seed), control: 'shuffled-labels' });
    }
    return { columns, alignments: null };
  }
  const { columns: own, alignments } = await openLabels(dataset, names, {
    kind,
    root: spec.data.root,
    alignments: spec.data.alignments,
  });
  for (const column of own) checkLabels(column, spec, models);
  const columns = own.map((labels): ProbedColumn => ({ kind: 'labels', labels, control: '' }));
  if (shuffled) {
    for (const labels of own) columns.push({ kind: 'labels', labels: shuffledLabels(labels, seed), control: 'shuffled-labels' });
  }
  return { columns, alignments };
}

function rareNames(rare: readonly string[]): string {
  const named = rare.slice(0, 5).map((text) => `"${text}"`);
  return `${named.join(', ')}${rare.length > named.length ? ` and ${rare.length - named.length} more` : ''}`;
}

/** A class of one utterance is either learned or tested, never both; of a stratified split, smaller classes than its parts are only learned. */
function rareClasses({
  columns,
  split,
  stratum,
  spec,
}: Pick<PreparedProbing, 'columns' | 'split' | 'stratum' | 'spec'>): string[] {
  return columns.flatMap((column) => {
    if (column.kind !== 'labels' || column.control !== '' || column.labels.values.some(isAligned)) return [];
    const { name, classes, counts, kind, values } = column.labels;
    if (column.labels === stratum && spec.settings.split.column === undefined) {
      const there = Map.groupBy([...split.train, ...split.dev, ...split.test], (i) => values[i]);
      const rare = classes.filter((_, c) => there.has(c) && there.get(c)!.length < fewestToPart);
      return rare.length === 0
        ? []
        : [
            `"${name}" has ${rare.length === 1 ? 'a class' : 'classes'} with fewer than three utterances (${rareNames(rare)}), which ${rare.length === 1 ? 'stays' : 'stay'} in training: nothing of ${rare.length === 1 ? 'it' : 'them'} is measured.`,
          ];
    }
    const rare = kind === 'regression' ? [] : classes.filter((_, c) => counts[c] === 1);
    return rare.length === 0
      ? []
      : [
          `"${name}" has ${rare.length === 1 ? 'a class' : 'classes'} with a single utterance (${rareNames(rare)}), which can be learned or tested, but not both.`,
        ];
  });
}

function valuesOf(column: ProbedColumn): readonly unknown[] {
  return column.kind === 'labels' ? column.labels.values : column.tokens.values;
}

/** Parts the utterances that have a label; class by class of the first column that has classes, unless groups must stay together. */
function parted(spec: ProbeSpec, dataset: Dataset, columns: readonly ProbedColumn[]): Pick<PreparedProbing, 'split' | 'stratum'> {
  const { split: wanted, seed, sample } = spec.settings;
  for (const column of [wanted.column, wanted.group]) if (column !== undefined) requireColumn(dataset, column);
  const column = (name: string | undefined): string[] | undefined =>
    name === undefined ? undefined : dataset.utterances.map(({ values }) => values[name].trim());
  const labelled = dataset.utterances.map((_, i) => i).filter((i) => columns.some((probed) => valuesOf(probed)[i] !== null));
  const stratum =
    wanted.group === undefined
      ? columns
          .flatMap((probed) => (probed.kind === 'labels' ? [probed.labels] : []))
          .find(({ kind, values }) => kind === 'classification' && !values.some(isAligned))
      : undefined;
  const split = splitUtterances(sampleUtterances(labelled, sample, seed), {
    test: wanted.test,
    dev: wanted.dev,
    seed,
    given: column(wanted.column),
    groups: column(wanted.group),
    classes: stratum?.values,
  });
  return { split, stratum: split.stratified ? stratum : undefined };
}

/** Opens models and data, parts the data, and refuses what cannot be probed, before anything is run. */
export async function prepareProbing(spec: ProbeSpec): Promise<PreparedProbing> {
  const { settings, data } = spec;
  const models: EncoderModel[] = [];
  for (const choice of spec.models) models.push(await openScoredModel(choice));
  refuseTwins(models);
  for (const model of models) checkLayers(model, settings);
  const dataset = await openDataset(data.path, data);
  const { columns, alignments } = await openColumns(spec, dataset, models);
  const warnings = dataset.problems.map(({ row, message }) => `${dataset.name}, row ${row}: ${message}`);
  for (const { row, message } of alignments?.problems ?? []) warnings.push(`${dataset.name}, row ${row}: ${message}`);
  for (const model of models) warnings.push(...model.notes.map((note) => `${model.name}: ${note}`));
  const parts = parted(spec, dataset, columns);
  warnings.push(...rareClasses({ columns, spec, ...parts }));
  const decisive = {
    probing: probeVersion,
    scoring: versions.scoring,
    settings,
    models: models.map(({ name, fingerprint }, i) => ({ name, fingerprint, mapping: spec.models[i].mapping })),
    data: { name: dataset.name, fingerprint: dataset.fingerprint, audioColumn: data.audioColumn ?? null },
    ...labelSource(data, alignments),
  };
  return {
    spec,
    models,
    dataset,
    columns,
    alignments,
    ...parts,
    hash: createHash('sha256').update(JSON.stringify(decisive)).digest('hex'),
    warnings,
  };
}
