import { defineStore } from 'pinia';
import { computed, ref, watch } from 'vue';

import { engine, type Mapping, type SimilarityEvent } from '../api/engine.ts';
import { useStreamed } from '../composables/useStreamed.ts';
import { useApp } from './app.ts';
import { useProject } from './project.ts';

export type Against = 'model' | 'filterbank' | 'data';
export type Take = 'frames' | 'mean' | 'median';

/** How alike two sets of features are, layer by layer; kept while one looks at other screens. */
export const useSimilarity = defineStore('similarity', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();

  const model = ref<number | null>(null);
  const dataset = ref<number | null>(null);
  const against = ref<Against>('model');
  const otherModel = ref<number | null>(null);
  const otherDataset = ref<number | null>(null);
  const bands = ref<number | null>(80);
  const metrics = ref<string[]>(['cka']);
  const take = ref<Take>('frames');
  const sample = ref<number | null>(50);
  const rows = ref<number | null>(2000);
  const p = ref<number | null>(2);
  const projections = ref<number | null>(50);
  const seed = ref<number | null>(0);
  const run = useStreamed((event: SimilarityEvent) => (event.type === 'done' ? event.result : undefined));

  /** Only distances compare samples that are not the same on both sides. */
  const pairs = (id: string): boolean => id !== 'swd' && id !== 'tsne';
  const offered = computed(() =>
    app.metrics.filter(({ needs, id }) => needs === 'two-sets' && (against.value !== 'data' || !pairs(id))),
  );
  const wanted = computed(() => metrics.value.filter((id) => offered.value.some((metric) => metric.id === id)));

  watch(
    [() => project.models, () => project.datasets],
    ([models, datasets]) => {
      const keep = (chosen: number | null, known: readonly { id: number }[], first: number) =>
        known.some(({ id }) => id === chosen) ? chosen : (known.at(first)?.id ?? known.at(0)?.id ?? null);
      model.value = keep(model.value, models, 0);
      otherModel.value = keep(otherModel.value, models, 1);
      dataset.value = keep(dataset.value, datasets, 0);
      otherDataset.value = keep(otherDataset.value, datasets, 1);
    },
    { immediate: true },
  );
  watch(against, (kind) => {
    if (kind === 'data' && wanted.value.length === 0) metrics.value = [...metrics.value, 'swd'];
    else if (kind === 'filterbank' && !metrics.value.some(pairs)) metrics.value = ['cka'];
  });

  /** What is still missing, in a sentence. */
  const problem = computed((): string => {
    if (project.models.length === 0) return 'The project has no model yet; add one under Models.';
    if (project.datasets.length === 0) return 'The project has no data yet; add some under Data.';
    if (wanted.value.length === 0) return 'Choose a score.';
    return '';
  });

  const question = (): string =>
    JSON.stringify([
      model.value,
      dataset.value,
      against.value,
      otherModel.value,
      otherDataset.value,
      bands.value,
      wanted.value,
      [take.value, sample.value, rows.value, p.value, projections.value, seed.value],
    ]);
  const asked = ref('');
  /** Whether what was found answers another question than the one now set up. */
  const isStale = computed(() => asked.value !== '' && asked.value !== question());

  async function compare(): Promise<void> {
    const modelOf = (id: number | null) => project.models.find((one) => one.id === id);
    const dataOf = (id: number | null) => {
      const { path, audioColumn, audioRoot } = project.datasets.find((one) => one.id === id)!;
      return { path, audioColumn: audioColumn ?? undefined, root: audioRoot ?? undefined };
    };
    const side = (of: number | null, on: number | null) => ({
      kind: 'model' as const,
      model: { path: modelOf(of)!.path, mapping: (modelOf(of)!.card.mapping ?? undefined) as Mapping | undefined },
      data: dataOf(on),
    });
    const other = (): Parameters<typeof api.features.similarity>[0]['b'] => {
      if (against.value === 'filterbank') return { kind: 'filterbank', bands: bands.value ?? 80, data: dataOf(dataset.value) };
      return against.value === 'model' ? side(otherModel.value, dataset.value) : side(otherModel.value, otherDataset.value);
    };
    const key = question();
    const request = {
      a: side(model.value, dataset.value),
      b: other(),
      metrics: wanted.value,
      take: take.value,
      rows: rows.value ?? 2000,
      ...(sample.value === null ? {} : { sample: sample.value }),
      seed: seed.value ?? 0,
      p: p.value ?? 2,
      projections: projections.value ?? 50,
      machine: app.settings!.machine,
    };
    if (await run.run((signal) => api.features.similarity(request, { signal }))) asked.value = key;
  }

  watch(
    () => project.key,
    () => {
      run.stop();
      run.result.value = undefined;
      asked.value = '';
    },
  );

  return {
    model,
    dataset,
    against,
    otherModel,
    otherDataset,
    bands,
    metrics,
    take,
    sample,
    rows,
    p,
    projections,
    seed,
    offered,
    wanted,
    problem,
    isStale,
    compare,
    found: run.result,
    progress: run.progress,
    busy: run.busy,
    error: run.error,
    stop: run.stop,
  };
});
