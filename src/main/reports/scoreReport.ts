import { ForetuneError } from '#shared/errors.ts';
import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import {
  type ExperimentRecord,
  type ModelRecord,
  type RecipeRecord,
  type StoredScore,
  type StoredTruth,
} from '#shared/project.ts';
import { type StoredLayerSum } from '#shared/probe.ts';

import { bestSentence, cellSentences, controlSentences, layerSentence, rivalSentence } from './findings.ts';
import { type Answer, readingGuide } from './guide.ts';
import { layerSumFigures, type LayerSumFigures } from './layerSums.ts';
import { rankingTable, rankReading } from './ranking.ts';
import { compareTasks, recommend, taskTable } from './recommendation.ts';
import { digestRecipes, type RecipeDigest } from './recipes.ts';
import { sectionCurve, sectionHeading, sectionHeatmap, sectionTable } from './sectionFigures.ts';
import { groupBy, type ScoreSection, scoreSections } from './sections.ts';
import { agreementScatter, predictorTable, rankPredictors, sectionAgreements } from './truthAgreement.ts';

export interface ReportInput {
  projectName: string;
  experiments: readonly ExperimentRecord[];
  models: readonly ModelRecord[];
  scores: readonly StoredScore[];
  recipes: readonly RecipeRecord[];
  /** What fine-tuning or probing really gave. */
  truth?: readonly StoredTruth[];
  /** Probes on weighted sums of layers. */
  layerSums?: readonly StoredLayerSum[];
  /** When and by which version the report is made. */
  now: Date;
  appVersion: string;
}

export interface ReportSection {
  /** Unique, good for a file name after cleaning. */
  id: string;
  heading: string;
  statements: string[];
  heatmap: HeatmapFigure;
  /** Null where a single layer was scored. */
  curve: LineChartFigure | null;
  table: TableFigure;
  /** How sure the ranks of its models are; null for one model. */
  ranking: TableFigure | null;
  /** What to take, and how sure that is. */
  reading: string[];
}

/** Scores held against what was measured. */
export interface ReportAgreement {
  heading: string;
  reading: string;
  table: TableFigure;
  /** The best predictor; null where nothing could be held against it. */
  scatter: ScatterFigure | null;
}

/** A report as every output draws it. */
export interface ReportDocument {
  title: string;
  subtitle: string;
  summary: string[];
  sections: ReportSection[];
  /** Several tasks side by side; empty where there is one. */
  tasks: TableFigure[];
  agreements: ReportAgreement[];
  /** Probes on weighted sums of layers, with the weights. */
  layerSums: LayerSumFigures[];
  notes: { heading: string; text: string }[];
  guide: readonly Answer[];
  recipes: RecipeDigest;
}

function assertFinite(scores: readonly StoredScore[]): void {
  for (const { model, layer, label, metric, value, ci_low, ci_high } of scores) {
    if ([value, ci_low ?? 0, ci_high ?? 0].every(Number.isFinite)) continue;
    throw new ForetuneError(
      'invalid-data',
      `The score of ${model}, layer ${layer}, ${label}, ${metric} is not a number; score it again.`,
    );
  }
}

/** Several experiments may ask about the same label; then the heading says which. */
function headingOf(section: ScoreSection, several: boolean): string {
  return several ? `${section.experiment.name}: ${sectionHeading(section)}` : sectionHeading(section);
}

function sectionOf(section: ScoreSection, recipeNames: ReadonlyMap<number, string>, several: boolean): ReportSection {
  const heatmap = sectionHeatmap(section);
  const statements = [`${bestSentence(section)} ${rivalSentence(section)}`, layerSentence(section), ...controlSentences(section)];
  return {
    id: section.id,
    heading: headingOf(section, several),
    statements: statements.filter((sentence) => sentence !== ''),
    heatmap,
    curve: heatmap.columns.length > 1 ? sectionCurve(section) : null,
    table: sectionTable(section, recipeNames),
    ranking: section.models.length > 1 ? rankingTable(section) : null,
    reading: [recommend(section).reason, ...rankReading(section), ...cellSentences(section)],
  };
}

function agreementsOf(sections: readonly ScoreSection[], truth: readonly StoredTruth[]): ReportAgreement[] {
  return rankPredictors(sections.flatMap((section) => sectionAgreements(section, truth))).map((ranking) => {
    const [first] = ranking.agreements;
    return {
      heading: `${ranking.label}: ${ranking.measure} of ${ranking.level}`,
      reading: ranking.reading,
      table: predictorTable(ranking),
      scatter: first.agreement ? agreementScatter(first) : null,
    };
  });
}

/** A table of each unit and score that an experiment has for more than one label. */
function tasksOf(sections: readonly ScoreSection[]): TableFigure[] {
  return groupBy(sections, ({ experiment }) => experiment.id).flatMap((own) =>
    compareTasks(own)
      .filter(({ tasks }) => tasks.length > 1)
      .map((comparison) => taskTable(comparison, Math.max(...own.map(({ decimals }) => decimals)))),
  );
}

/** Builds the report of a project's scores. Throws `invalid-data` when there are none, or one is not a number. */
export function buildScoreReport(input: ReportInput): ReportDocument {
  const { projectName, experiments, models, scores, recipes, now, appVersion } = input;
  assertFinite(scores);
  const sections = scoreSections(scores, experiments, models);
  const layerSums = layerSumFigures(input.layerSums ?? [], experiments);
  if (sections.length === 0 && layerSums.length === 0) {
    throw new ForetuneError(
      'invalid-data',
      `The project ${projectName} has no scores yet; score a model first, then make the report.`,
    );
  }
  const used = new Set([...scores, ...(input.layerSums ?? [])].map(({ recipeId }) => recipeId));
  const digest = digestRecipes(recipes.filter(({ id }) => used.has(id)));
  const recipeNames = new Map(digest.own.map(({ id, name }) => [id, name]));
  const several = new Set(sections.map(({ experiment }) => experiment.id)).size > 1;
  const count = new Set([
    ...sections.flatMap((section) => section.models.map(({ id }) => id)),
    ...(input.layerSums ?? []).map(({ modelId }) => modelId),
  ]).size;
  return {
    title: projectName,
    subtitle: `Layer scores of ${count} model${count === 1 ? '' : 's'}, made ${now.toISOString().slice(0, 10)} by Foretune ${appVersion}`,
    summary: [
      ...sections.map((section) => `${headingOf(section, several)}: ${bestSentence(section)} ${rivalSentence(section)}`),
      ...layerSums.filter(({ reading }) => reading !== '').map(({ table, reading }) => `${table.title}: ${reading}`),
    ],
    sections: sections.map((section) => sectionOf(section, recipeNames, several)),
    tasks: tasksOf(sections),
    agreements: agreementsOf(sections, input.truth ?? []),
    layerSums,
    notes: experiments
      .filter(({ notes }) => notes !== '')
      .map(({ name, notes }) => ({ heading: `Notes on ${name}`, text: notes })),
    guide: readingGuide,
    recipes: digest,
  };
}
