import { probeMeasures } from '#main/probing/measures.ts';
import { metrics } from '#main/scoring/registry.ts';
import { type ScoreAxis } from '#shared/figures/axis.ts';

/** Units of the scores that have one. */
const units: Record<string, string> = { logme: 'nats per sample' };

/** A score's name, unit and direction, from the registries of scores and of probes; one that they no longer know keeps its id and counts as higher-is-better. */
export function scoreAxis(id: string): ScoreAxis {
  const known = [...metrics, ...probeMeasures].find((metric) => metric.id === id);
  return { name: known?.name ?? id, unit: units[id] ?? '', higherIsBetter: known?.direction !== 'lower' };
}
