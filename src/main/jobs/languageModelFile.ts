import { createReadStream } from 'node:fs';
import { type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { ArpaReader } from '#main/decoding/arpa.ts';
import { type LanguageModel } from '#main/decoding/languageModel.ts';
import { openFile } from '#main/formats/bytes.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

const binaryModel = 'mmap lm http://kheafield.com/code';

/**
 * Reads an n-gram model from a file in ARPA format, plain or gzipped (told by its first bytes).
 * @throws ForetuneError `not-found`, `unreadable`, `unsupported` for KenLM's binary format, `corrupt` with line and number.
 */
export async function readLanguageModel(path: string): Promise<LanguageModel> {
  const source = await openFile(path);
  const head = await source.read(0, Math.min(source.size, binaryModel.length)).finally(() => source.close());
  if (Buffer.from(head).toString('latin1') === binaryModel)
    throw new ForetuneError(
      'unsupported',
      `${path} is a binary of KenLM; give the ARPA file (.arpa or .arpa.gz) it was made from.`,
    );
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  const reader = new ArpaReader(path);
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const stream: Readable = isGzip ? file.pipe(createGunzip()) : file;
  // A pipe does not hand on errors.
  if (isGzip) file.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream) reader.push(chunk as Uint8Array);
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError(isGzip ? 'corrupt' : 'unreadable', `${path} cannot be read: ${toErrorValue(error).message}.`, {
      cause: error,
    });
  } finally {
    file.destroy();
  }
  return reader.finish();
}
