import { type MessagePort, type Transferable, type Worker } from 'node:worker_threads';

import { type ErrorValue, ForetuneError, fromErrorValue, toErrorValue } from '#shared/errors.ts';

/** What a worker offers: one function per message name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the one place where the input type must stay open: `never` would make handlers uncallable
export type Handlers = Record<string, (input: any) => unknown>;

type Request = { id: number; method: string; input: unknown };
type Reply = { id: number; ok: true; value: unknown } | { id: number; ok: false; error: ErrorValue };

/** A handler's answer whose buffers move to the other thread instead of being copied. */
export class Transfer<T> {
  readonly value: T;
  readonly list: Transferable[];

  constructor(value: T, list: Transferable[]) {
    this.value = value;
    this.list = list;
  }
}

type Unwrapped<T> = T extends Transfer<infer U> ? U : T;

/** Answers requests one after another: onnxruntime sessions and accumulators must never be entered twice. */
export function serve(port: MessagePort, handlers: Handlers): void {
  let last: Promise<void> = Promise.resolve();
  port.on('message', ({ id, method, input }: Request) => {
    last = last.then(async () => {
      try {
        const handler = handlers[method];
        if (!handler) throw new ForetuneError('internal', `The worker has no handler called ${method}.`);
        const result = await handler(input);
        if (result instanceof Transfer)
          port.postMessage({ id, ok: true, value: result.value as unknown } satisfies Reply, result.list);
        else port.postMessage({ id, ok: true, value: result } satisfies Reply);
      } catch (error) {
        port.postMessage({ id, ok: false, error: toErrorValue(error) } satisfies Reply);
      }
    });
  });
}

/** The calling end of a worker. */
export interface Channel<H extends Handlers> {
  call<K extends keyof H & string>(
    method: K,
    input: Parameters<H[K]>[0],
    transfer?: Transferable[],
  ): Promise<Unwrapped<Awaited<ReturnType<H[K]>>>>;
  /** Resolves when the thread has ended by itself. */
  readonly ended: Promise<void>;
}

/** Connects to a worker; calls still open when the thread dies are rejected. */
export function connect<H extends Handlers>(worker: Worker): Channel<H> {
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  let death: Error | undefined;
  const rejectAll = (error: Error): void => {
    death = error;
    for (const { reject } of open.values()) reject(error);
    open.clear();
  };
  worker.on('message', (reply: Reply) => {
    const waiting = open.get(reply.id);
    open.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(fromErrorValue(reply.error));
  });
  worker.on('error', (error) => rejectAll(error instanceof Error ? error : new Error(String(error))));
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      rejectAll(death ?? new ForetuneError('internal', 'The inference thread has ended.'));
      resolve();
    });
  });
  return {
    ended,
    call: (method, input, transfer = []) =>
      new Promise((resolve, reject) => {
        if (death) {
          reject(death);
          return;
        }
        const id = nextId++;
        open.set(id, { resolve: resolve as (value: unknown) => void, reject });
        worker.postMessage({ id, method, input } satisfies Request, transfer);
      }),
  };
}
