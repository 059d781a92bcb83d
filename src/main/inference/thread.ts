import { Worker } from 'node:worker_threads';

import { type Channel, connect } from '#main/workers/channel.ts';
import { workerUrl } from '#main/workers/location.ts';

import { type InferenceHandlers } from './handlers.ts';

type ThreadHandlers = InferenceHandlers & { end: (input: undefined) => Promise<void> };

/** The one long-lived thread that onnxruntime runs encoders in. This module is all that knows it to be a thread. */
export interface InferenceThread {
  call: Channel<ThreadHandlers>['call'];
  /** Waits for the chunk being worked on, releases the sessions and ends the thread. Never terminates it. */
  close(): Promise<void>;
}

export function startInferenceThread(): InferenceThread {
  const worker = new Worker(workerUrl('inference'));
  const channel = connect<ThreadHandlers>(worker);
  // An idle thread must not keep a finished command alive.
  worker.unref();
  let closing: Promise<void> | undefined;
  let open = 0;
  return {
    async call(method, input, transfer) {
      if (open++ === 0) worker.ref();
      try {
        return await channel.call(method, input, transfer);
      } finally {
        if (--open === 0) worker.unref();
      }
    },
    close() {
      closing ??= (async () => {
        worker.ref();
        await channel.call('end', undefined).catch(() => undefined);
        await channel.ended;
      })();
      return closing;
    },
  };
}
