import { defineStore } from 'pinia';
import { ref, shallowRef, watch } from 'vue';

import { type Progress } from '#shared/jobs.ts';

import { type Comparison, describe, engine } from '../api/engine.ts';
import { useProject } from './project.ts';

/** What fine-tuning changed in the models compared last; kept while one looks at other screens. */
export const useComparison = defineStore('comparison', () => {
  const { api } = engine();
  const project = useProject();
  const found = shallowRef<Comparison>();
  const asked = ref('');
  const density = ref<number | null>(0.2);
  const progress = shallowRef<Progress>();
  const busy = ref(false);
  const error = ref('');
  let abort: AbortController | undefined;

  const keyOf = (a: string, b: readonly string[]): string => JSON.stringify([a, b, density.value ?? null]);

  async function run(a: string, b: readonly string[]): Promise<void> {
    abort?.abort();
    const own = (abort = new AbortController());
    busy.value = true;
    error.value = '';
    progress.value = undefined;
    const key = keyOf(a, b);
    try {
      const request = { a, b: [...b], ...(density.value === null ? {} : { density: density.value }) };
      for await (const event of await api.weights.compare(request, { signal: own.signal })) {
        if (own.signal.aborted) return;
        if (event.type === 'progress') progress.value = event.progress;
        else {
          found.value = event.result;
          asked.value = key;
        }
      }
    } catch (reason) {
      if (!own.signal.aborted) error.value = describe(reason).message;
    } finally {
      if (abort === own) busy.value = false;
    }
  }

  /** Whether what was found is of other models, or another density, than these. */
  const isStale = (a: string, b: readonly string[]): boolean => asked.value !== keyOf(a, b);

  watch(
    () => project.key,
    () => {
      abort?.abort();
      found.value = undefined;
    },
  );

  return { found, density, progress, busy, error, run, stop: () => abort?.abort(), isStale };
});
