import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { type OpenReply } from '#main/inference/handlers.ts';
import { type ProbeRowsReply } from '#main/inference/probeRows.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { type CtcUtterance } from '#main/probing/ctcProbe.ts';
import { type AlignedLabels, isAligned } from '#main/tasks/labels.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type Unit } from '#shared/score.ts';

import { decodeAhead, type KeptAudio } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { type Pace } from './pace.ts';
import { type PreparedProbing, type ProbedColumn } from './probePrepare.ts';

const gibibyte = 2 ** 30;
/** Features that heads for classes and numbers learn from lie in memory: at most this. */
const mostMemory = gibibyte;
/** Features of all frames, which CTC heads learn from, lie in the cache folder while they are trained: at most this. */
const mostDisk = 16 * gibibyte;

/** Rows of one unit in memory that all threads share, in the order training, development, held out. */
export interface SharedRows {
  /** float32 [n, d] of each layer */
  layers: SharedArrayBuffer[];
  n: number;
  d: number;
  train: number;
  dev: number;
  /** [n] utterance of each row */
  utterances: Int32Array;
  /** For each aligned column, by its place among the columns: [n] class of each row. */
  classes: Map<number, Int32Array>;
}

/** All frames of all layers on disk. */
export interface FrameFiles {
  /** float32 [frames, d], a file per layer */
  files: string[];
  d: number;
  /** Where each utterance's frames lie; without its tokens. */
  train: Omit<CtcUtterance & { utterance: number }, 'tokens'>[];
  dev: FrameFiles['train'];
  test: FrameFiles['train'];
}

/** What one pass over the audio gave for probes. */
export interface ProbeFeatures {
  units: Map<Unit, SharedRows>;
  frames: FrameFiles | null;
  seconds: number;
  utterances: number;
  skipped: { file: string; message: string }[];
  /** Files for which a layer, by its number, gave values that are not finite. */
  flawed: Map<number, string[]>;
}

