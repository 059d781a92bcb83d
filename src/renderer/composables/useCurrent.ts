import { onScopeDispose, ref, shallowRef, watch } from 'vue';

import { describe } from '../api/engine.ts';
import { type ErrorValue } from '#shared/errors.ts';

/**
 * An answer that follows what is asked: each change of the question, after a pause for typing, asks anew and drops what was under
 * way. `question` gives null where there is nothing to ask.
 */
export function useCurrent<Question, Answer>(
  question: () => Question | null,
  ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
  pause = 350,
) {
  const answer = shallowRef<Answer>();
  const error = shallowRef<ErrorValue>();
  const busy = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking: AbortController | undefined;

  function begin(wanted: Question): void {
    const abort = (asking = new AbortController());
    ask(wanted, abort.signal)
      .then((found) => {
        if (abort.signal.aborted) return;
        answer.value = found;
        error.value = undefined;
      })
      .catch((reason: unknown) => {
        if (abort.signal.aborted) return;
        answer.value = undefined;
        error.value = describe(reason);
      })
      .finally(() => {
        if (!abort.signal.aborted) busy.value = false;
      });
  }

  watch(
    () => JSON.stringify(question()),
    () => {
      clearTimeout(timer);
      asking?.abort();
      const wanted = question();
      if (wanted === null) {
        answer.value = undefined;
        error.value = undefined;
        busy.value = false;
        return;
      }
      busy.value = true;
      timer = setTimeout(() => begin(wanted), pause);
    },
    { immediate: true },
  );
  onScopeDispose(() => {
    clearTimeout(timer);
    asking?.abort();
  });

  return { answer, error, busy };
}
