import { ref } from 'vue';

import { describe } from '../api/engine.ts';

/** Something a button starts: whether it is under way, and the sentence it failed with, to be shown beside the button. */
export function useAction<Arguments extends unknown[]>(work: (...given: Arguments) => Promise<unknown>) {
  const busy = ref(false);
  const error = ref('');

  /** True when it worked. */
  async function run(...given: Arguments): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    error.value = '';
    try {
      await work(...given);
      return true;
    } catch (reason) {
      error.value = describe(reason).message;
      return false;
    } finally {
      busy.value = false;
    }
  }

  return { busy, error, run };
}