const size = (bytes: number): string =>
  bytes >= gibibyte / 10 ? `${(bytes / gibibyte).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Rows that grow up to a capacity. */
class RowStore {
  private readonly layers: SharedArrayBuffer[];
  private readonly d: number;
  private readonly utterances: number[] = [];
  private readonly classes = new Map<number, number[]>();

  constructor(layers: number, d: number, capacity: number) {
    this.d = d;
    this.layers = Array.from({ length: layers }, () => new SharedArrayBuffer(capacity * d * 4));
  }

  /** @param values [count, d] of each layer; `classes` of the rows, by column */
  add(utterance: number, count: number, values: readonly Float32Array[], classes: ReadonlyMap<number, Int32Array>): void {
    for (const [l, rows] of values.entries()) new Float32Array(this.layers[l]).set(rows, this.utterances.length * this.d);
    for (let i = 0; i < count; i++) this.utterances.push(utterance);
    for (const [column, own] of classes) {
      const all = this.classes.get(column) ?? [];
      all.push(...own);
      this.classes.set(column, all);
    }
  }

  /** @param parts which part each utterance belongs to */
  rows(parts: { train: ReadonlySet<number>; dev: ReadonlySet<number> }): SharedRows {
    const { layers, d } = this;
    const utterances = Int32Array.from(this.utterances);
    return {
      layers,
      n: utterances.length,
      d,
      train: utterances.filter((utterance) => parts.train.has(utterance)).length,
      dev: utterances.filter((utterance) => parts.dev.has(utterance)).length,
      utterances,
      classes: new Map([...this.classes].map(([column, values]) => [column, Int32Array.from(values)])),
    };
  }
}

/** Appends frames of every layer to a file of its own. */
class FrameWriter {
  readonly files: string[];
  private readonly folder: string;
  private readonly handles: FileHandle[] = [];
  private bytes = 0;
  /** Frames so far. */
  frames = 0;

  constructor(folder: string, layers: readonly number[]) {
    this.folder = folder;
    this.files = layers.map((layer) => join(folder, `layer_${String(layer).padStart(2, '0')}.f32`));
  }

  async open(): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    for (const file of this.files) this.handles.push(await open(file, 'w'));
  }

  async add(frames: number, rows: readonly Float32Array[]): Promise<void> {
    const bytes = rows.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (this.bytes + bytes > mostDisk) {
      throw new ForetuneError(
        'no-space',
        `After ${this.frames} frames the features of ${this.files.length} layers take more than ${size(mostDisk)} on disk; choose --layers, or a --sample of utterances.`,
      );
    }
    for (const [l, values] of rows.entries()) {
      await this.handles[l]
        .appendFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
        .catch((error: unknown) => {
          throw writeError(this.files[l], error);
        });
    }
    this.frames += frames;
    this.bytes += bytes;
  }

  async close(): Promise<void> {
    for (const handle of this.handles) await handle.close();
  }
}

/** Folders of features begin with the process that made them, so that those of a killed one are found and removed. */
const folderName = /^(\d+)-/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** A folder of this process for features, after those that killed processes left were removed. */
export function featureFolder(cacheDir: string, name: string): string {
  const home = join(cacheDir, 'probes');
  mkdirSync(home, { recursive: true });
  for (const other of readdirSync(home)) {
    const pid = Number(folderName.exec(other)?.[1] ?? NaN);
    if (!(pid > 0) || (pid !== process.pid && !isAlive(pid))) rmSync(join(home, other), { recursive: true, force: true });
  }
  return join(home, `${process.pid}-${name}`);
}

/** No interval, where an utterance has no alignment. */
const noIntervals: AlignedLabels = { starts: new Float64Array(), ends: new Float64Array(), classes: new Int32Array() };

/** Columns whose labels are of stretches, with their places. */
function alignedColumns(columns: readonly ProbedColumn[]): [number, (AlignedLabels | null)[]][] {
  return columns.flatMap((column, place) =>
    column.kind === 'labels' && column.labels.values.some(isAligned)
      ? [[place, column.labels.values as (AlignedLabels | null)[]] as [number, (AlignedLabels | null)[]]]
      : [],
  );
}

/** Frames kept of each utterance for the unit `frame`, and the memory that all rows take; refuses what does not fit. */
function capacities({ spec, models }: PreparedProbing, count: number, opened: OpenReply, units: readonly Unit[]) {
  const each = Math.max(1, Math.floor(spec.settings.frames / count));
  const rows = { utterance: count, frame: each * count };
  const row = opened.layers.length * opened.width * 4;
  const bytes = units.reduce((sum, unit) => sum + rows[unit] * row, 0);
  if (bytes > mostMemory) {
    throw new ForetuneError(
      'invalid-data',
      `Features of ${count} utterances over ${opened.layers.length} layers of width ${opened.width} of ${models.length === 1 ? models[0].name : 'a model'} take ${size(bytes)} in memory, more than ${size(mostMemory)}; choose --layers, fewer --frames, or a --sample of at most ${Math.floor((count * mostMemory) / bytes)} utterances.`,
    );
  }
  return { each, rows, bytes };
}

/**
 * One pass over the audio for all heads of a model: means, evenly spread frames, or all frames.
 *
 * @param columns those of this pass
 * @param folder where frames may lie; the caller removes it
 */
export async function collectFeatures(
  thread: InferenceThread,
  prepared: PreparedProbing,
  {
    engine,
    signal,
    pace,
    kept,
    opened,
    rate,
    columns,
    folder,
    say,
  }: {
    engine: Engine;
    signal: AbortSignal;
    pace: Pace;
    kept: KeptAudio;
    opened: OpenReply;
    rate: number;
    columns: readonly ProbedColumn[];
    folder: string;
    say: (message: string) => void;
  },
): Promise<ProbeFeatures> {
  const { split, spec, dataset } = prepared;
  const { settings } = spec;
  const order = [...split.train, ...split.dev, ...split.test];
  const isCtc = settings.kind === 'ctc';
  const units = isCtc ? [] : [...new Set(settings.units)];
  const { each, rows: capacity, bytes } = capacities(prepared, order.length, opened, units);
  const stores = new Map(units.map((unit) => [unit, new RowStore(opened.layers.length, opened.width, capacity[unit])]));
  const aligned = alignedColumns(columns);
  const writer = isCtc ? new FrameWriter(folder, opened.layers) : null;
  const places: FrameFiles['train'] = [];
  const skipped: ProbeFeatures['skipped'] = [];
  const flawed: ProbeFeatures['flawed'] = new Map();
  let [seconds, used] = [0, 0];

  const take = async (utterance: number, samples: Float32Array): Promise<ProbeRowsReply> => {
    const reply = await thread.call('probeRows', {
      samples,
      layerNorm: settings.layerNorm,
      mean: stores.has('utterance'),
      frames: isCtc ? 'all' : stores.has('frame') ? each : 0,
      aligned: aligned.length > 0 ? aligned.map(([, values]) => values[utterance] ?? noIntervals) : null,
      onlyAligned: aligned.length > 0 && aligned.length === columns.length,
    });
    const { total, means, picked, rows, classes } = reply;
    if (total === 0) return reply;
    for (const l of reply.flawed) {
      const layer = opened.layers[l];
      flawed.set(layer, [...(flawed.get(layer) ?? []), dataset.utterances[utterance].path]);
    }
    if (means) stores.get('utterance')?.add(utterance, 1, means, new Map());
    const own = new Map(aligned.map(([place], i) => [place, classes[i]]));
    if (picked.length > 0) stores.get('frame')?.add(utterance, picked.length, rows, own);
    if (writer) {
      places.push({ utterance, start: writer.frames, frames: total });
      await writer.add(total, rows);
    }
    return reply;
  };

  try {
    await writer?.open();
    for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, order, rate, kept)) {
      signal.throwIfAborted();
      const file = dataset.utterances[utterance].path;
      if (!audio) skipped.push({ file, message: problem });
      else {
        try {
          const { total } = await take(utterance, audio.samples);
          if (total === 0) skipped.push({ file, message: `is too short for one frame (${audio.seconds.toFixed(4)} s).` });
          else used++;
        } catch (error) {
          const { code, message } = toErrorValue(error);
          if (code !== 'invalid-data') throw error;
          skipped.push({ file, message });
        }
        seconds += audio.seconds;
      }
      pace.add(1, audio?.seconds ?? 0);
    }
  } finally {
    await writer?.close();
  }
  if (used === 0) {
    throw new ForetuneError(
      'invalid-data',
      `None of the ${skipped.length} audio files of ${dataset.path} gave a frame; the first: ${skipped[0].file}: ${skipped[0].message}`,
    );
  }
  if (writer)
    say(
      `features of ${writer.frames} frames lie in ${folder} (${size(writer.frames * opened.layers.length * opened.width * 4)}) until the heads are trained.`,
    );
  else say(`features take ${size(bytes)} in memory until the heads are trained.`);

  const parts = { train: new Set(split.train), dev: new Set(split.dev), test: new Set(split.test) };
  const placed = (part: ReadonlySet<number>): FrameFiles['train'] => places.filter(({ utterance }) => part.has(utterance));
  return {
    units: new Map([...stores].map(([unit, store]) => [unit, store.rows(parts)])),
    frames: writer && {
      files: writer.files,
      d: opened.width,
      train: placed(parts.train),
      dev: placed(parts.dev),
      test: placed(parts.test),
    },
    seconds,
    utterances: used,
    skipped,
    flawed,
  };
}
