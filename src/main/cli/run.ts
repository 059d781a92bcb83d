import type { Api } from '#main/api/router.ts';

/**
 * Runs a command against the router and closes everything afterwards, whatever happened. The engine is loaded here and not
 * above: help, versions and wrong usage need none of it and should be there at once.
 */
export async function withApi<T>(work: (api: Api) => Promise<T>): Promise<T> {
  const [{ openWorkbench }, { directApi }] = await Promise.all([import('#main/api/context.ts'), import('#main/api/router.ts')]);
  const workbench = openWorkbench();
  try {
    return await work(directApi(workbench));
  } finally {
    await workbench.close();
  }
}

/** Calls `stop` on the first interrupt, so that work ends at the next chunk; a second interrupt ends the process as usual. */
export async function untilInterrupted<T>(stop: () => void, work: () => Promise<T>): Promise<T> {
  const onInterrupt = (): void => {
    process.stderr.write('\nStopping at the next chunk of audio ...\n');
    stop();
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    return await work();
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}
