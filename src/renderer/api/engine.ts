import type { Api } from '#main/api/router.ts';
import { type ErrorValue, toErrorValue } from '#shared/errors.ts';

import { createApi, type EngineLink } from './createApi.ts';

let link: EngineLink | undefined;

/** The one link of this page to the engine, made when first needed. */
export function engine(): EngineLink {
  return (link ??= createApi());
}

/** Puts another link in place: for tests of screens without an engine. */
export function setEngine(other: EngineLink): void {
  link = other;
}

/** What a screen says of anything thrown. */
export function describe(error: unknown): ErrorValue {
  return toErrorValue(error);
}

export type Summary = Awaited<ReturnType<Api['projects']['summary']>>;
export type ModelItem = Summary['models'][number];
export type DatasetItem = Summary['datasets'][number];
export type ExperimentItem = Summary['experiments'][number];
export type JobItem = Summary['jobs'][number];
export type Section = NonNullable<Awaited<ReturnType<Api['results']['section']>>>;
export type SectionRow = Section['rows'][number];
export type DataInspection = Awaited<ReturnType<Api['data']['inspect']>>;
export type LabelSummary = Awaited<ReturnType<Api['data']['label']>>;
export type Listing = Awaited<ReturnType<Api['files']['list']>>;
export type Wanted = Parameters<Api['files']['list']>[0]['wanted'];
export type MetricItem = Awaited<ReturnType<Api['metrics']['list']>>[number];
export type AppInfo = Awaited<ReturnType<Api['app']['info']>>;
export type Recent = Awaited<ReturnType<Api['app']['recent']>>[number];
export type Estimate = Awaited<ReturnType<Api['jobs']['estimate']>>;
export type OnnxOffer = Awaited<ReturnType<Api['models']['exported']>>;
export type Mapping = NonNullable<Parameters<Api['models']['add']>[0]['mapping']>;
export type DataColumns = Awaited<ReturnType<Api['data']['columns']>>;
export type MergeMethodItem = Awaited<ReturnType<Api['weights']['methods']>>[number];
export type MergeRequest = Parameters<Api['weights']['plan']>[0];
export type MergeOutline = Awaited<ReturnType<Api['weights']['plan']>>;
type Told<Stream> = Stream extends AsyncIterable<infer Event> ? Event : never;
export type MergeEvent = Told<Awaited<ReturnType<Api['weights']['merge']>>>;
export type MadeModel = Extract<MergeEvent, { type: 'done' }>['models'][number];
export type CompareEvent = Told<Awaited<ReturnType<Api['weights']['compare']>>>;
export type Comparison = Extract<CompareEvent, { type: 'done' }>['result'];
export type DriftEvent = Told<Awaited<ReturnType<Api['weights']['drift']>>>;
export type SuperbTable = Awaited<ReturnType<Api['weights']['superb']>>;
export type SuperbScores = Awaited<ReturnType<Api['weights']['superbScores']>>;
export type TrainingRecipe = Awaited<ReturnType<Api['weights']['recipe']>>;
export type Judgement = NonNullable<Awaited<ReturnType<Api['weights']['judgement']>>>;
export type Predictors = Awaited<ReturnType<Api['truth']['agreement']>>[number];
export type TruthEntry = Awaited<ReturnType<Api['truth']['list']>>[number];
export type LayerWeights = Awaited<ReturnType<Api['probes']['layerWeights']>>[number];
export type Study = Awaited<ReturnType<Api['truth']['studies']>>[number];
export type Clip = Awaited<ReturnType<Api['data']['clip']>>;
type Streamed<T> = T extends AsyncIterable<infer Item> ? Item : never;
export type AlignmentReport = NonNullable<Streamed<Awaited<ReturnType<Api['data']['alignments']>>>['report']>;
export type ClipTier = NonNullable<Clip['alignment']>['tiers'][number];
export type SimilarityEvent = Streamed<Awaited<ReturnType<Api['features']['similarity']>>>;
export type SimilarityResult = Extract<SimilarityEvent, { type: 'done' }>['result'];
export type AlignResult = Extract<Streamed<Awaited<ReturnType<Api['data']['align']>>>, { type: 'done' }>['result'];
export type SpeedPlan = Awaited<ReturnType<Api['speed']['plan']>>;
export type SpeedFigures = Awaited<ReturnType<Api['speed']['figures']>>;
export type SpeedSetting = Awaited<ReturnType<Api['speed']['points']>>[number];
export type SpeedRunItem = Awaited<ReturnType<Api['speed']['runs']>>[number];
export type DrilledUtterance = Awaited<ReturnType<Api['speed']['utterances']>>[number];
export type TranscriptAlignment = Awaited<ReturnType<Api['speed']['alignment']>>;
