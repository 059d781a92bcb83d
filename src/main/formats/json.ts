import { ForetuneError } from '#shared/errors.ts';

/** UTF-8 bytes as text. Throws `corrupt`; `what` begins the sentence. */
export function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ForetuneError('corrupt', `${what} is not UTF-8 text (${bytes.byteLength} bytes).`);
  }
}

/** UTF-8 bytes as a JSON value. Throws `corrupt`; `what` begins the sentence. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  const text = decodeUtf8(bytes, what);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ForetuneError('corrupt', `${what} is not JSON (${(error as Error).message}).`);
  }
}

/** Whether a JSON value is an object, neither null nor a list. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
