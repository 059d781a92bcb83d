import { rankAgreement, type RankAgreement } from '#main/scoring/agreement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type StoredScore, type StoredTruth } from '#shared/project.ts';
import { type Control } from '#shared/score.ts';

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
 * measures of layers against the layer's own score, over all models and within each.
 */
export function sectionAgreements(section: ScoreSection, truth: readonly StoredTruth[], control: Control = ''): TruthAgreement[] {
  const { id, label, unit, axis } = section;
  const models = section.models.flatMap((model) => {
    const own = control === '' ? model : model.controls.get(control);
    return own ? [{ name: model.best.model, ...own }] : [];
  });
  return kindsFor(label, truth).map(({ source, measure, higherIsBetter, rows }) => {
    const level = rows[0].layer === null ? 'models' : 'layers';
    const key = (model: string, layer: number | null) => (layer === null ? model : `${model}, layer ${layer}`);
    const measured = new Map(rows.map((row) => [key(row.model, row.layer), row.value]));
    const scored = models.flatMap(({ name, layers, best }) =>
      level === 'models' ? [{ key: name, score: best }] : layers.map((score) => ({ key: key(name, score.layer), score })),
    );
    const keys = new Set(scored.map((item) => item.key));
    const pairs = scored.flatMap(({ key: own, score }) => {
      const value = measured.get(own);
      return value === undefined ? [] : [pairOf({ ...score }, value)];
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

function predictorReading([first, ...others]: readonly TruthAgreement[]): string {
  const { agreement, measure, level, unmatched } = first;
  const what = `${measure} of ${level}`;
  if (!agreement) return `No score can be held against ${what}: ${first.problem}`;
  const { value, p, interval } = agreement.spearman;
  const range = interval ? `, 95 % interval ${two(interval.low)} to ${two(interval.high)}` : '';
  const name = `${first.metricName} (by ${first.unit})`;
  const opening = `${name} agrees best with ${what}: Spearman ${two(value)} over ${agreement.n} (p ${p < 0.001 ? '< 0.001' : p.toFixed(3)}${range}).`;
  const within = interval
    ? others.filter((other) => (other.agreement?.spearman.value ?? -Infinity) >= interval.low).length
    : others.length;
  const rivals =
    others.length === 0
      ? ''
      : within === 0
        ? ' Every other score lies below that interval.'
        : ` ${within} of the ${others.length} other scores ${within === 1 ? 'lies' : 'lie'} within it, so the order of scores is open.`;
  const gone = unmatched.scores.length + unmatched.truth.length;
  const missing = gone > 0 ? ` ${gone} rows have no partner and are left out.` : '';
  const doubtful = p > 0.05 ? ' That is no more than chance would often give.' : '';
  return `${opening}${doubtful}${rivals}${missing}`;
}
