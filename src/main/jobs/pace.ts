import { type Progress } from '#shared/jobs.ts';

/** Between two progress reports, so that a fast run does not drown its listeners. */
const reportEveryMs = 200;

/** How far a run has come, how fast it goes and how long it still takes. */
export class Pace {
  private readonly total: number;
  private readonly report: (progress: Progress) => void;
  private done = 0;
  private worked = 0;
  private audioSeconds = 0;
  private what = '';
  private readonly start = performance.now();
  private lastReport = -Infinity;

  constructor(total: number, report: (progress: Progress) => void) {
    this.total = total;
    this.report = report;
  }

  doing(what: string): void {
    this.what = what;
    this.tell(true);
  }

  /** Steps that an earlier run has done: they count as done, not as work. Told with what is done next, if nothing has a name yet. */
  skip(steps: number): void {
    this.done += steps;
    if (this.what !== '') this.tell(steps > 0);
  }

  add(steps: number, audioSeconds: number): void {
    this.done += steps;
    this.worked += steps;
    this.audioSeconds += audioSeconds;
    this.tell(this.done === this.total);
  }

  private tell(always: boolean): void {
    const now = performance.now();
    if (!always && now - this.lastReport < reportEveryMs) return;
    this.lastReport = now;
    const elapsed = (now - this.start) / 1000;
    this.report({
      done: this.done,
      total: this.total,
      doing: this.what,
      speed: this.audioSeconds > 0 ? this.audioSeconds / elapsed : null,
      secondsLeft: this.worked > 0 ? ((this.total - this.done) * elapsed) / this.worked : null,
    });
  }
}
