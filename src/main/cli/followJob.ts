import type { Api } from '#main/api/router.ts';
import { ForetuneError } from '#shared/errors.ts';

import { createProgressView } from './progress.ts';
import { untilInterrupted } from './run.ts';

/**
 * Shows a job's progress and remarks on stderr until it ends.
 * @param file the project file that keeps what was done; none for a project in memory
 * @throws ForetuneError the job's own failure, `cancelled`
 */
export async function followJob(
  api: Api,
  { project, job, file, quiet }: { project: string; job: number; file?: string; quiet?: boolean },
): Promise<void> {
  const view = createProgressView();
  let failure: ForetuneError | undefined;
  try {
    for await (const event of await api.jobs.follow({ project, job })) {
      if (event.type === 'error') failure = new ForetuneError(event.code, event.message);
      else if (event.type === 'state' && event.state === 'cancelled') {
        failure = new ForetuneError(
          'cancelled',
          file === undefined
            ? 'cancelled; nothing was saved.'
            : `cancelled; ${file} keeps what was done, and the same command goes on from there.`,
        );
      } else if (quiet) continue;
      else if (event.type === 'progress') view.show(event.progress);
      else if (event.type === 'log') view.line(event.level === 'warning' ? `warning: ${event.message}` : event.message);
    }
  } finally {
    view.stop();
  }
  if (failure) throw failure;
}

/** Follows a job to its end, or cancels it on an interrupt. `path`: the project's file, or ":memory:". */
export async function finishJob(
  api: Api,
  { project, job, path, quiet }: { project: string; job: number; path: string; quiet?: boolean },
): Promise<void> {
  const file = path === ':memory:' ? undefined : path;
  await untilInterrupted(
    () => void api.jobs.cancel({ project, job }),
    () => followJob(api, { project, job, file, quiet }),
  );
}
