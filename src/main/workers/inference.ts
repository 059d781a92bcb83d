import { parentPort } from 'node:worker_threads';

import { inferenceHandlers } from '#main/inference/handlers.ts';

import { serve } from './channel.ts';

if (!parentPort) throw new Error('This file runs in a worker thread.');
const port = parentPort;
const handlers = inferenceHandlers();

serve(port, {
  ...handlers,
  // The thread must end by itself: terminating a thread that may be inside onnxruntime aborts the process.
  async end(_: undefined): Promise<void> {
    await handlers.close(undefined);
    setImmediate(() => port.close());
  },
});
