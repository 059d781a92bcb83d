import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { type ScoringSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type Control, type Unit } from '#shared/score.ts';

import { layersText, parseLayers } from '../composables/layers.ts';
import { useAlignments } from './alignments.ts';
import { useProject } from './project.ts';

export interface Draft {
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
  kind: ScoringSettings['kind'];
  controls: Exclude<Control, ''>[];
  seed: number;
  groups: number;
  resampling: ScoringSettings['resampling'];
  resamples: number;
  rows: number;
  sample: number | null;
  maxSeconds: number;
  centre: boolean;
}

function fresh(): Draft {
  return {
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

  /** What would be run, or the sentence that says what is missing. */
  function specOf({
    models,
    dataset,
    labels: columns,
    tiers,
    together,
    units,
    metrics,
    layers,
    kind,
    controls,
    seed,
    groups,
    resampling,
    resamples,
    rows,
    sample,
    maxSeconds,
    centre,
  }: Draft): ScoringSpec | { problem: string } {
    const data = project.datasets.find(({ id }) => id === dataset);
    const chosen = project.models.filter(({ id }) => models.includes(id));
    const parsed = parseLayers(layers);
    const labels = [...columns, ...(together.length > 1 ? [together.join('+')] : []), ...tiers];
    if (chosen.length === 0) return { problem: 'Choose at least one model.' };
    if (!data) return { problem: 'Choose the data.' };
    if (labels.length === 0) return { problem: 'Choose at least one label.' };
    if (units.length === 0) return { problem: 'Choose what counts as a sample.' };
    if (tiers.length > 0 && units.includes('utterance'))
      return { problem: 'Labels in time are of frames: choose Frame as the only sample, or leave them out.' };
    if (metrics.length === 0) return { problem: 'Choose at least one score.' };
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
        alignments: tiers.length > 0 ? alignments.choice(data.id) : undefined,
      },
      settings: {
        labels,
        units,
        metrics,
        layers: parsed,
        kind,
        controls,
        seed,
        groups,
        resampling,
        resamples,
        rows,
        maxSeconds,
        centre,
        sample: sample ?? undefined,
      },
    };
  }

  /** Starts from what an earlier experiment was. */
  function startFrom({ models, data, settings }: ScoringSpec, name: string): void {
    const dataset = project.datasets.find(({ path }) => path === data.path)?.id ?? null;
    const { alignments: source } = data;
    if (source && dataset !== null) {
      const { path = '', column = null, fold = '', without = [] } = source;
      alignments.change(dataset, { from: column === null ? 'path' : 'column', path, column, fold, without: without.join(', ') });
    }
    draft.value = {
      ...fresh(),
      ...settings,
      name: `${name}, again`,
      models: project.models.filter(({ path }) => models.some((model) => model.path === path)).map(({ id }) => id),
      dataset,
      layers: layersText(settings.layers),
      sample: settings.sample ?? null,
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
