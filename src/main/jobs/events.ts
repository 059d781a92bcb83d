import { type JobEvent } from '#shared/jobs.ts';

type WithoutNumber<T> = T extends unknown ? Omit<T, 'seq' | 'job'> : never;

/** What a job reports; the log adds its number and the job's. */
export type JobReport = WithoutNumber<JobEvent>;

/**
 * The events of one job, in order, kept so that a listener that comes late or was away gets them all. Progress events
 * replace one another in the kept part: only the latest is worth telling twice.
 */
export class EventLog {
  private readonly job: number;
  private kept: JobEvent[] = [];
  private seq = 0;
  private ended = false;
  private wake = new Set<() => void>();

  constructor(job: number) {
    this.job = job;
  }

  add(report: JobReport): void {
    const event = { ...report, seq: ++this.seq, job: this.job };
    if (event.type === 'progress' && this.kept.at(-1)?.type === 'progress') this.kept.pop();
    this.kept.push(event);
    this.notify();
  }

  get isEnded(): boolean {
    return this.ended;
  }

  /** No more events will come. */
  end(): void {
    this.ended = true;
    this.notify();
  }

  private notify(): void {
    for (const wake of this.wake) wake();
    this.wake.clear();
  }

  /** All events after `since` (0 for all), then new ones as they come, until the job ends. */
  async *follow(since = 0, signal?: AbortSignal): AsyncGenerator<JobEvent> {
    let last = since;
    for (;;) {
      const next = this.kept.filter(({ seq }) => seq > last);
      for (const event of next) {
        last = event.seq;
        yield event;
      }
      if (next.length > 0) continue;
      if (this.ended || signal?.aborted) return;
      await new Promise<void>((resolve) => {
        this.wake.add(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}
