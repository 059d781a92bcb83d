import { probabilityBetterPredictor, rankAgreement, type RankAgreement } from '#main/scoring/agreement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { type TableCell, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type StoredScore, type StoredTruth } from '#shared/project.ts';
import { type Control } from '#shared/score.ts';

import { probeSource } from './probeTruth.ts';
import { scoreAxis } from './scoreAxis.ts';
import { type ScoreSection } from './sections.ts';

/** A score beside what was measured: one dot of a scatter. */
export interface TruthPair {
  model: string;
  /** The layer whose score it is. */
  layer: number;
  score: number;
  /** Its 95 % interval, where it has one. */
  low: number | null;
  high: number | null;
  truth: number;
}

/** How well one score of one label predicts one measure. */
export interface TruthAgreement {
  /** Of the section whose scores these are. */
  section: string;
  label: string;
  unit: string;
  metric: string;
  metricName: string;
  higherIsBetter: boolean;
  source: string;
  measure: string;
  truthHigherIsBetter: boolean;
  /** `models`: the best layer of each model against a measure of the model; `layers`: each layer against its own. */
  level: 'models' | 'layers';
  pairs: TruthPair[];
  /** Scored, but not in the truth; in the truth, but not scored. */
  unmatched: { scores: string[]; truth: string[] };
  agreement: RankAgreement | null;
  /** Why there is no agreement. */
  problem: string | null;
  /** Within each model: agreement over its layers alone. */
  within: { model: string; n: number; spearman: number | null }[];
}

interface Kind {
  source: string;
  measure: string;
  higherIsBetter: boolean;
  rows: StoredTruth[];
}

/** The measures that speak of a label; those without a label speak of every one. */
function kindsFor(label: string, truth: readonly StoredTruth[]): Kind[] {
  const fitting = truth.filter((row) => row.label === label || row.label === '');
  const groups = Map.groupBy(fitting, ({ source, measure, layer }) => JSON.stringify([source, measure, layer === null]));
  return [...groups.values()].map((rows) => {
    const [{ source, measure, higherIsBetter }] = rows;
    const other = rows.find((row) => row.higherIsBetter !== higherIsBetter);
    if (other)
      throw new ForetuneError(
        'invalid-data',
        `${source} has rows of "${measure}" where higher is better and others where lower is; give them different names.`,
      );
    return { source, measure, higherIsBetter, rows };
  });
}

function pairOf({ model, layer, value, ci_low, ci_high }: StoredScore, truth: number): TruthPair {
  return { model, layer, score: value, low: ci_low, high: ci_high, truth };
}

function oriented(values: readonly number[], higherIsBetter: boolean): number[] {
  return higherIsBetter ? [...values] : values.map((value) => -value);
}

function agreementOf(pairs: readonly TruthPair[], up: boolean, truthUp: boolean, level: 'models' | 'layers') {
  const x = oriented(
    pairs.map(({ score }) => score),
    up,
  );
  const y = oriented(
    pairs.map(({ truth }) => truth),
    truthUp,
  );
  const clusters = level === 'layers' ? pairs.map(({ model }) => model) : undefined;
  return rankAgreement(x, y, { clusters });
}

/** Agreement, or the sentence why there is none. */
function orProblem<T>(work: () => T): { value: T | null; problem: string | null } {
  try {
    return { value: work(), problem: null };
  } catch (error) {
    if (error instanceof ForetuneError && error.code === 'invalid-data') return { value: null, problem: error.message };
    throw error;
  }
}

/**
 * Holds the scores of a section against every measure of its label. Measures of whole models are held against the best layer of each;
 * measures of layers against the layer's own score, over all models and within each. Probes are not held against themselves.
 */
