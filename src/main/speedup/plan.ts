import { type ExitHead, type StagePiece, type StagePrecision, type StageSpec } from '#main/models/stages.ts';
import { type StridedFilter } from '#main/models/stridedFilter.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type BodySettings, type ExitRule, type HeadKind, type SpeedSettings, type StrategyId } from '#shared/speed.ts';

import { describeDownsampling, waveformFilter } from './downsampling.ts';
import { defaultExits } from './earlyExit.ts';
import { defaultKept, describeBlocks, dropBlocks, keepFirst } from './layerRemoval.ts';

/** An encoder as it is tried: the whole one, or with something left out, made smaller or taken more coarsely. */
export interface Body {
  key: string;
  settings: BodySettings;
  /** Blocks that are run, in order; block i gives layer i. */
  blocks: number[];
  filter: StridedFilter | null;
  /** Frames behind the conv encoder that become one. */
  pool: number;
  /** `first 4 of 6, decimation by 2`; empty for the whole encoder. */
  description: string;
}

/** A body with one kind of heads: what is run once for every utterance. */
export interface Track {
  key: string;
  body: Body;
  heads: HeadKind;
  /** Layers at which characters are made; the last one is the body's end. */
  exits: number[];
  /** Rows of logits for each frame, of heads that are trained. */
  upsampling: number;
  /** `full`, or what is changed: `downsampling`, `layer-removal+quantised`. */
  strategy: string;
  /** Is the body's end a setting of its own, beside early exits? */
  hasEnd: boolean;
}

const precisionNames: Record<StagePrecision, string> = {
  float32: '',
  int8: '8-bit integer weights',
  float16: 'half precision',
};

const isDownsampled = ({ settings: { downsampling } }: Body): boolean => downsampling !== null && downsampling.factor > 1;

/** Does the body end as the model's own head knows it: the same depth and the same frame rate? */
export function endsAsTrained(body: Body, blocks: number): boolean {
  return body.blocks.length === blocks && !isDownsampled(body);
}

/** Which head a track has at a layer: at the end of the whole encoder always the model's own, as in the two-step scheme. */
export function headAt(track: Track, layer: number, blocks: number): HeadKind {
  const isEnd = layer === track.exits[track.exits.length - 1];
  return isEnd && endsAsTrained(track.body, blocks) ? 'final' : track.heads;
}

/** An encoder with some changes, checked against the number of its blocks. */
export function bodyOf(settings: BodySettings, blocks: number, kernel?: Float32Array): Body {
  const { downsampling, drop, precision } = settings;
  const kept = drop.length === 0 ? keepFirst(blocks, blocks) : dropBlocks(blocks, drop);
  const isFewer = downsampling !== null && downsampling.factor > 1;
  const parts = [
    isFewer ? describeDownsampling(downsampling) : '',
    kept.length < blocks ? describeBlocks(blocks, kept) : '',
    precisionNames[precision],
  ].filter((part) => part !== '');
  return {
    key: parts.length === 0 ? 'full' : parts.join(', '),
    settings,
    blocks: kept,
    filter: isFewer ? waveformFilter(downsampling, kernel) : null,
    pool: isFewer && downsampling.kind === 'features' ? downsampling.factor : 1,
    description: parts.join(', '),
  };
}

function strategyOf(body: Body, blocks: number): string {
  const parts: StrategyId[] = [];
  if (isDownsampled(body)) parts.push('downsampling');
  if (body.blocks.length < blocks) parts.push('layer-removal');
  if (body.settings.precision !== 'float32') parts.push('quantised');
  return parts.length === 0 ? 'full' : parts.join('+');
}

/** Rows per frame of a trained head: two where frames are rarer than they were, as published; more where transcripts need them. */
function defaultUpsampling(body: Body): number {
  return isDownsampled(body) ? 2 : 1;
}

const unchanged: BodySettings = { downsampling: null, drop: [], precision: 'float32' };

/** Exits of a body: those layers that are asked for and that it has, and its end. */
function exitsOf(body: Body, settings: SpeedSettings): number[] {
  const { layers } = settings.earlyExit;
  const end = body.blocks[body.blocks.length - 1];
  const wanted = layers === 'auto' ? defaultExits(body.blocks.length).map((count) => body.blocks[count - 1]) : layers;
  const wrong = wanted.find((layer) => !body.blocks.includes(layer));
  if (wrong !== undefined)
    throw new ForetuneError(
      'usage',
      `There is no exit at layer ${wrong} of ${body.description || 'the encoder'}: its layers are ${body.blocks.join(', ')}.`,
    );
  return [...new Set([...wanted, end])].sort((a, b) => a - b);
}

/**
 * Everything that a sweep runs: the full model first, then each strategy's encoders with each kind of head.
 * @param blocks of the encoder
 * @throws ForetuneError `usage` for layers and blocks that it does not have.
 */
