import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { type ScoringSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type ExperimentSpec, isProbeSpec, type ProbeKind, type ProbeSettings, type ProbeSpec } from '#shared/probe.ts';
import { type Control, type Unit } from '#shared/score.ts';

import { layersText, parseLayers } from '../composables/layers.ts';
import { useAlignments } from './alignments.ts';
import { useProject } from './project.ts';

/** What is to be done with the labels: score the layers by formulas, or train light heads on them. */
export type Procedure = 'score' | 'probe';

export interface Draft {
  procedure: Procedure;
  name: string;
  /** Numbers of models in the project. */
  models: number[];
  dataset: number | null;
  labels: string[];
  /** Labels in time: tiers of the data's alignments. */
  tiers: string[];
  /** Columns of numbers that are predicted together. */
  together: string[];
  units: Unit[];
  metrics: string[];
  layers: string;
  kind: ProbeKind;
  controls: Exclude<Control, ''>[];
  seed: number;
  groups: number;
  resampling: ScoringSettings['resampling'];
  resamples: number;
  rows: number;
  sample: number | null;
  maxSeconds: number;
  centre: boolean;
  /** Of probes alone. */
  heads: ProbeSettings['heads'];
  layerNorm: boolean;
  /** Column that says train, dev or test; one whose values stay together. */
  splitColumn: string | null;
  groupColumn: string | null;
  test: number;
  dev: number;
  frames: number;
  ctc: ProbeSettings['ctc'];
}

function fresh(): Draft {
  return {
    procedure: 'score',
    name: '',
    models: [],
    dataset: null,
    labels: [],
    tiers: [],
    together: [],
    units: ['utterance'],
    metrics: ['logme'],
    layers: '',
    kind: 'auto',
    controls: ['random-weights', 'shuffled-labels'],
    seed: 0,
    groups: 10,
    resampling: 'jackknife',
    resamples: 200,
    rows: 2000,
    sample: null,
    maxSeconds: 30,
    centre: false,
    heads: ['layers', 'weighted-sum'],
    layerNorm: false,
    splitColumn: null,
    groupColumn: null,
    test: 0.2,
    dev: 0.1,
    frames: 20_000,
    ctc: { tokens: 'characters', upsampling: 1, inner: null, epochs: 60, learningRate: 0.01, batch: 8 },
  };
}

