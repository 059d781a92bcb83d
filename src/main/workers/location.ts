/** Where a worker's code lies: beside this file, as TypeScript in the sources and as JavaScript in a build. */
export function workerUrl(name: 'inference' | 'compute'): URL {
  return new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
}
