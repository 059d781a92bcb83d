import { normalize, segmentBounds } from '#main/audio/segment.ts';
import { type FrontEnd, frameCount, frameTime, receptiveField } from '#main/models/frames.ts';
import { type BuiltEncoder, type EncoderModel } from '#main/models/model.ts';
import { isAligned } from '#main/tasks/labels.ts';
import { Transfer } from '#main/workers/channel.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Encoder, type HiddenStates, type Logits, openEncoder, probeClip } from './encoder.ts';
import { type GramKernel, openGramKernel } from './gram.ts';
import { probeRows, type ProbeRowsRequest } from './probeRows.ts';
import { type Provider, type SessionSettings } from './providers.ts';
import { SideBySide } from './sideBySide.ts';
import { type StatisticsPlan, StreamingStatistics, type TargetValue } from './statistics.ts';
import { readStatistics, writeStatistics } from './statisticsFile.ts';
import { stageHandlers } from './stages.ts';

/** How a waveform is given to an encoder. */
export interface WaveformRule {
  /** Zero mean and unit variance over the whole utterance (`do_normalize`). */
  normalize: boolean;
  rate: number;
  /** Longer utterances are cut into even parts. */
  maxSeconds: number;
  /** Samples of the shortest input that gives a frame. */
  minSamples: number;
  /** Tells the times of frames; null where it is unknown. */
  frontEnd: FrontEnd | null;
}

/** The rule that a model's preprocessing asks for. */
export function waveformRule(
  { preprocessing, frontEnd }: Pick<EncoderModel, 'preprocessing' | 'frontEnd'>,
  maxSeconds: number,
): WaveformRule {
  return {
    normalize: preprocessing.doNormalize,
    rate: preprocessing.samplingRate,
    maxSeconds,
    // Exported graphs do not always show their front end; 400 samples is that of all wav2vec 2.0 relatives.
    minSamples: frontEnd ? receptiveField(frontEnd).length : 400,
    frontEnd,
  };
}

/**
 * Centres of the receptive fields of a part's frames, in seconds from the beginning of the utterance.
 *
 * @param start the part's first sample
 * @throws ForetuneError `mismatch` if the front end gives another number of frames than the encoder did
 */
export function frameTimes(
  { frontEnd, rate }: Pick<WaveformRule, 'frontEnd' | 'rate'>,
  start: number,
  samples: number,
  frames: number,
) {
  if (!frontEnd) throw new ForetuneError('internal', 'Times of frames were asked for of an encoder whose front end is unknown.');
  const expected = frameCount(frontEnd, samples);
  if (expected !== frames) {
    throw new ForetuneError(
      'mismatch',
      `The encoder gave ${frames} frames for ${samples} samples where its front end gives ${expected}, so that the times of its frames are unknown; alignments cannot be used with it.`,
    );
  }
  return Float64Array.from({ length: frames }, (_, frame) => start / rate + frameTime(frontEnd, frame, rate));
}

/** The part of a built encoder that may cross a thread border. */
export function sessionOf({ path, input, extraInputs, outputs, logits }: BuiltEncoder): OpenRequest['encoder'] {
  return { path, input, extraInputs, outputs, logits };
}

/** Below this width a second thread costs more in waking up than it saves. */
const smallWidth = 256;

/** The settings of the machine for a model: one thread for a small one, where the choice is ours. */
export function settingsFor({ width }: Pick<EncoderModel, 'width'>, { providers, threads }: SessionSettings): SessionSettings {
  return { providers, threads: threads === 0 && width > 0 && width < smallWidth ? 1 : threads };
}

export interface OpenRequest {
  encoder: Pick<BuiltEncoder, 'path' | 'input' | 'extraInputs' | 'outputs' | 'logits'>;
  settings: SessionSettings;
  rule: WaveformRule;
}

export interface OpenReply {
  provider: Provider;
  fallbacks: string[];
  layers: number[];
  width: number;
}

/**
 * What the inference thread does. It holds one encoder at a time, and the statistics of one pass. Requests come one after
 * another; cancelling means not sending the next.
 */
