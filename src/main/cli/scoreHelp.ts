import { metrics } from '#main/scoring/registry.ts';

import { formatTable } from './output.ts';

const needs = {
  moments: 'labels; sums over every frame suffice',
  samples: 'labels, and samples: rows that are kept',
  'source-posteriors': 'labels, and a classifier of the model’s own',
  'two-sets': 'two sets of features, no labels',
} as const;

/** Every score with what it needs, which way is better, what it costs and where it comes from: the end of `--help`. */
export function scoreHelp(kinds: (keyof typeof needs)[] = ['moments', 'samples', 'source-posteriors', 'two-sets']): string {
  const shown = metrics.filter((metric) => kinds.includes(metric.needs));
  const rows = shown.map((metric) => [metric.id, `${metric.direction} is better`, needs[metric.needs], metric.cost]);
  const sources = shown.map(({ id, name, source }) => `  ${id}: ${name}. ${source}`);
  return `\nScores:\n${formatTable(['name', 'direction', 'needs', 'cost'], rows)}\n\nSources:\n${sources.join('\n')}`;
}
