/** Where a worker's code lies: beside this file as TypeScript in the sources, as a bundle of its own in a packaged app. */
export function workerUrl(name: 'inference' | 'compute'): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? `./${name}.ts` : `./workers/${name}.js`, import.meta.url);
}
