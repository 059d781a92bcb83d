import { createHash } from 'node:crypto';

import type * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';

function isLossy(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'bigint' || ArrayBuffer.isView(value) || value instanceof Map || value instanceof Set;
}

/** JSON text of a value that reads back the same. Throws `internal` for what JSON would silently change: NaN, infinities, typed arrays. */
export function toJson(value: unknown): string {
  const text: string | undefined = JSON.stringify(value, (key, part: unknown) => {
    if (isLossy(part))
      throw new ForetuneError('internal', `JSON cannot hold the ${typeof part} under "${key}" exactly; nothing was saved.`);
    return part;
  });
  return text ?? 'null';
}

/** The value behind a JSON column. Throws `corrupt` where the text is no JSON. */
export function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForetuneError(
      'corrupt',
      `The project holds JSON that cannot be read ("${text.slice(0, 40)}"); go back to a backup.`,
      { cause: error },
    );
  }
}

function sortedKeys(_key: string, part: unknown): unknown {
  if (part === null || typeof part !== 'object' || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** SHA-256 of a JSON value, whatever the order of its keys. */
export function hashJson(value: unknown): string {
  const canonical = JSON.stringify(fromJson(toJson(value)), sortedKeys);
  return createHash('sha256').update(canonical).digest('hex');
}

/** A value on its way into the project, checked. Throws `invalid-data` with `what`, the field and the reason. */
export function checkedEntry<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new ForetuneError('invalid-data', `${what} is not valid (${issue.path.join('.')}: ${issue.message}); nothing was saved.`);
}
