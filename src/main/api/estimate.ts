import { availableParallelism } from 'node:os';

import { decodeAhead } from '#main/jobs/decodeAhead.ts';
import { frameCount } from '#main/models/frames.ts';
import { openScoredModel } from '#main/weights/member.ts';
import { type ScoringSpec } from '#shared/experiment.ts';

import { type Context } from './context.ts';
import { evenly } from './evenly.ts';

/** Utterances whose length is measured to guess that of all. */
const measured = 16;

/** Multiply-adds per second that one core reaches in float32 encoders and in the eigenvalues, and what an utterance costs beside them; rough, since the live rate replaces them. */
const perCore = { encoder: 1.2e10, eigen: 1e9 };
const secondsPerUtterance = 0.012;

export interface ScoringEstimate {
  utterances: number;
  /** Audio in all utterances, guessed from the length of a few, in hours. */
  hours: number;
  /** Times the audio is run through an encoder. */
  passes: number;
  /** Scores that will be saved. */
  scores: number;
  /** Working time on this machine's CPU; an accelerator is faster. */
  seconds: number;
}

/** How much work a run would be. Throws what opening its models and data throws. */
export async function estimateScoring(
  context: Context,
  { models, data, settings }: ScoringSpec,
  signal?: AbortSignal,
): Promise<ScoringEstimate> {
  const cards = await Promise.all(models.map(openScoredModel));
  const dataset = await context.datasets.open(data);
  const lengths: number[] = [];
  for await (const { audio } of decodeAhead(context.engine, dataset, evenly(dataset.utterances.length, measured), 16_000)) {
    signal?.throwIfAborted();
    if (audio) lengths.push(audio.seconds);
  }
  const utterances = Math.min(dataset.utterances.length, settings.sample ?? Infinity);
  const audioSeconds =
    lengths.length === 0 ? 0 : (lengths.reduce((sum, seconds) => sum + seconds, 0) / lengths.length) * utterances;
  const random = settings.controls.includes('random-weights');
  const variants = 1 + Number(random) + Number(settings.controls.includes('shuffled-labels'));
  const cores = Math.max(1, availableParallelism() / 2);
  const solves = settings.units.length * (Math.min(settings.groups, utterances) + 1);
  let seconds = 0;
  let scores = 0;
  for (const { parameters, width, layers: all, frontEnd, preprocessing } of cards) {
    const layers = settings.layers === 'all' ? all : settings.layers.length;
    const framesPerSecond = frontEnd ? frameCount(frontEnd, preprocessing.samplingRate) : 50;
    const encoder = audioSeconds * framesPerSecond * (2 * parameters + layers * width ** 2);
    const eigen = layers * solves * 9 * width ** 3;
    const pass = encoder / (perCore.encoder * cores) + eigen / (perCore.eigen * cores) + utterances * secondsPerUtterance;
    seconds += pass * (random ? 2 : 1);
    scores += layers * settings.units.length * settings.labels.length * settings.metrics.length * variants;
  }
  return { utterances, hours: audioSeconds / 3600, passes: cards.length * (random ? 2 : 1), scores, seconds };
}
