import { ForetuneError } from '#shared/errors.ts';

/** Metric column to value. A column is called `task_metric`: `sf_f1` and `sf_cer` are the two metrics of the task `sf`. */
export type MetricValues = Readonly<Record<string, number>>;

/** What scores 0 and what scores 1 on each metric. */
export interface SuperbAnchors {
  /** The baseline, log Mel filter banks in the paper. */
  fbank: MetricValues;
  /** The best published. */
  sota: MetricValues;
}

/** The task a metric column belongs to. */
export function taskOf(metric: string): string {
  return metric.split('_', 1)[0];
}

/**
 * phi as a share of the way from FBANK to SOTA (Speech-FT eq. 5). Serves error rates too, whose differences are both negative.
 * Not clipped: better than SOTA is above 1.
 */
export function normalised(metric: string, value: number, { fbank, sota }: SuperbAnchors): number {
  const span = sota[metric] - fbank[metric];
  if (!(Math.abs(span) > 0))
    throw new ForetuneError(
      'invalid-data',
      `The anchors FBANK and SOTA are equal on ${metric} (${fbank[metric]}), so there is no scale between them.`,
    );
  return (value - fbank[metric]) / span;
}

/**
 * The SUPERB score (Speech-FT eq. 6): 1000 times the mean over tasks of the mean over a task's metrics.
 *
 * @param run begins the sentences
 * @param tasks those that count
 * @throws ForetuneError `invalid-data` for a metric of these tasks that has no value
 */
export function superbScore(run: string, values: MetricValues, anchors: SuperbAnchors, tasks: readonly string[]): number {
  const metrics = Object.keys(anchors.fbank);
  const perTask = tasks.map((task) => {
    const own = metrics.filter((metric) => taskOf(metric) === task);
    if (own.length === 0)
      throw new ForetuneError(
        'invalid-data',
        `There is no task "${task}" in the anchors; there are ${[...new Set(metrics.map(taskOf))].join(', ')}.`,
      );
    const missing = own.find((metric) => !Number.isFinite(values[metric]));
    if (missing !== undefined) {
      throw new ForetuneError(
        'invalid-data',
        `${run} has no value of ${missing}; task ${task} needs ${own.join(' and ')}. Fill it in, or leave the task out with --tasks.`,
      );
    }
    return own.reduce((sum, metric) => sum + normalised(metric, values[metric], anchors), 0) / own.length;
  });
  if (perTask.length === 0) throw new ForetuneError('invalid-data', 'A SUPERB score needs at least one task.');
  return (1000 * perTask.reduce((sum, value) => sum + value, 0)) / perTask.length;
}
