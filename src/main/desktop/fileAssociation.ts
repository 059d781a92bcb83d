import { isAbsolute, resolve } from 'node:path';

export const projectExtension = '.foretune';

/** The project that a command line names, as an absolute path. Chromium and the system add switches of their own. */
export function projectOfCommandLine(argv: readonly string[], folder: string): string | undefined {
  const named = argv
    .slice(1)
    .findLast((argument) => !argument.startsWith('-') && argument.toLowerCase().endsWith(projectExtension));
  if (named === undefined) return undefined;
  return isAbsolute(named) ? named : resolve(folder, named);
}

/** What a second start hands to the first one; anything else that came with it is not looked at. */
export interface StartRequest {
  project: string | null;
}

export function isStartRequest(value: unknown): value is StartRequest {
  return (
    typeof value === 'object' &&
    value !== null &&
    'project' in value &&
    (value.project === null || typeof value.project === 'string')
  );
}
