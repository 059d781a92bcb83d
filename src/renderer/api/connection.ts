/**
 * - `connecting`: not there yet
 * - `open`: calls go through
 * - `lost`: gone for now; it is being tried again
 * - `refused`: the server is there but does not know this browser; the page must be opened by the printed address
 */
export type ConnectionState = 'connecting' | 'open' | 'lost' | 'refused';

/** Tells how the link to the engine is doing. */
export class Connection {
  #state: ConnectionState = 'connecting';
  readonly #listeners = new Set<(state: ConnectionState) => void>();

  get state(): ConnectionState {
    return this.#state;
  }

  set(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  /** Calls `listener` at every change; gives a function that stops it. */
  subscribe(listener: (state: ConnectionState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when calls go through (again). */
  opened(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'open') {
        resolve();
        return;
      }
      signal?.throwIfAborted();
      const stop = this.subscribe((state) => {
        if (state !== 'open') return;
        stop();
        resolve();
      });
      signal?.addEventListener(
        'abort',
        () => {
          stop();
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }
}