export function sectionAgreements(section: ScoreSection, truth: readonly StoredTruth[], control: Control = ''): TruthAgreement[] {
  const { id, label, unit, axis } = section;
  const itself = probeSource(section.experiment);
  const others = truth.filter(({ source }) => source !== itself);
  const models = section.models.flatMap((model) => {
    const scores = control === '' ? model : model.controls.get(control);
    return scores ? [{ name: model.best.model, ...scores }] : [];
  });
  return kindsFor(label, others).map(({ source, measure, higherIsBetter, rows }) => {
    const level = rows[0].layer === null ? 'models' : 'layers';
    const key = (model: string, layer: number | null) => (layer === null ? model : `${model}, layer ${layer}`);
    const measured = new Map(rows.map((row) => [key(row.model, row.layer), row.value]));
    const scored = models.flatMap(({ name, layers, best }) =>
      level === 'models' ? [{ key: name, score: best }] : layers.map((score) => ({ key: key(name, score.layer), score })),
    );
    const keys = new Set(scored.map((item) => item.key));
    const pairs = scored.flatMap((item) => {
      const value = measured.get(item.key);
      return value === undefined ? [] : [pairOf(item.score, value)];
    });
    const { value: agreement, problem } = orProblem(() => agreementOf(pairs, axis.higherIsBetter, higherIsBetter, level));
    return {
      section: id,
      label,
      unit,
      metric: section.models[0].best.metric,
      metricName: axis.name,
      higherIsBetter: axis.higherIsBetter,
      source,
      measure,
      truthHigherIsBetter: higherIsBetter,
      level,
      pairs,
      unmatched: {
        scores: scored.filter((item) => !measured.has(item.key)).map((item) => item.key),
        truth: [...measured.keys()].filter((own) => !keys.has(own)),
      },
      agreement,
      problem,
      within:
        level === 'models'
          ? []
          : [...Map.groupBy(pairs, ({ model }) => model)].map(([model, own]) => ({
              model,
              n: own.length,
              spearman: orProblem(() => agreementOf(own, axis.higherIsBetter, higherIsBetter, 'models').spearman.value).value,
            })),
    };
  });
}

/** All agreements of one label, unit and measure, best predictor first, and what may be said about the first. */
export interface PredictorRanking {
  label: string;
  source: string;
  measure: string;
  level: 'models' | 'layers';
  agreements: TruthAgreement[];
  reading: string;
}

/** Which score predicts best, for each label and measure: by Spearman's rho. */
export function rankPredictors(agreements: readonly TruthAgreement[]): PredictorRanking[] {
  const groups = Map.groupBy(agreements, ({ label, source, measure, level }) => JSON.stringify([label, source, measure, level]));
  return [...groups.values()].map((own) => {
    const [{ label, source, measure, level }] = own;
    const ranked = own.toSorted(
      (a, b) => (b.agreement?.spearman.value ?? -Infinity) - (a.agreement?.spearman.value ?? -Infinity),
    );
    return { label, source, measure, level, agreements: ranked, reading: predictorReading(ranked) };
  });
}

const two = (value: number): string => value.toFixed(2).replace('-', '−');

/** Below this many pairs no order of scores is more than a hint. */
const fewPairs = 10;

/** Probability that the first is truly the better predictor, where both were held against the same items. */
function beatsAsPredictor(first: TruthAgreement, other: TruthAgreement): number | null {
  const key = ({ model, layer }: TruthPair) => (first.level === 'models' ? model : `${model}/${layer}`);
  const places = new Map(other.pairs.map((pair) => [key(pair), pair]));
  const partners = first.pairs.map((pair) => places.get(key(pair)));
  if (!partners.every((pair) => pair !== undefined) || partners.length !== other.pairs.length) return null;
  const up = ({ score }: TruthPair, own: TruthAgreement) => (own.higherIsBetter ? score : -score);
  const { value } = orProblem(() =>
    probabilityBetterPredictor(
      first.pairs.map((pair) => up(pair, first)),
      partners.map((pair) => up(pair, other)),
      first.pairs.map(({ truth }) => (first.truthHigherIsBetter ? truth : -truth)),
      { clusters: first.level === 'layers' ? first.pairs.map(({ model }) => model) : undefined },
    ),
  );
  return value;
}

function predictorReading([first, ...others]: readonly TruthAgreement[]): string {
  const { agreement, measure, level, unmatched } = first;
  const what = `${measure} of ${level}`;
  if (!agreement) return `No score can be held against ${what}: ${first.problem}`;
  const { value, interval } = agreement.spearman;
  const p = agreementP(agreement);
  const range = interval ? `, 95 % interval ${two(interval.low)} to ${two(interval.high)}` : '';
  const held = others.filter((other) => other.agreement !== null);
  const tied = held.filter((other) => other.agreement!.spearman.value === value);
  const names = [first, ...tied].map(({ metricName, unit }) => `${metricName} (by ${unit})`);
  const name = names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ');
  const sentences = [
    `${name} ${names.length > 1 ? 'agree' : 'agrees'} best with ${what}: Spearman ${two(value)} over ${agreement.n} (p ${p < 0.001 ? pText(p) : `= ${pText(p)}`}${range}).`,
  ];
  if (p > 0.05) sentences.push('That is no more than chance would often give.');
  if (held.length > 0 && agreement.n < fewPairs) {
    sentences.push(`With ${agreement.n} pairs no order of the scores is more than a hint.`);
  } else if (held.length > 0) {
    const sure = held.filter((other) => (beatsAsPredictor(first, other) ?? 0) > 0.975).length;
    sentences.push(
      sure === held.length
        ? 'It is distinguishably better than every other score here.'
        : sure === 0
          ? `None of the ${held.length} other scores is distinguishably worse.`
          : `It is distinguishably better than ${sure} of the ${held.length} other scores; the rest may be as good.`,
    );
  }
  const gone = unmatched.scores.length + unmatched.truth.length;
  if (gone > 0)
    sentences.push(`${gone} ${gone === 1 ? 'row has' : 'rows have'} no partner and ${gone === 1 ? 'is' : 'are'} left out.`);
  return sentences.join(' ');
}