export function inferenceHandlers() {
  let encoder: Encoder | undefined;
  let rule: WaveformRule | undefined;
  let kernel: GramKernel | undefined;
  let statistics: StreamingStatistics | undefined;
  const stages = stageHandlers();
  let sideBySide: SideBySide | undefined;

  const need = <T>(thing: T | undefined, what: string): T => {
    if (thing === undefined) throw new ForetuneError('internal', `The inference thread was asked for ${what} before it had one.`);
    return thing;
  };

  /** Runs the utterance part by part. Parts are independent of each other, as HF gives them no shared context either. */
  async function* parts(samples: Float32Array): AsyncGenerator<HiddenStates & { start: number; end: number }> {
    const { normalize: wanted, rate, maxSeconds, minSamples } = need(rule, 'a waveform rule');
    const waveform = wanted ? normalize(samples) : samples;
    for (const { start, end } of segmentBounds(waveform.length, rate, { maxSeconds, minSamples })) {
      yield { ...(await need(encoder, 'an encoder').run(waveform.slice(start, end))), start, end };
    }
  }

  /** The parts of an utterance in one, with the times of its frames where they are asked for. */
  async function joined(samples: Float32Array, timed: boolean): Promise<{ states: HiddenStates; times?: Float64Array }> {
    const runs: HiddenStates[] = [];
    const times: number[] = [];
    for await (const part of parts(samples)) {
      runs.push(part);
      if (timed) times.push(...frameTimes(need(rule, 'a waveform rule'), part.start, part.end - part.start, part.frames));
    }
    const frames = runs.reduce((total, part) => total + part.frames, 0);
    const width = runs[0]?.width ?? 0;
    const layers = need(encoder, 'an encoder').layers.map((_, layer) => {
      if (runs.length === 1) return runs[0].layers[layer].slice();
      const all = new Float32Array(frames * width);
      let offset = 0;
      for (const part of runs) {
        all.set(part.layers[layer], offset);
        offset += part.layers[layer].length;
      }
      return all;
    });
    return { states: { frames, width, layers }, times: timed ? Float64Array.from(times) : undefined };
  }

  async function closeEncoder(): Promise<void> {
    await encoder?.close();
    await kernel?.close();
    await sideBySide?.close();
    sideBySide = undefined;
    encoder = undefined;
    kernel = undefined;
    statistics = undefined;
  }

  return {
    async open(request: OpenRequest): Promise<OpenReply> {
      await closeEncoder();
      encoder = await openEncoder(request.encoder, request.settings);
      rule = request.rule;
      // One run tells the width of exported graphs, and shows a graph that loads but cannot run.
      const { width } = await encoder.run(probeClip(request.rule.minSamples));
      return { provider: encoder.provider, fallbacks: encoder.fallbacks, layers: encoder.layers, width };
    },

    /** Hidden states of a whole utterance, parts joined: frames x width per layer. */
    async features({ samples }: { samples: Float32Array }) {
      const { states } = await joined(samples, false);
      return new Transfer(
        states,
        states.layers.map(({ buffer }) => buffer as ArrayBuffer),
      );
    },

    /** What a probe learns from: the mean of an utterance, some of its frames, or all. */
    async probeRows({ samples, ...request }: ProbeRowsRequest & { samples: Float32Array }) {
      const { states, times } = await joined(samples, request.aligned !== null);
      const reply = probeRows(states, request, times);
      return new Transfer(
        reply,
        reply.rows.map(({ buffer }) => buffer as ArrayBuffer),
      );
    },

    /** The head's logits of a whole utterance: rows of its parts joined, which is one row a part where it classifies. */
    async logits({ samples }: { samples: Float32Array }) {
      const runs: Logits[] = [];
      for await (const { logits } of parts(samples)) runs.push(need(logits, 'logits'));
      const values = new Float32Array(runs.reduce((total, part) => total + part.values.length, 0));
      let offset = 0;
      for (const part of runs) {
        values.set(part.values, offset);
        offset += part.values.length;
      }
      const rows = runs.reduce((total, part) => total + part.rows, 0);
      return new Transfer({ rows, outputs: runs[0]?.outputs ?? 0, values } satisfies Logits, [values.buffer]);
    },

    /** Begins a group of utterances: from nothing, with the shifts of an earlier group's file, or from a saved state of the same group. */
    async beginStatistics({
      plan,
      threads,
      from,
      shiftsFrom,
    }: {
      plan: StatisticsPlan;
      threads: number;
      from?: string;
      shiftsFrom?: string;
    }): Promise<void> {
      if (kernel?.width !== plan.width) {
        await kernel?.close();
        kernel = await openGramKernel(plan.width, threads);
      }
      statistics = new StreamingStatistics(plan, kernel);
      const saved = from ?? shiftsFrom;
      if (saved) statistics.restore(await readStatistics(saved));
      if (!from) statistics.reset();
    },

    /** Adds one utterance; returns its frames (0 if it is too short for one), and of those with a label in each column. */
    async addUtterance({
      samples,
      values,
      utterance,
    }: {
      samples: Float32Array;
      values: TargetValue[];
      /** Its number in the data set. */
      utterance?: number;
    }) {
      const pass = need(statistics, 'statistics');
      pass.beginUtterance(values, utterance);
      const timed = values.some(isAligned);
      for await (const { layers, frames, start, end } of parts(samples)) {
        const times = timed ? frameTimes(need(rule, 'a waveform rule'), start, end - start, frames) : undefined;
        await pass.addFrames(layers, frames, times);
      }
      return pass.endUtterance();
    },

    /** Writes the statistics so far to a file, whole or not at all. */
    async saveStatistics({ path }: { path: string }): Promise<void> {
      const pass = need(statistics, 'statistics');
      await writeStatistics(path, pass.plan, await pass.flush());
    },

    ...stages,

    /** Opens several encoders for the same audio: for how alike their features are. */
    async openSideBySide({ models }: { models: OpenRequest[] }) {
      await closeEncoder();
      sideBySide = await SideBySide.open(models);
      return { layers: sideBySide.layers };
    },

    /** Runs an utterance through all of them; returns its frames. */
    addSideBySide: ({ samples }: { samples: Float32Array }) => need(sideBySide, 'encoders side by side').add(samples),

    similarities: (_: undefined) => need(sideBySide, 'encoders side by side').similarities(),

    async close(_: undefined): Promise<void> {
      await closeEncoder();
      await stages.closeStages(undefined);
    },
  };
}

export type InferenceHandlers = ReturnType<typeof inferenceHandlers>;
