/** What of a project changed, in the words of the screens that show it. */
export type Topic = 'models' | 'data' | 'experiments' | 'jobs' | 'scores' | 'truth' | 'speed' | 'notes' | 'saving' | 'closed';

/** Tells every window on a project what another one, or a job, has changed. */
export class ChangeFeed {
  private readonly listeners = new Set<(topic: Topic) => void>();
  private readonly told = new Map<Topic, number>();

  /** How often a topic has changed: what was made from it is stale when this has risen. */
  version(topic: Topic): number {
    return this.told.get(topic) ?? 0;
  }

  tell(topic: Topic): void {
    this.told.set(topic, this.version(topic) + 1);
    for (const listener of this.listeners) listener(topic);
  }

  /** Topics as they change; one that changes again before it was taken is told once. Ends with `closed`. */
  async *follow(signal?: AbortSignal): AsyncGenerator<Topic> {
    const pending = new Set<Topic>();
    let wake = (): void => undefined;
    const listener = (topic: Topic): void => {
      pending.add(topic);
      wake();
    };
    const onAbort = (): void => wake();
    this.listeners.add(listener);
    signal?.addEventListener('abort', onAbort);
    try {
      while (!signal?.aborted) {
        for (const topic of [...pending]) {
          pending.delete(topic);
          yield topic;
          if (topic === 'closed') return;
        }
        if (pending.size > 0 || signal?.aborted) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.listeners.delete(listener);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
