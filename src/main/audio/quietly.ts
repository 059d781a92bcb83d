/** Runs a decoder's synchronous call without what it prints: the wasm decoders report stream errors on the console too. */
export function quietly<T>(call: () => T): T {
  const { error, warn, log } = console;
  const silent = () => undefined;
  Object.assign(console, { error: silent, warn: silent, log: silent });
  try {
    return call();
  } finally {
    Object.assign(console, { error, warn, log });
  }
}
