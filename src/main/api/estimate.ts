import { availableParallelism } from 'node:os';

import { decodeAhead } from '#main/jobs/decodeAhead.ts';
import { frameCount } from '#main/models/frames.ts';
import { openScoredModel } from '#main/weights/member.ts';
import { type ScoringSettings } from '#shared/experiment.ts';
import { type ExperimentSpec, isProbeSpec, type ProbeSettings } from '#shared/probe.ts';

import { type Context } from './context.ts';
import { evenly } from './evenly.ts';

/** Utterances whose length is measured to guess that of all. */
const measured = 16;

/** Multiply-adds per second that one core reaches in float32 encoders, in the eigenvalues and in heads of probes, and what an utterance costs beside them; rough, since the live rate replaces them. */
const perCore = { encoder: 1.2e10, eigen: 1e9, head: 2e9 };
const secondsPerUtterance = 0.012;

/** Classes of a label, and passes over the training part until a head is fitted, where they are not known yet. */
const usual = { classes: 30, passes: 150 };

export interface RunEstimate {
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

interface Encoder {
  width: number;
  /** Layers asked for. */
  layers: number;
  utterances: number;
  /** Frames of all utterances. */
  frames: number;
}

/** Multiply-adds of the eigenvalues behind the scores of one pass, and how many scores it gives for each label column. */
function scoringWork(settings: ScoringSettings, { width, layers, utterances }: Encoder): { work: number; scores: number } {
  const solves = settings.units.length * (Math.min(settings.groups, utterances) + 1);
  return { work: layers * solves * 9 * width ** 3, scores: layers * settings.units.length * settings.metrics.length };
}

/** Multiply-adds of training the heads of one label column, and how many there are: forward and back, over all layers for a weighted sum. */
function probeWork(settings: ProbeSettings, { width, layers, utterances, frames }: Encoder): { work: number; scores: number } {
  const { kind, units, heads, ctc } = settings;
  const ownUnits = kind === 'ctc' ? (['frame'] as const) : units;
  const ofHeads = [...(heads.includes('layers') ? [1] : []), ...(heads.includes('weighted-sum') && layers > 1 ? [layers] : [])];
  let [work, scores] = [0, 0];
  for (const unit of ownUnits) {
    const rows = kind === 'ctc' ? frames : unit === 'frame' ? Math.min(settings.frames, frames) : utterances;
    const passes = kind === 'ctc' ? ctc.epochs : usual.passes;
    for (const summed of ofHeads) {
      const count = summed === 1 ? layers : 1;
      work += count * passes * 2 * rows * width * (usual.classes * (ctc.inner === null ? 1 : 2) + (summed > 1 ? 2 * summed : 0));
      scores += count;
    }
  }
  return { work, scores };
}

/** How much work a run would be. Throws what opening its models and data throws. */
export async function estimateRun(context: Context, spec: ExperimentSpec, signal?: AbortSignal): Promise<RunEstimate> {
  const { models, data, settings } = spec;
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
  const shuffled = settings.controls.includes('shuffled-labels');
  const labels = settings.labels.length;
  const cores = Math.max(1, availableParallelism() / 2);
  let seconds = 0;
  let scores = 0;
  for (const { parameters, width, layers: all, frontEnd, preprocessing } of cards) {
    const layers = settings.layers === 'all' ? all : settings.layers.length;
    const framesPerSecond = frontEnd ? frameCount(frontEnd, preprocessing.samplingRate) : 50;
    const frames = audioSeconds * framesPerSecond;
    const encoder = frames * (2 * parameters + layers * width ** 2);
    const pass = encoder / (perCore.encoder * cores) + utterances * secondsPerUtterance;
    const own = { width, layers, utterances, frames };
    // Labels that are shuffled are as many columns again, of the model's own weights.
    const columns = labels * (1 + Number(random) + Number(shuffled));
    if (isProbeSpec(spec)) {
      const { work, scores: each } = probeWork(spec.settings, own);
      seconds += pass * (random ? 2 : 1) + (columns * work) / (perCore.head * cores);
      scores += columns * each;
    } else {
      const { work, scores: each } = scoringWork(spec.settings, own);
      seconds += (pass + work / (perCore.eigen * cores)) * (random ? 2 : 1);
      scores += columns * each;
    }
  }
  return { utterances, hours: audioSeconds / 3600, passes: cards.length * (random ? 2 : 1), scores, seconds };
}
