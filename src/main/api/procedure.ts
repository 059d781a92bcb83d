import { ORPCError, os } from '@orpc/server';

import { type ErrorValue, toErrorValue } from '#shared/errors.ts';
import { isAsyncIterator, mapIteratorErrors, wireCode } from '#shared/wire.ts';

import { type Context } from './context.ts';

export { fromWire } from '#shared/wire.ts';

/** The base of every procedure: knows the context, and lets our errors cross any link as values, also out of a stream. */
export const procedure = os.$context<Context>().use(async ({ next }) => {
  try {
    const result = await next();
    const output: unknown = result.output;
    return isAsyncIterator(output) ? { ...result, output: mapIteratorErrors(output, toWire) } : result;
  } catch (error) {
    throw toWire(error);
  }
});

/** Errors of the library itself (an input that is not valid) travel as they are; all others with a code and a sentence. */
function toWire(error: unknown): unknown {
  if (error instanceof ORPCError) return error;
  const { code, message } = toErrorValue(error);
  return new ORPCError(wireCode, { message, data: { code, message } satisfies ErrorValue, cause: error });
}