/** p of Spearman's rho: exact where all orders could be gone through. */
export function agreementP({ spearman: { p, exact } }: RankAgreement): number {
  return exact ?? p;
}

/** The pairs of an agreement as a figure. */
export function agreementScatter({
  label,
  unit,
  metric,
  measure,
  level,
  truthHigherIsBetter,
  pairs,
  agreement,
}: TruthAgreement): ScatterFigure {
  const axis = scoreAxis(metric);
  const rho = agreement ? `Spearman ${two(agreement.spearman.value)} over ${agreement.n} ${level}` : '';
  return {
    kind: 'scatter',
    title: `${axis.name} of ${label} (by ${unit}) against ${measure}`,
    subtitle: rho,
    x: axis,
    y: { name: measure, unit: '', higherIsBetter: truthHigherIsBetter },
    points: pairs.map(({ model, layer, score, low, high, truth }) => ({
      id: `${model}/${layer}`,
      label: level === 'models' ? '' : String(layer),
      group: model,
      x: score,
      y: truth,
      low,
      high,
    })),
  };
}

/** How each score agrees with one measure, best predictor first. */
export function predictorTable({ label, source, measure, level, agreements, reading }: PredictorRanking): TableFigure {
  const cells = (value: number | undefined, mark?: TableCell['mark']): TableCell => ({
    text: value === undefined ? '' : formatNumber(value, 3),
    ...(mark ? { mark } : {}),
  });
  const column = (pick: (own: RankAgreement) => number): TableCell[] => {
    const values = agreements.map(({ agreement }) => agreement && pick(agreement));
    const known = [...new Set(values.filter((value) => value !== null))].sort((a, b) => b - a);
    return values.map((value) =>
      cells(
        value ?? undefined,
        value === null ? undefined : value === known[0] ? 'best' : value === known[1] ? 'second' : undefined,
      ),
    );
  };
  const rho = column(({ spearman }) => spearman.value);
  const tau = column(({ kendall }) => kendall.value);
  const weighted = column(({ weightedKendall }) => weightedKendall.value);
  const remarks = new Set(
    agreements.flatMap(({ agreement, problem }) => agreement?.notes ?? (problem === null ? [] : [problem])),
  );
  const { scores, truth } = agreements[0].unmatched;
  const unmatched = [
    ...(scores.length > 0 ? [`Scored but not measured: ${scores.join(', ')}.`] : []),
    ...(truth.length > 0 ? [`Measured but not scored: ${truth.join(', ')}.`] : []),
  ];
  return {
    title: `Agreement of scores with ${measure} of ${label === '' ? 'the task' : label}, ${level} (${source})`,
    columns: [
      { name: 'score', align: 'left' },
      { name: 'by', align: 'left' },
      { name: 'n', align: 'right' },
      { name: 'Spearman', align: 'right' },
      { name: 'p', align: 'right' },
      { name: '95 % interval', align: 'right' },
      { name: 'Kendall', align: 'right' },
      { name: 'weighted', align: 'right' },
    ],
    rows: agreements.map(({ metricName, unit, agreement, pairs }, i): TableCell[] => [
      { text: metricName },
      { text: unit },
      { text: String(agreement?.n ?? pairs.length) },
      rho[i],
      { text: agreement ? pText(agreementP(agreement)) : '' },
      {
        text: agreement?.spearman.interval
          ? `${two(agreement.spearman.interval.low)} to ${two(agreement.spearman.interval.high)}`
          : '',
      },
      tau[i],
      weighted[i],
    ]),
    notes: [reading, ...remarks, ...unmatched],
  };
}

function pText(p: number): string {
  return p < 0.001 ? '< 0.001' : p.toFixed(3);
}
