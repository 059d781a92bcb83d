import { createAtomicFile } from '#main/formats/atomicFile.ts';

/** Writes a file that appears under its name only when it is complete. Throws `no-space`, `not-found` or `unreadable`. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const file = await createAtomicFile(path);
  try {
    await file.write(typeof content === 'string' ? new TextEncoder().encode(content) : content, 0);
    await file.commit();
  } finally {
    await file.discard();
  }
}
