import { errorCodes, fromErrorValue, toErrorValue } from '#shared/errors.ts';

/** What carries an error's code over a thread border: of an error's own fields only message and cause are cloned. */
interface Carried {
  code: (typeof errorCodes)[number];
}

/** A task whose errors keep their code on the way to the calling thread; `arrived` unpacks them there. */
export function crossing<I, O>(task: (input: I) => O | Promise<O>): (input: I) => Promise<O> {
  return async (input) => {
    try {
      return await task(input);
    } catch (error) {
      const { code, message } = toErrorValue(error);
      throw new Error(message, { cause: { code } satisfies Carried });
    }
  };
}

/** The error that a task threw, as it was. */
export function arrived(error: unknown): unknown {
  if (!(error instanceof Error) || typeof error.cause !== 'object' || error.cause === null) return error;
  const { code } = error.cause as Partial<Carried>;
  const known = errorCodes.find((other) => other === code);
  return known === undefined ? error : fromErrorValue({ code: known, message: error.message });
}
