import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ForetuneError } from '#shared/errors.ts';

/** The bundled demonstration data. */
export const demoFolder = fileURLToPath(new URL('../../../resources/demo', import.meta.url));

/** The path without symbolic links; of a file that is yet to be made, its folder's. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(real(parent), path.slice(parent.length));
  }
}

function contains(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Which files a caller may name. A window or the command line may name all; a server those below its root. */
export interface FileAccess {
  /** The only folder that may be looked at; null for the whole machine. */
  readonly root: string | null;
  /** The absolute path, if it may be used. Throws `unsafe` when it, or what a link in it points to, lies elsewhere. */
  allow(path: string): string;
}

/** `also`: folders of the program's own that are open as well (the demo, the user's settings). */
export function createFileAccess(root: string | undefined, also: readonly string[] = []): FileAccess {
  if (root === undefined) return { root: null, allow: (path) => resolve(path) };
  const top = real(resolve(root));
  const open = [top, ...also.map((folder) => real(resolve(folder)))];
  return {
    root: top,
    allow(path) {
      const absolute = resolve(top, path);
      const target = real(absolute);
      if (!open.some((folder) => contains(folder, target))) {
        throw new ForetuneError(
          'unsafe',
          `${absolute} lies outside ${top}, the only folder this server shows; start it with --root to show another.`,
        );
      }
      return absolute;
    },
  };
}