export function planTracks(settings: SpeedSettings, blocks: number, kernel?: Float32Array): Track[] {
  const tracks = new Map<string, Track>();
  const add = (bodySettings: BodySettings, kinds: readonly HeadKind[], early: boolean): void => {
    const body = bodyOf(bodySettings, blocks, kernel);
    const strategy = strategyOf(body, blocks);
    const asTrained = endsAsTrained(body, blocks);
    const exits = early ? exitsOf(body, settings) : [body.blocks[body.blocks.length - 1]];
    // Where the model's own head stands at the end and nowhere else is a head, kinds of heads make no difference.
    for (const heads of asTrained && exits.length === 1 ? (['final'] as const) : kinds) {
      if (heads === 'imported' && isDownsampled(body)) continue;
      const key = `${body.key} / ${heads}`;
      const known = tracks.get(key);
      tracks.set(key, {
        key,
        body,
        heads,
        exits: known && known.exits.length > exits.length ? known.exits : exits,
        upsampling: heads === 'trained' ? defaultUpsampling(body) : 1,
        strategy,
        hasEnd: !asTrained || heads === 'final',
      });
    }
  };
  const { strategies, heads } = settings;
  add(unchanged, ['final'], false);
  if (strategies.includes('early-exit')) add(unchanged, heads, true);
  if (strategies.includes('downsampling'))
    for (const kind of new Set([...settings.downsampling.kinds, ...(kernel ? (['convolution'] as const) : [])]))
      for (const factor of settings.downsampling.factors) add({ ...unchanged, downsampling: { kind, factor } }, heads, false);
  if (strategies.includes('layer-removal')) {
    const { keep, drop } = settings.layerRemoval;
    const kept = keep === 'auto' ? defaultKept(blocks) : keep;
    const dropped = kept.map((count) => keepFirst(blocks, blocks).slice(keepFirst(blocks, count).length));
    for (const set of [...dropped, ...drop]) add({ ...unchanged, drop: [...set].sort((a, b) => a - b) }, heads, false);
  }
  if (strategies.includes('quantised'))
    for (const precision of settings.quantised.precisions) add({ ...unchanged, precision }, ['final'], false);
  for (const { exits, ...combination } of settings.combinations) add(combination, heads, exits);
  return [...tracks.values()];
}

/** How a body is run: what comes before the blocks, then blocks up to each exit in turn. */
export interface Route {
  front: string[];
  segments: {
    stages: string[];
    /** The layer that it gives. */
    layer: number;
  }[];
}

/** The stages that all bodies of a sweep are made of, each once, and how each body is made of them. */
export interface StagePlan {
  specs: StageSpec[];
  routes: Map<string, Route>;
}

/** The stage of the model's own head. */
export const ownHead = 'head';

const suffix = (precision: StagePrecision): string => (precision === 'float32' ? '' : `-${precision}`);

/**
 * Cuts the encoder so that every body is a row of the same stages: wherever one of them exits, begins or ends a run of blocks. No
 * setting of a sweep needs a copy of the weights, but for other precisions.
 * @param renormalise whether filtered waveforms are brought to zero mean and unit variance, as the model's feature extractor does
 */
export function planStages(tracks: readonly Track[], rules: readonly ExitRule[], renormalise: boolean): StagePlan {
  const specs = new Map<string, StageSpec>();
  const routes = new Map<string, Route>();
  const stage = (id: string, pieces: StagePiece[], options: Partial<StageSpec> = {}): string => {
    specs.set(id, { id, pieces, ...options });
    return id;
  };
  const precisions = [...new Set(tracks.map(({ body }) => body.settings.precision))];
  for (const precision of precisions) {
    const own = tracks.filter(({ body }) => body.settings.precision === precision);
    const isSplit = own.some(({ body }) => body.pool > 1);
    const cuts = new Set<number>([0]);
    for (const { body, exits } of own) {
      // After a block that is not followed by the next one, and before one that does not follow the one before.
      for (const [i, block] of body.blocks.entries()) {
        if (body.blocks[i - 1] !== block - 1) cuts.add(block - 1);
        if (body.blocks[i + 1] !== block + 1) cuts.add(block);
      }
      for (const layer of exits) cuts.add(layer);
    }
    const bounds = [...cuts].sort((a, b) => a - b);
    const needsPrevious = rules.includes('similarity') && own.some(({ exits }) => exits.length > 1);
    for (const { body, exits: exitsOfTrack } of own) {
      const front: string[] = [];
      const { downsampling } = body.settings;
      if (body.filter && downsampling)
        front.push(
          stage(`filter-${downsampling.kind}-${downsampling.factor}`, [{ kind: 'filter', filter: body.filter, renormalise }]),
        );
      if (isSplit) {
        front.push(stage(`features${suffix(precision)}`, [{ kind: 'features' }], { precision }));
        if (body.pool > 1) front.push(stage(`pool-${body.pool}`, [{ kind: 'pool', factor: body.pool }]));
        front.push(stage(`project${suffix(precision)}`, [{ kind: 'project' }], { precision }));
      } else {
        front.push(stage(`front${suffix(precision)}`, [{ kind: 'features' }, { kind: 'project' }], { precision }));
      }
      const segments: Route['segments'] = [];
      let stages: string[] = [];
      const earlier = routes.get(body.key)?.segments.map(({ layer }) => layer) ?? [];
      const exits = new Set([...earlier, ...exitsOfTrack]);
      for (let b = 1; b < bounds.length; b++) {
        const [from, to] = [bounds[b - 1], bounds[b]];
        if (!body.blocks.includes(to)) continue;
        const pieces = Array.from({ length: to - from }, (_, i): StagePiece => ({ kind: 'block', index: from + i }));
        stages.push(stage(`blocks-${from + 1}-${to}${suffix(precision)}`, pieces, { precision, previous: needsPrevious }));
        if (!exits.has(to)) continue;
        segments.push({ stages, layer: to });
        stages = [];
      }
      routes.set(body.key, { front, segments });
    }
  }
  // The full model is always there, and ends with it.
  stage(ownHead, [{ kind: 'own-head' }]);
  return { specs: [...specs.values()], routes };
}

/** The stage of an exit head. */
export function exitHeadStage(id: string, head: ExitHead): StageSpec {
  return { id, pieces: [{ kind: 'exit-head', head }] };
}
