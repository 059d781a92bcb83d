import { type HeatmapFigure } from '#shared/figures/heatmap.ts';

import { type MetricItem, type SimilarityResult } from '../api/engine.ts';

/** One cell in words: "layer 3 of A and layer 5 of B". */
export function placeOf({ a, b }: SimilarityResult, { rows, columns }: HeatmapFigure, row: number, column: number): string {
  if (b.layers[0] === null) return `${b.name} and layer ${columns[column]} of ${a.name}`;
  const own = a.name === b.name && a.data !== b.data ? [` on ${a.data}`, ` on ${b.data}`] : ['', ''];
  return `${rows[row].label} of ${a.name}${own[0]} and layer ${columns[column]} of ${b.name}${own[1]}`;
}

const samples = { frames: 'frames', mean: 'means over utterances', median: 'medians over utterances' } as const;

/** What was held against what. */
export function similaritySubtitle({ a, b, take, paired }: SimilarityResult): string {
  const side = ({ name, data, rows }: SimilarityResult['a']) => `${name} on ${data} (${rows} ${samples[take]})`;
  const common = paired === null ? '' : `; ${paired} of them paired for CKA and PWCCA`;
  return `${side(a)} against ${side(b)}${common}`;
}

/** A score of every layer of one side (rows) with every layer of the other (columns); a filterbank is a single row. */
export function similarityHeatmap(result: SimilarityResult, { id, name }: MetricItem): HeatmapFigure {
  const { a, b, values } = result;
  const own = values.filter(({ metric }) => metric === id);
  const number = (layer: number | null): number => layer ?? 0;
  const isBank = b.layers.length === 1 && b.layers[0] === null;
  const columns = (isBank ? a : b).layers.map(number);
  const down = isBank ? b.layers : a.layers;
  return {
    kind: 'heatmap',
    title: isBank ? `${name}: ${a.name} and ${b.name}` : `${name} of layers: ${a.name} and ${b.name}`,
    subtitle: similaritySubtitle(result),
    // What is alike is neither good nor bad; nothing is to be ringed.
    score: { name, unit: '', higherIsBetter: null },
    rowName: isBank ? 'features' : `layer of ${a.name}`,
    columnName: `Layer of ${isBank ? a.name : b.name}`,
    columns,
    detailNames: [],
    rows: down.map((layer) => ({
      id: String(layer),
      label: layer === null ? b.name : `layer ${layer}`,
      details: [],
      control: false,
    })),
    values: down.map((row) =>
      (isBank ? a : b).layers.map(
        (column) =>
          own.find(({ layerA, layerB }) => (isBank ? layerA === column && layerB === row : layerA === row && layerB === column))
            ?.value ?? null,
      ),
    ),
    domain: 'absolute',
    range: null,
  };
}
