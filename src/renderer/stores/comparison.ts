import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { type CompareEvent, type DriftEvent, engine } from '../api/engine.ts';
import { useStreamed } from '../composables/useStreamed.ts';
import { useApp } from './app.ts';
import { useMerge } from './merge.ts';
import { useProject } from './project.ts';

/** What fine-tuning changed, in weights and in features; kept while one looks at other screens. */
export const useComparison = defineStore('comparison', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();
  const merge = useMerge();

  // Weights.
  const asked = ref('');
  const density = ref<number | null>(0.2);
  const weights = useStreamed((event: CompareEvent) => (event.type === 'done' ? event.result : undefined));
  const question = (): string => JSON.stringify([merge.base, merge.tuned, density.value ?? null]);

  async function compare(): Promise<void> {
    const key = question();
    const request = { a: merge.base, b: [...merge.tuned], ...(density.value === null ? {} : { density: density.value }) };
    if (await weights.run((signal) => api.weights.compare(request, { signal }))) asked.value = key;
  }
  /** Whether what was found is of other models, or another density, than those chosen now. */
  const isStale = (): boolean => asked.value !== question();

  // Features.
  const dataset = ref<number | null>(null);
  const sample = ref<number | null>(50);
  const mergedAt = ref<number | null>(0.25);
  const features = useStreamed((event: DriftEvent) => (event.type === 'done' ? event.drift : undefined));
  watch(
    () => project.datasets,
    (there) => {
      if (!there.some(({ id }) => id === dataset.value)) dataset.value = there.at(-1)?.id ?? null;
    },
    { immediate: true },
  );

  async function measure(): Promise<void> {
    const data = project.datasets.find(({ id }) => id === dataset.value);
    const wanted = merge.request;
    if (!data || wanted.problem !== undefined) return;
    const { base, finetuned, method, settings } = wanted;
    const member = { finetuned, method, alpha: { value: mergedAt.value ?? 0 }, settings };
    await features.run((signal) =>
      api.weights.drift(
        {
          models: [
            { path: base },
            ...finetuned.map((path) => ({ path })),
            ...(mergedAt.value === null ? [] : [{ path: base, merge: member }]),
          ],
          data: { path: data.path, audioColumn: data.audioColumn ?? undefined, root: data.audioRoot ?? undefined },
          ...(sample.value === null ? {} : { sample: sample.value }),
          machine: app.settings!.machine,
        },
        { signal },
      ),
    );
  }

  watch(
    () => project.key,
    () => {
      for (const one of [weights, features]) {
        one.stop();
        one.result.value = undefined;
      }
    },
  );

  return {
    found: weights.result,
    progress: weights.progress,
    busy: weights.busy,
    error: weights.error,
    stop: weights.stop,
    density,
    compare,
    isStale,
    dataset,
    sample,
    mergedAt,
    drift: features.result,
    driftProgress: features.progress,
    drifting: features.busy,
    driftError: features.error,
    stopDrift: features.stop,
    measure,
  };
});
