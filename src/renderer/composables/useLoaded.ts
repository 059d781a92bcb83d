import { onScopeDispose, shallowRef, watch, type WatchSource } from 'vue';

import { describe } from '../api/engine.ts';

/** What a screen reads from the engine, read again whenever one of its sources changes; an answer that comes late is dropped. */
export function useLoaded<T>(sources: WatchSource[], read: () => Promise<T | undefined>) {
  const data = shallowRef<T>();
  const error = shallowRef('');
  let asked = 0;

  async function load(): Promise<void> {
    const turn = ++asked;
    try {
      const found = await read();
      if (turn !== asked) return;
      data.value = found;
      error.value = '';
    } catch (reason) {
      if (turn === asked) error.value = describe(reason).message;
    }
  }

  watch(sources, () => void load(), { immediate: true });
  onScopeDispose(() => asked++);
  return { data, error, load };
}
