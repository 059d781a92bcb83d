import { ForetuneError } from '#shared/errors.ts';

import { decodeText } from '../text.ts';
import { quoted } from './alignment.ts';

/** The fields of every line that is neither empty nor a comment (`;;`). */
export function* fieldsOfLines(bytes: Uint8Array, name: string): Generator<{ line: number; fields: string[] }> {
  const { text } = decodeText(bytes);
  if (text.includes('\0')) throw new ForetuneError('unreadable', `${name} is no text: byte ${text.indexOf('\0')} is zero.`);
  let line = 0;
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from);
    const written = text.slice(from, end < 0 ? text.length : end).trim();
    from = end < 0 ? text.length : end + 1;
    line++;
    if (written !== '' && !written.startsWith(';;')) yield { line, fields: written.split(/\s+/) };
  }
}

/**
 * A field as a number of seconds (or samples).
 *
 * @throws ForetuneError `corrupt`, with the line
 */
export function timeOf(field: string | undefined, what: string, name: string, line: number): number {
  const text = (field ?? '').trim();
  const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(value))
    throw new ForetuneError('corrupt', `${name}, line ${line}: the ${what} is ${quoted(text)}, which is no number.`);
  return value;
}
