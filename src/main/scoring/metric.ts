import { type FeatureMoments, type TargetMoments } from './moments.ts';

/** What every score says of itself. */
interface MetricDescription {
  id: string;
  name: string;
  /** Which end of its scale promises better transfer. */
  direction: 'higher' | 'lower';
  targets: 'classification' | 'regression' | 'both';
  /** What it costs, for n samples of d dimensions, k classes. */
  cost: string;
  /** The paper it comes from. */
  source: string;
}

/** A score, with what should stand beside it. */
export interface Score {
  value: number;
  /** Independent directions of the features, where the score counts them. */
  rank?: number;
  /** Sentences a reader should see. */
  notes: string[];
}

export interface MomentsOptions {
  /** Take the mean out of features and targets (scores that centre anyway ignore it). */
  centre?: boolean;
}

/** Features in memory with a class each, 0 to k - 1, every class present. */
export interface LabelledSamples {
  /** [n, d] row-major. */
  features: Float64Array | Float32Array;
  n: number;
  d: number;
  /** [n] */
  classes: Int32Array;
  k: number;
  seed: number | string;
  /** Moments of these rows about any shift, where the caller has them already. */
  moments?: FeatureMoments;
}

/** Posteriors of a source classifier on target samples with a class each. */
export interface PosteriorSamples {
  /** [n, z] row-major; rows sum to one. */
  probabilities: Float64Array | Float32Array;
  n: number;
  z: number;
  /** [n] */
  classes: Int32Array;
  k: number;
}

/** Two sets of features. Scores say whether they compare rows (equal n) or distributions (equal d). */
export interface TwoSets {
  a: { features: Float64Array | Float32Array; n: number; d: number };
  b: { features: Float64Array | Float32Array; n: number; d: number };
  seed: number | string;
  /** Order of a transport cost, and directions it is projected on. */
  p?: number;
  projections?: number;
}

/** A score of sufficient statistics: what it learns of the features serves every label column of a layer. */
export interface MomentsMetric extends MetricDescription {
  needs: 'moments';
  prepare(features: FeatureMoments, options?: MomentsOptions): (targets: TargetMoments) => Score;
  /** The same score of features in memory ([n, d], targets [k, n]), where n < d makes another way much cheaper. */
  ofSamples?(features: Float64Array | Float32Array, n: number, d: number, targets: Float64Array, k: number): Score;
}

/** The score of chosen samples, whose classes are numbered 0 to k - 1. */
export type FittedScore = (rows: Int32Array, classes: Int32Array, k: number) => number;

export interface SamplesMetric extends MetricDescription {
  needs: 'samples';
  compute(input: LabelledSamples): number;
  /** It is quicker where `moments` are given. */
  takesMoments?: true;
  /**
   * What costs time and depends on the features (and the number of classes) alone: learnt once, it serves every label column and
   * every replicate, which are then scores of some of the samples under what all of them taught.
   */
  fit?(input: Omit<LabelledSamples, 'classes' | 'moments'>): FittedScore;
}

export interface PosteriorsMetric extends MetricDescription {
  needs: 'source-posteriors';
  compute(input: PosteriorSamples): number;
}

export interface TwoSetsMetric extends MetricDescription {
  needs: 'two-sets';
  compute(input: TwoSets): number;
}

export type Metric = MomentsMetric | SamplesMetric | PosteriorsMetric | TwoSetsMetric;
