import { rankTable, type RankTable } from '#main/scoring/rankTable.ts';
import { type TableCell, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type StoredScore } from '#shared/project.ts';

import { compareScores } from './comparison.ts';
import { intervalText, layerRanges } from './findings.ts';
import { type ModelScores, type ScoreSection } from './sections.ts';

/** A ranked model or layer. */
export interface RankedScore {
  /** The model's number and name. */
  modelId: number;
  model: string;
  layer: number;
  value: number;
  low: number | null;
  high: number | null;
  rank: number;
  rankLow: number | null;
  rankHigh: number | null;
  /** Probability that it is the best of the table. */
  best: number | null;
  /** Probability that it truly beats the next. */
  beatsNext: number | null;
}

export interface Ranking {
  /** Best first. */
  rows: RankedScore[];
  /** [i][j]: probability that row i truly beats row j; null without pairs and on the diagonal. */
  beats: (number | null)[][];
}

interface Candidate {
  id: number;
  name: string;
  score: StoredScore;
}

function ranked(candidates: readonly Candidate[], higherIsBetter: boolean): Ranking {
  const table: RankTable = rankTable(
    candidates.map(({ score }) => score),
    { higherIsBetter },
  );
  const order = table.rows.map(({ candidate }) => candidate);
  return {
    rows: table.rows.map(({ candidate, value, rank, rankLow, rankHigh, best, beatsNext }) => {
      const { id, name, score } = candidates[candidate];
      const { layer, ci_low: low, ci_high: high } = score;
      return { modelId: id, model: name, layer, value, low, high, rank, rankLow, rankHigh, best, beatsNext };
    }),
    beats: order.map((i) => order.map((j) => table.beats[i][j])),
  };
}

/** Models, each at its best layer. */
export function modelRanking({ models, axis }: ScoreSection): Ranking {
  return ranked(
    models.map(({ id, name, best }) => ({ id, name, score: best })),
    axis.higherIsBetter,
  );
}

/** Layers of one model. */
export function layerRanking({ axis }: ScoreSection, { id, name, layers }: ModelScores): Ranking {
  return ranked(
    layers.map((score) => ({ id, name, score })),
    axis.higherIsBetter,
  );
}

/** "0.93", ">0.99", "<0.01". */
export function probabilityText(probability: number | null): string {
  if (probability === null) return '';
  if (probability > 0.99) return '>0.99';
  return probability < 0.01 ? '<0.01' : probability.toFixed(2);
}

function rankRange({ rankLow, rankHigh }: RankedScore): string {
  if (rankLow === null || rankHigh === null) return '';
  return rankLow === rankHigh ? `${rankLow}` : `${rankLow} to ${rankHigh}`;
}

/** What the probabilities of a rank table mean. */
export const rankNote =
  'Each model at its best layer. Probabilities come from paired replicates over groups of utterances: they tell how far other utterances of the same kind might change the order, not how well the score predicts fine-tuning.';

/** The rank table of a section's models. */
export function rankingTable(section: ScoreSection): TableFigure {
  const { label, unit, axis, decimals } = section;
  const { rows } = modelRanking(section);
  const marks: TableCell['mark'][] = ['best', 'second'];
  return {
    title: `Ranks by ${axis.name} of ${label}, ${unit}s`,
    columns: [
      { name: 'rank', align: 'right' },
      { name: 'model', align: 'left' },
      { name: 'layer', align: 'right' },
      { name: axis.name, align: 'right' },
      { name: '95 % interval', align: 'right' },
      { name: 'P best', align: 'right' },
      { name: 'ranks, 95 %', align: 'right' },
      { name: 'P beats next', align: 'right' },
    ],
    rows: rows.map((row): TableCell[] => [
      { text: String(row.rank) },
      { text: row.model },
      { text: String(row.layer) },
      { text: formatNumber(row.value, decimals), ...(marks[row.rank - 1] ? { mark: marks[row.rank - 1] } : {}) },
      { text: intervalText({ ci_low: row.low, ci_high: row.high }, decimals) },
      { text: probabilityText(row.best) },
      { text: rankRange(row) },
      { text: probabilityText(row.beatsNext) },
    ]),
    notes: [rankNote],
  };
}

function rangeText(layers: readonly number[]): string {
  return `${layers.length === 1 ? 'Layer' : 'Layers'} ${layerRanges(layers)}`;
}

/** Runs of the best-first order in which nothing is distinguishable from the run's first. */
function tiers<T>(items: readonly T[], tied: (a: T, b: T) => boolean): T[][] {
  const found: T[][] = [];
  for (const item of items) {
    const tier = found.at(-1);
    if (tier && tied(tier[0], item)) tier.push(item);
    else found.push([item]);
  }
  return found;
}

/** "Layers 4–6 of tiny-hubert are not distinguishable." */
export function layerReading({ axis }: ScoreSection, { name, layers, best }: ModelScores): string {
  if (layers.length < 2) return '';
  const verdicts = layers.map((score) => compareScores(best, score));
  if (layers.some((score, i) => score !== best && verdicts[i] === 'unknown')) return '';
  const sign = axis.higherIsBetter ? -1 : 1;
  const order = layers.toSorted((a, b) => sign * (a.value - b.value));
  const [top] = tiers(order, (a, b) => compareScores(a, b) === 'not-apart');
  const own = top.map(({ layer }) => layer);
  if (own.length === layers.length) return `No layer of ${name} is distinguishable from its best.`;
  if (own.length === 1) return `Layer ${best.layer} of ${name} stands alone at the top.`;
  return `${rangeText(own)} of ${name} are not distinguishable at the top.`;
}

/** What the ranks amount to, in plain words. */
export function rankReading(section: ScoreSection): string[] {
  const { models } = section;
  const { rows } = modelRanking(section);
  const sentences: string[] = [];
  if (rows.length > 1 && rows[0].beatsNext !== null) {
    const [first, second] = rows;
    const sure = first.beatsNext! > 0.975 ? 'clear' : first.beatsNext! > 0.8 ? 'likely, not certain' : 'open';
    sentences.push(
      `${first.model} truly beats ${second.model} with probability ${probabilityText(first.beatsNext)}: the first place is ${sure}.`,
    );
    const order = models.toSorted((a, b) => rankOf(rows, a.id) - rankOf(rows, b.id));
    const groups = tiers(order, (a, b) => compareScores(a.best, b.best) === 'not-apart').filter((group) => group.length > 1);
    for (const group of groups) sentences.push(`Take as equal: ${group.map(({ name }) => name).join(', ')}.`);
  }
  for (const model of models.slice(0, 3)) sentences.push(layerReading(section, model));
  return sentences.filter((sentence) => sentence !== '');
}

function rankOf(rows: readonly RankedScore[], id: number): number {
  return rows.findIndex(({ modelId }) => modelId === id);
}