/** The experiment that is being set up; kept while one looks at other screens. */
export const useDraft = defineStore('draft', () => {
  const project = useProject();
  const alignments = useAlignments();
  const draft = ref<Draft>(fresh());
  let modelsSeen: number[] = [];

  watch(
    () => project.key,
    () => {
      draft.value = fresh();
      modelsSeen = [];
    },
  );

  /** New models and data are taken in as they come: most people want all of them. */
  watch(
    [() => project.models, () => project.datasets],
    ([models, datasets]) => {
      const ids = models.map(({ id }) => id);
      const added = ids.filter((id) => !modelsSeen.includes(id));
      draft.value.models = [...draft.value.models.filter((id) => ids.includes(id)), ...added];
      modelsSeen = ids;
      if (!datasets.some(({ id }) => id === draft.value.dataset)) draft.value.dataset = datasets.at(-1)?.id ?? null;
    },
    { immediate: true },
  );

  /** What both procedures are told, or the sentence that says what is missing. */
  function commonOf({ models, dataset, labels: columns, tiers, together, units, layers, kind, ...rest }: Draft) {
    const data = project.datasets.find(({ id }) => id === dataset);
    const chosen = project.models.filter(({ id }) => models.includes(id));
    const parsed = parseLayers(layers);
    const isCtc = kind === 'ctc' && rest.procedure === 'probe';
    const labels = isCtc ? columns : [...columns, ...(together.length > 1 ? [together.join('+')] : []), ...tiers];
    const { controls, seed, resamples, maxSeconds, sample } = rest;
    if (chosen.length === 0) return { problem: 'Choose at least one model.' };
    if (!data) return { problem: 'Choose the data.' };
    if (labels.length === 0) return { problem: isCtc ? 'Choose the column of transcripts.' : 'Choose at least one label.' };
    if (units.length === 0 && !isCtc) return { problem: 'Choose what counts as a sample.' };
    if (tiers.length > 0 && units.includes('utterance') && !isCtc)
      return { problem: 'Labels in time are of frames: choose Frame as the only sample, or leave them out.' };
    if (typeof parsed === 'object' && 'problem' in parsed) return parsed;
    return {
      models: chosen.map(({ path, card }) => ({
        path,
        mapping: (card.mapping ?? undefined) as ScoringSpec['models'][number]['mapping'],
      })),
      data: {
        path: data.path,
        audioColumn: data.audioColumn ?? undefined,
        root: data.audioRoot ?? undefined,
        alignments: tiers.length > 0 && !isCtc ? alignments.choice(data.id) : undefined,
      },
      settings: {
        labels,
        units: isCtc ? (['frame'] satisfies Unit[]) : units,
        layers: parsed,
        controls,
        seed,
        resamples,
        maxSeconds,
        sample: sample ?? undefined,
      },
    };
  }

  function scoringSpecOf(wanted: Draft): ScoringSpec | { problem: string } {
    const common = commonOf(wanted);
    if ('problem' in common) return common;
    const { metrics, kind, groups, resampling, rows, centre } = wanted;
    if (metrics.length === 0) return { problem: 'Choose at least one score.' };
    // Transcripts are for heads of probes; left from there, labels are what their values suggest.
    const settings = { metrics, kind: kind === 'ctc' ? ('auto' as const) : kind, groups, resampling, rows, centre };
    return { ...common, settings: { ...common.settings, ...settings } };
  }

  function probeSpecOf(wanted: Draft): ProbeSpec | { problem: string } {
    const common = commonOf(wanted);
    if ('problem' in common) return common;
    const { kind, heads, layerNorm, splitColumn, groupColumn, test, dev, frames, ctc } = wanted;
    const { layers } = common.settings;
    if (heads.length === 0) return { problem: 'Choose what the heads see: layers, their weighted sum, or both.' };
    if (!heads.includes('layers') && layers !== 'all' && layers.length < 2)
      return { problem: 'A weighted sum needs at least two layers.' };
    if (splitColumn === null && test + dev >= 0.98)
      return { problem: 'The held-out and the development part leave nothing to train on.' };
    const split = { column: splitColumn ?? undefined, group: groupColumn ?? undefined, test, dev };
    return { procedure: 'probe', ...common, settings: { ...common.settings, kind, heads, layerNorm, split, frames, ctc } };
  }

  /** What would be run, or the sentence that says what is missing. */
  function specOf(wanted: Draft): ExperimentSpec | { problem: string } {
    return wanted.procedure === 'probe' ? probeSpecOf(wanted) : scoringSpecOf(wanted);
  }

  /** Starts from what an earlier experiment was. */
  function startFrom(spec: ExperimentSpec, name: string): void {
    const { models, data, settings } = spec;
    const dataset = project.datasets.find(({ path }) => path === data.path)?.id ?? null;
    const { alignments: source } = data;
    if (source && dataset !== null) {
      const { path = '', column = null, fold = '', without = [] } = source;
      alignments.change(dataset, { from: column === null ? 'path' : 'column', path, column, fold, without: without.join(', ') });
    }
    let own: Partial<Draft> = { ...settings, layers: layersText(settings.layers), sample: settings.sample ?? null };
    if (isProbeSpec(spec)) {
      const { column = null, group = null, test, dev } = spec.settings.split;
      own = { ...own, procedure: 'probe', splitColumn: column, groupColumn: group, test, dev };
    }
    draft.value = {
      ...fresh(),
      ...own,
      name: `${name}, again`,
      models: project.models.filter(({ path }) => models.some((model) => model.path === path)).map(({ id }) => id),
      dataset,
    };
  }

  /** Sorts labels by what the data have of them: columns, columns together, and the rest from alignments. */
  function fitLabels(columns: readonly string[]): void {
    const { labels, together, dataset } = draft.value;
    const has = (name: string): boolean => columns.includes(name);
    const rest = labels.filter((name) => !has(name));
    const joined = rest.find((name) => name.split('+').every(has));
    draft.value.labels = labels.filter(has);
    draft.value.together = joined === undefined ? together.filter(has) : joined.split('+');
    const aligned = dataset !== null && alignments.choice(dataset) !== undefined;
    const more = aligned ? rest.filter((name) => name !== joined) : [];
    draft.value.tiers = aligned ? [...new Set([...draft.value.tiers, ...more])] : [];
  }

  return { draft, specOf, startFrom, fitLabels };
});
