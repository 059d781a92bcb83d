import { openFile } from '#main/formats/bytes.ts';
import { isJsonObject, parseJson } from '#main/formats/json.ts';
import { ForetuneError } from '#shared/errors.ts';

const maxBytes = 16 * 1024 * 1024;

/** A JSON file that holds an object, with its bytes; undefined if there is no such file. Throws `corrupt` or `unreadable`. */
export async function readJsonObject(path: string): Promise<{ bytes: Uint8Array; json: Record<string, unknown> } | undefined> {
  const source = await openFile(path).catch((error: unknown) => {
    if (error instanceof ForetuneError && error.code === 'not-found') return undefined;
    throw error;
  });
  if (!source) return undefined;
  try {
    if (source.size > maxBytes)
      throw new ForetuneError('corrupt', `${path} has ${source.size} bytes; a description of a model has at most ${maxBytes}.`);
    const bytes = await source.read(0, source.size);
    const json = parseJson(bytes, path);
    if (!isJsonObject(json)) throw new ForetuneError('corrupt', `${path} is not a JSON object.`);
    return { bytes, json };
  } finally {
    await source.close();
  }
}
