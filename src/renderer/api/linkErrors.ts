import { ForetuneError } from '#shared/errors.ts';
import { fromWire, isAsyncIterator, mapIteratorErrors } from '#shared/wire.ts';

import { type Connection } from './connection.ts';

/** What a call is told that cannot be answered now. */
export function disconnected(cause?: unknown): ForetuneError {
  return new ForetuneError('disconnected', 'The connection to Foretune is lost; it is being tried again.', { cause });
}

interface Call {
  signal?: AbortSignal;
  next: () => Promise<unknown>;
}

/** Makes every refusal of a link, also one in the middle of a stream, a ForetuneError with the sentence of its origin. */
export function sayErrors(connection: Connection): (call: Call) => Promise<unknown> {
  return async ({ signal, next }) => {
    const say = (error: unknown): ForetuneError => {
      if (signal?.aborted) return new ForetuneError('cancelled', 'The request was cancelled.', { cause: error });
      // The library rejects what was under way, and what is sent meanwhile, with errors of its own that carry no code.
      const isOurs = error instanceof Error && 'code' in error && 'data' in error;
      if (!isOurs && connection.state !== 'open') {
        return disconnected(error);
      }
      return fromWire(error);
    };
    try {
      const output = await next();
      return isAsyncIterator(output) ? mapIteratorErrors(output, say) : output;
    } catch (error) {
      throw say(error);
    }
  };
}
