import { Presets, SingleBar } from 'cli-progress';

import { type Progress } from '#shared/jobs.ts';

import { duration, log } from './output.ts';

/** Between two plain lines in a log. */
const lineEverySeconds = 10;

/** Shows progress on stderr: a bar on a terminal, a line now and then elsewhere. */
export interface ProgressView {
  show(progress: Progress): void;
  /** A line that stands above the bar. */
  line(text: string): void;
  stop(): void;
}

function rate({ speed, secondsLeft }: Progress): string {
  const parts = [
    speed === null ? '' : `${speed.toFixed(speed < 10 ? 1 : 0)} x real time`,
    secondsLeft === null ? '' : `${duration(secondsLeft)} left`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

export function createProgressView(isTerminal = process.stderr.isTTY): ProgressView {
  return isTerminal ? bar() : lines();
}

function bar(): ProgressView {
  const view = new SingleBar(
    {
      format: '{bar} {percentage} %  {doing}  {rate}',
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      clearOnComplete: true,
    },
    Presets.rect,
  );
  let last: Progress | undefined;
  return {
    show(progress) {
      const payload = { doing: progress.doing, rate: rate(progress) };
      if (last) view.update(progress.done, payload);
      else view.start(progress.total, progress.done, payload);
      last = progress;
    },
    line(text) {
      if (last) process.stderr.write('\r\x1b[K');
      log(text);
      if (last) view.render();
    },
    stop() {
      if (last) view.stop();
    },
  };
}

function lines(): ProgressView {
  let told = -Infinity;
  return {
    show(progress) {
      const now = performance.now() / 1000;
      if (progress.done < progress.total && now - told < lineEverySeconds) return;
      told = now;
      const percent = progress.total === 0 ? 100 : Math.floor((100 * progress.done) / progress.total);
      log([`${String(percent).padStart(3)} %  ${progress.doing}`, rate(progress)].filter((part) => part !== '').join('  '));
    },
    line: log,
    stop: () => undefined,
  };
}
