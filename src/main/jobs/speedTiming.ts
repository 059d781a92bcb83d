import { groupsByLength } from '#main/speedup/earlyExit.ts';
import { type Judged } from '#main/speedup/judge.ts';
import { type TimingSettings } from '#shared/speed.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Pace } from './pace.ts';
import { sampleUtterances } from './plan.ts';
import { type SpeedRunning } from './speeding.ts';
import { type PreparedSpeed } from './speedPrepare.ts';
import { routeOf } from './speedRoutes.ts';

/** Settings that run the same stages are timed once: heads of different weights, or thresholds with the same exits. */
export function timingKey({ point, track, exits }: Judged): string {
  if (point.exit === null) return `${track.body.key} x${track.upsampling}`;
  return `${track.body.key} ${point.exit.rule} ${exits.join('.')}`;
}

/** How many steps of progress a timing takes. */
export function timingSteps(judged: readonly Judged[], utterances: number, { repetitions, warmUp }: TimingSettings): number {
  return new Set(judged.map(timingKey)).size * utterances * (repetitions + warmUp);
}

/** The utterances that are timed: all, or a sample of about so much audio. */
export function timedUtterances(lengths: readonly number[], audioSeconds: number, seed: number): number[] {
  const all = lengths.map((_, i) => i);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total <= audioSeconds) return all;
  return sampleUtterances(all, Math.max(1, Math.round((all.length * audioSeconds) / total)), seed);
}

/**
 * Times every different way of running the encoder, by really running it: early exits leave where they leave. In each repetition
 * and for each group of utterances all ways take their turn, in rotating order, so that what slows the machine down meanwhile
 * slows all of them.
 * @param timed positions in `prepared.utterances`
 * @param commit is told each finished repetition, and whether it counts; those given in `done` are not run again
 */
export async function timeAll(
  { engine, thread }: Pick<SpeedRunning, 'engine' | 'thread'>,
  prepared: PreparedSpeed,
  judged: readonly Judged[],
  timed: readonly number[],
  timing: TimingSettings,
  options: {
    done: number;
    signal: AbortSignal;
    pace: Pace;
    /** Seconds of every group of utterances, by way of running. */
    commit: (repetition: number, seconds: Record<string, number[]>) => void;
  },
): Promise<void> {
  const { signal, pace } = options;
  const ways = [...new Map(judged.map((one) => [timingKey(one), one])).entries()];
  const audio: { samples: Float32Array; fold: number; seconds: number }[] = [];
  const wanted = timed.map((position) => prepared.utterances[position]);
  const indices = wanted.map(({ utterance }) => utterance);
  for await (const decoded of decodeAhead(engine, prepared.dataset, indices, prepared.model.preprocessing.samplingRate)) {
    if (!decoded.audio) continue;
    const { samples, seconds } = decoded.audio;
    audio.push({ samples, seconds, fold: wanted[indices.indexOf(decoded.utterance)].fold });
  }
  const groups = groupsByLength(
    audio.map(({ samples }) => samples.length),
    prepared.spec.settings.earlyExit.batch,
  );
  for (let repetition = options.done; repetition < timing.warmUp + timing.repetitions; repetition++) {
    const measured: Record<string, number[]> = Object.fromEntries(ways.map(([key]) => [key, []]));
    for (const [g, group] of groups.entries()) {
      for (let turn = 0; turn < ways.length; turn++) {
        signal.throwIfAborted();
        const [key, { track, point }] = ways[(turn + g + repetition) % ways.length];
        const { seconds } = await thread.call('timeGroup', {
          group: group.map((i) => ({ samples: audio[i].samples, route: routeOf(prepared, track.body, [track], audio[i].fold) })),
          exit: point.exit,
        });
        measured[key].push(seconds);
        pace.add(group.length, 0);
      }
    }
    options.commit(repetition, measured);
  }
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Seconds of one way of running, from its repetitions over the groups, [repetition][group]: the sum over groups of the median over
 * repetitions, which a burst of other work on the machine does not move, and the plain sum of each repetition beside it.
 */
export function summariseTimes(repetitions: readonly (readonly number[])[]): { seconds: number; repetitions: number[] } {
  const groups = repetitions[0]?.length ?? 0;
  let seconds = 0;
  for (let group = 0; group < groups; group++) seconds += median(repetitions.map((measured) => measured[group]));
  return { seconds, repetitions: repetitions.map((measured) => measured.reduce((sum, value) => sum + value, 0)) };
}
