import { probeMeasures } from '#main/probing/measures.ts';
import { type ExperimentRecord, type StoredScore, type TruthRow } from '#shared/project.ts';
import { type StoredLayerSum } from '#shared/probe.ts';

/** The name under which an experiment's probes stand among what was measured. */
export function probeSource({ id, name }: Pick<ExperimentRecord, 'id' | 'name'>): string {
  return `probes "${name}" (experiment ${id})`;
}

/**
 * Held-out results of probes as truth for scores: of layers, those of heads on single layers; of models, those of heads on the weighted
 * sum. The best layer of a model is no measure of it: it would be chosen by the very utterances that are held out.
 */
export function probeTruth(scores: readonly StoredScore[], sums: readonly StoredLayerSum[]): TruthRow[] {
  const measures = new Map<string, (typeof probeMeasures)[number]>(probeMeasures.map((measure) => [measure.id, measure]));
  const rowOf = (
    { model, label, unit, metric, value, control }: StoredScore | StoredLayerSum,
    layer: number | null,
  ): TruthRow[] => {
    const known = measures.get(metric);
    if (control !== '' || !known) return [];
    const measure = `${known.name} ${layer === null ? 'of the weighted sum ' : ''}by ${unit}`;
    return [{ model, layer, label, measure, value, higherIsBetter: known.direction === 'higher' }];
  };
  return [...scores.flatMap((row) => rowOf(row, row.layer)), ...sums.flatMap((row) => rowOf(row, null))];
}
