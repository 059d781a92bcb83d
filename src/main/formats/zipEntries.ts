import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';

import { ForetuneError } from '#shared/errors.ts';

import { type ByteSource } from './bytes.ts';

/** A file inside a zip that is stored as it is, so that its bytes are a range of the zip. */
export interface StoredEntry {
  name: string;
  length: number;
  /** First byte in the zip, from the local header. Throws `corrupt`. */
  locate(): Promise<number>;
}

const maxEntries = 1_000_000;

/** yauzl's positional reads, from a byte source. */
class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#source.read(position, length).then(
      (bytes) => {
        buffer.set(bytes, offset);
        callback(null, length);
      },
      (error: unknown) => callback(error as Error),
    );
  }
}

/**
 * The entries of a zip by name; reads its directory only.
 * Throws `corrupt` for a truncated or damaged directory, `unsupported` for a compressed or encrypted entry.
 */
export async function listStoredEntries(source: ByteSource): Promise<Map<string, StoredEntry>> {
  const refuse = (error: unknown) => {
    if (error instanceof ForetuneError) return error;
    const why = (error as Error).message.replace(/\.$/, '');
    return new ForetuneError(
      'corrupt',
      `${source.name}: its zip directory cannot be read (${why}); the file of ${source.size} bytes is truncated or corrupt.`,
    );
  };
  const entries = new Map<string, StoredEntry>();
  let zip: ZipFile | undefined;
  try {
    zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, { lazyEntries: true, autoClose: false });
    const opened = zip;
    for await (const entry of opened.eachEntry()) {
      if (entries.size >= maxEntries) throw new Error(`more than ${maxEntries} entries`);
      entries.set(entry.fileName, { name: entry.fileName, length: entry.uncompressedSize, locate: () => locate(opened, entry) });
    }
  } catch (error) {
    throw refuse(error);
  }
  return entries;

  async function locate(opened: ZipFile, entry: Entry): Promise<number> {
    if (entry.compressionMethod !== 0 || entry.isEncrypted()) {
      throw new ForetuneError(
        'unsupported',
        `${source.name}: the entry ${entry.fileName} is ${entry.isEncrypted() ? 'encrypted' : 'compressed'}; torch stores them plainly: save the checkpoint again with torch.save.`,
      );
    }
    try {
      const { fileDataStart } = await opened.readLocalFileHeaderPromise(entry, { minimal: true });
      return fileDataStart;
    } catch (error) {
      throw refuse(error);
    }
  }
}
