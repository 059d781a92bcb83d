import { type Progress } from '#shared/jobs.ts';

/** Between two reports, so that a fast run does not drown its listeners. */
const reportEveryMs = 100;
/** The share that must be done before the rest is estimated. */
const firstShare = 0.02;

/** How many of the elements of some tensors have been worked off, and how long the rest takes at this rate. */
export class Progressing {
  private readonly total: number;
  private readonly tell: (progress: Progress) => void;
  private started = performance.now();
  private done = 0;
  private told = 0;

  constructor(total: number, tell: (progress: Progress) => void = () => undefined) {
    this.total = total;
    this.tell = tell;
  }

  /** From the first element again, for another reading of the same tensors. */
  restart(): void {
    this.started = performance.now();
    this.done = 0;
  }

  add(elements: number, doing: string): void {
    this.done += elements;
    const now = performance.now();
    if (this.done < this.total && now - this.told < reportEveryMs) return;
    this.told = now;
    // Of the first piece, most of the time goes into opening files: it says nothing of the rest.
    const secondsLeft = this.done < firstShare * this.total ? null : ((now - this.started) / 1000) * (this.total / this.done - 1);
    this.tell({ done: this.done, total: this.total, doing, speed: null, secondsLeft });
  }
}
