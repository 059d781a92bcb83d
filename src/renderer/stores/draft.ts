import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { type ScoringSettings, type ScoringSpec } from '#shared/experiment.ts';
import { type Control, type Unit } from '#shared/score.ts';

import { layersText, parseLayers } from '../composables/layers.ts';
import { useProject } from './project.ts';

export interface Draft {
  name: string;
  /** Numbers of models in the project. */
  models: number[];
  dataset: number | null;
  labels: string[];
  units: Unit[];
  metrics: string[];
  layers: string;
  kind: ScoringSpec['settings']['kind'];
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
    labels,
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
    if (chosen.length === 0) return { problem: 'Choose at least one model.' };
    if (!data) return { problem: 'Choose the data.' };
    if (labels.length === 0) return { problem: 'Choose at least one label.' };
    if (units.length === 0) return { problem: 'Choose what counts as a sample.' };
    if (metrics.length === 0) return { problem: 'Choose at least one score.' };
    if (typeof parsed === 'object' && 'problem' in parsed) return parsed;
    return {
      models: chosen.map(({ path, card }) => ({
        path,
        mapping: (card.mapping ?? undefined) as ScoringSpec['models'][number]['mapping'],
      })),
      data: { path: data.path, audioColumn: data.audioColumn ?? undefined, root: data.audioRoot ?? undefined },
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
    draft.value = {
      ...fresh(),
      ...settings,
      name: `${name}, again`,
      models: project.models.filter(({ path }) => models.some((model) => model.path === path)).map(({ id }) => id),
      dataset: project.datasets.find(({ path }) => path === data.path)?.id ?? null,
      layers: layersText(settings.layers),
      sample: settings.sample ?? null,
    };
  }

  return { draft, specOf, startFrom };
});
