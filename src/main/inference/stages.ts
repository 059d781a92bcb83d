import { type InferenceSession, Tensor } from 'onnxruntime-node';

import { normalize, segmentBounds } from '#main/audio/segment.ts';
import { type StagePorts, type StageValue } from '#main/models/stages.ts';
import { entropySum, exitFires, type FrameSum, meanOf, similaritySum } from '#main/speedup/earlyExit.ts';
import { Transfer } from '#main/workers/channel.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type ExitRule } from '#shared/speed.ts';

import { probeClip, relativeDifference, trustedDifference } from './encoder.ts';
import { openSession, type Provider, type SessionSettings } from './providers.ts';

/** A stage's graph, as it crosses a thread border. */
export interface StageGraph extends StagePorts {
  id: string;
  path: string;
}

/** A body's stages in order, with the layers at which it may be left and the heads that stand there. */
export interface StageRoute {
  front: string[];
  segments: {
    stages: string[];
    layer: number;
    /** Stages that give logits of this layer; none where nobody asks. */
    heads: string[];
  }[];
  /** Samples of the shortest input that gives a frame. */
  minSamples: number;
}

/** How waveforms are given to stages. */
export interface StageRule {
  normalize: boolean;
  rate: number;
  maxSeconds: number;
}

/** What one layer of one utterance gave. */
export interface ExitReading {
  layer: number;
  /** With the layer before; null where that was not asked for. */
  similarity: FrameSum | null;
  /** One for each head of the route. */
  heads: { entropy: FrameSum; rows: number; columns: number; logits: Float32Array<ArrayBuffer> }[];
}

type Values = Partial<Record<StageValue, Tensor>>;

const refuse = (path: string, error: unknown): ForetuneError =>
  new ForetuneError('unsupported', `${path}: onnxruntime refuses this graph: ${toErrorValue(error).message}`, { cause: error });

