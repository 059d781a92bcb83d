import { isAbsolute, parse, relative, resolve, sep } from 'node:path';

const nearness = 2;

/**
 * How a path is written into a project: relative to the project's folder when the two lie near each other (at most two
 * steps up, not by way of the root), so that both can be moved together; absolute otherwise. Always with forward slashes when relative.
 */
export function storedPath(directory: string | undefined, path: string): string {
  const absolute = resolve(path);
  if (directory === undefined) return absolute;
  const way = relative(directory, absolute);
  if (way === '') return '.';
  const up = way.split(sep).filter((step) => step === '..').length;
  const meetsAtRoot = resolve(directory, ...Array<string>(up).fill('..')) === parse(directory).root;
  if (isAbsolute(way) || up > nearness || (up > 0 && meetsAtRoot)) return absolute;
  return way.split(sep).join('/');
}

/** The absolute path behind a stored one. */
export function resolvedPath(directory: string | undefined, stored: string): string {
  return directory === undefined ? stored : resolve(directory, stored);
}
