import { ref, shallowRef } from 'vue';

import { type Progress } from '#shared/jobs.ts';

import { describe } from '../api/engine.ts';

interface Telling {
  type: string;
  progress?: Progress;
}

/** Work of the engine that tells how far it has come, and its result last. A new run takes the place of one under way. */
export function useStreamed<Event extends Telling, Result>(resultOf: (event: Event) => Result | undefined) {
  const result = shallowRef<Result>();
  const progress = shallowRef<Progress>();
  const busy = ref(false);
  const error = ref('');
  let abort: AbortController | undefined;

  /** True when there is a new result. */
  async function run(open: (signal: AbortSignal) => Promise<AsyncIterable<Event>>): Promise<boolean> {
    abort?.abort();
    const own = (abort = new AbortController());
    busy.value = true;
    error.value = '';
    progress.value = undefined;
    let done = false;
    try {
      for await (const event of await open(own.signal)) {
        if (own.signal.aborted) break;
        if (event.progress) progress.value = event.progress;
        const found = resultOf(event);
        if (found === undefined) continue;
        result.value = found;
        done = true;
      }
    } catch (reason) {
      if (!own.signal.aborted) error.value = describe(reason).message;
    } finally {
      if (abort === own) busy.value = false;
    }
    return done;
  }

  return { result, progress, busy, error, run, stop: () => abort?.abort() };
}