/** Encoders in pieces, in the inference thread: what the speed-up sweep runs, reads and times. */
export function stageHandlers() {
  const sessions = new Map<string, { graph: StageGraph; session: InferenceSession }>();
  let settings: SessionSettings | undefined;
  let rule: StageRule | undefined;

  async function openAll(
    graphs: readonly StageGraph[],
    choice: SessionSettings,
  ): Promise<{ provider: Provider; fallbacks: string[] }> {
    const found = { provider: 'cpu' as Provider, fallbacks: [] as string[] };
    for (const [index, graph] of graphs.entries()) {
      const { session, provider, fallbacks } = await openSession(graph.path, choice).catch((error: unknown) => {
        throw refuse(graph.path, error);
      });
      sessions.set(graph.id, { graph, session });
      if (index === 0) Object.assign(found, { provider, fallbacks });
      else if (provider !== found.provider)
        throw new ForetuneError(
          'unsupported',
          `${found.provider} takes some stages of the encoder and not others (${fallbacks.at(-1)}).`,
        );
    }
    return found;
  }

  async function releaseAll(): Promise<void> {
    for (const { session } of sessions.values()) await session.release();
    sessions.clear();
  }

  async function runStage(id: string, values: Values): Promise<void> {
    const stage = sessions.get(id);
    if (!stage) throw new ForetuneError('internal', `The inference thread has no stage ${id}.`);
    const { inputs, outputs } = stage.graph;
    const feeds: Record<string, Tensor> = {};
    for (const { name, value } of inputs) feeds[name] = values[value]!;
    const results = await stage.session.run(feeds);
    for (const { name, value } of outputs) values[value] = results[name];
  }

  const begin = (samples: Float32Array): Values => ({ waveform: new Tensor('float32', samples, [1, samples.length]) });

  function similarity(values: Values): FrameSum {
    const { dims, data } = values.hidden_states!;
    return similaritySum(data as Float32Array, values.previous_hidden_states!.data as Float32Array, dims[1], dims[2]);
  }

  async function logitsOf(head: string, values: Values): Promise<{ rows: number; columns: number; logits: Float32Array }> {
    await runStage(head, values);
    const { dims, data } = values.logits!;
    return { rows: dims[1], columns: dims[2], logits: data as Float32Array };
  }

  /** The waveform as the model expects it, cut where it is too long; parts that give no frame are left out. */
  function partsOf(samples: Float32Array, minSamples: number): Float32Array[] {
    const { normalize: wanted, rate, maxSeconds } = rule!;
    const waveform = wanted ? normalize(samples) : samples;
    return segmentBounds(waveform.length, rate, { maxSeconds, minSamples })
      .filter(({ start, end }) => end - start >= minSamples)
      .map(({ start, end }) => waveform.slice(start, end));
  }

  async function compareWithCpu(graphs: readonly StageGraph[], check: StageRoute, provider: Provider): Promise<string | null> {
    const run = async () => {
      const values = begin(probeClip(check.minSamples));
      for (const stage of [...check.front, ...check.segments.flatMap(({ stages }) => stages)]) await runStage(stage, values);
      return (values.hidden_states!.data as Float32Array).slice();
    };
    const there = await run();
    await releaseAll();
    await openAll(graphs, { ...settings!, providers: ['cpu'] });
    const difference = relativeDifference([there], [await run()]);
    if (difference > trustedDifference)
      return `${provider} differs from cpu by ${difference.toExponential(1)} on a test clip, so cpu is used.`;
    await releaseAll();
    return null;
  }

  return {
    /**
     * Opens stages, and closes what was open. All run on one provider; another one than cpu is compared with it on a short clip
     * before it is trusted.
     * @param check the route that is compared
     */
    async openStages(request: {
      stages: StageGraph[];
      settings: SessionSettings;
      rule: StageRule;
      check: StageRoute;
    }): Promise<{ provider: Provider; fallbacks: string[] }> {
      await releaseAll();
      ({ settings, rule } = request);
      let opened: { provider: Provider; fallbacks: string[] };
      try {
        opened = await openAll(request.stages, request.settings);
      } catch (error) {
        // A graph that cpu refuses too says so below.
        if (!(error instanceof ForetuneError)) throw error;
        await releaseAll();
        opened = await openAll(request.stages, { ...request.settings, providers: ['cpu'] });
        opened.fallbacks.push(error.message);
      }
      if (opened.provider !== 'cpu') {
        const reason = await compareWithCpu(request.stages, request.check, opened.provider);
        if (reason !== null) opened = { provider: 'cpu', fallbacks: [...opened.fallbacks, reason] };
        else await openAll(request.stages, request.settings);
      }
      settings = { ...request.settings, providers: [opened.provider] };
      return opened;
    },

    /** Opens further stages (heads that were trained meanwhile) beside those that are open, on the same provider. */
    async addStages({ stages }: { stages: StageGraph[] }): Promise<void> {
      await openAll(stages, settings!);
    },

    /** Hidden states of some layers of a route, parts joined: frames x width each. */
    async stageFeatures({ samples, route, layers }: { samples: Float32Array; route: StageRoute; layers: number[] }) {
      const found = layers.map(() => [] as Float32Array[]);
      let [frames, width] = [0, 0];
      for (const part of partsOf(samples, route.minSamples)) {
        const values = begin(part);
        for (const stage of route.front) await runStage(stage, values);
        for (const { stages, layer } of route.segments) {
          for (const stage of stages) await runStage(stage, values);
          const index = layers.indexOf(layer);
          if (index !== -1) found[index].push(values.hidden_states!.data as Float32Array);
        }
        frames += values.hidden_states!.dims[1];
        width = values.hidden_states!.dims[2];
      }
      const joined = found.map((parts) => {
        const whole = new Float32Array(frames * width);
        let offset = 0;
        for (const part of parts) {
          whole.set(part, offset);
          offset += part.length;
        }
        return whole;
      });
      return new Transfer(
        { frames, width, layers: joined },
        joined.map(({ buffer }) => buffer),
      );
    },

    /** Runs a route to its end and reads every exit on the way: all that any threshold can ask. */
    async readExits({ samples, route, similar }: { samples: Float32Array; route: StageRoute; similar: boolean }) {
      let frames = 0;
      const readings: ExitReading[] = route.segments
        .filter(({ heads }) => heads.length > 0)
        .map(({ layer, heads }) => ({
          layer,
          similarity: similar ? { sum: 0, frames: 0 } : null,
          heads: heads.map(() => ({ entropy: { sum: 0, frames: 0 }, rows: 0, columns: 0, logits: new Float32Array(0) })),
        }));
      for (const part of partsOf(samples, route.minSamples)) {
        const values = begin(part);
        for (const stage of route.front) await runStage(stage, values);
        let at = 0;
        for (const { stages, heads } of route.segments) {
          for (const stage of stages) await runStage(stage, values);
          if (heads.length === 0) continue;
          const reading = readings[at++];
          if (reading.similarity) add(reading.similarity, similarity(values));
          for (const [index, head] of heads.entries()) {
            const { rows, columns, logits } = await logitsOf(head, values);
            const into = reading.heads[index];
            add(into.entropy, entropySum(logits, rows, columns));
            const joined = new Float32Array(into.logits.length + logits.length);
            joined.set(into.logits);
            joined.set(logits, into.logits.length);
            Object.assign(into, { rows: into.rows + rows, columns, logits: joined });
          }
        }
        frames += values.hidden_states!.dims[1];
      }
      const buffers = readings.flatMap(({ heads }) => heads.map(({ logits }) => logits.buffer));
      return new Transfer({ frames, exits: readings }, buffers);
    },

    /**
     * Times a group of utterances through their routes, leaving early by a rule where one is given: all of the group at the same
     * exit. Every route has one head where it may be left.
     * @returns seconds of stages, heads and decisions, and the layer at which the group left
     */
    async timeGroup({
      group,
      exit,
    }: {
      group: { samples: Float32Array; route: StageRoute }[];
      exit: { rule: ExitRule; threshold: number } | null;
    }): Promise<{ seconds: number; layer: number }> {
      const runs = group.flatMap(({ samples, route }) =>
        partsOf(samples, route.minSamples).map((part) => ({ route, values: begin(part) })),
      );
      const { segments } = group[0].route;
      const start = performance.now();
      for (const { route, values } of runs) for (const stage of route.front) await runStage(stage, values);
      let layer = segments[segments.length - 1].layer;
      for (const [index, segment] of segments.entries()) {
        for (const { values } of runs) for (const stage of segment.stages) await runStage(stage, values);
        const isEnd = index === segments.length - 1;
        if (!isEnd && (exit === null || segment.heads.length === 0)) continue;
        const readings: FrameSum[] = [];
        for (const { route, values } of runs) {
          if (isEnd || exit?.rule === 'entropy') {
            const { rows, columns, logits } = await logitsOf(route.segments[index].heads[0], values);
            if (!isEnd) readings.push(entropySum(logits, rows, columns));
          } else readings.push(similarity(values));
        }
        if (isEnd || exit === null || !exitFires(exit.rule, meanOf(readings), exit.threshold)) continue;
        layer = segment.layer;
        if (exit.rule === 'similarity')
          for (const { route, values } of runs) await logitsOf(route.segments[index].heads[0], values);
        break;
      }
      return { seconds: (performance.now() - start) / 1000, layer };
    },

    /** Resident memory of the whole process, bytes. */
    memory: (_: undefined): number => process.memoryUsage.rss(),

    async closeStages(_: undefined): Promise<void> {
      await releaseAll();
    },
  };
}

function add(into: FrameSum, { sum, frames }: FrameSum): void {
  into.sum += sum;
  into.frames += frames;
}
