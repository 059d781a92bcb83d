/** Waits for a promise, or rejects with the signal's reason if that comes first. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (!signal) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Lets one run at a time have something that they share, in the order in which they came. */
export class Turns {
  #last: Promise<void> = Promise.resolve();
  #open = 0;

  /**
   * Waits for the turn; rejects with the signal's reason if that comes first.
   * @param onWait is told at once if others are before
   * @returns ends the turn; may be called twice
   */
  async take(signal?: AbortSignal, onWait?: () => void): Promise<() => void> {
    const before = this.#last;
    let resolve = (): void => undefined;
    const over = new Promise<void>((done) => (resolve = done));
    // Who gives up waiting must not let those behind past the one before.
    this.#last = before.then(() => over);
    if (this.#open++ > 0) onWait?.();
    let isOver = false;
    const end = (): void => {
      if (!isOver) this.#open--;
      isOver = true;
      resolve();
    };
    try {
      await unlessAborted(before, signal);
    } catch (error) {
      end();
      throw error;
    }
    return end;
  }
}
