import { join } from 'node:path';

import { segmentBounds } from '#main/audio/segment.ts';
import { type Vocabulary } from '#main/decoding/vocabulary.ts';
import { type Logits } from '#main/inference/encoder.ts';
import { frameTimes, sessionOf, settingsFor, type WaveformRule, waveformRule } from '#main/inference/handlers.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { frameCount, receptiveField } from '#main/models/frames.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { readVocabulary } from '#main/models/vocabularyFiles.ts';
import { type AlignedFile, writeAlignments } from '#main/reports/alignments.ts';
import { type ScoredTier, tiersOf, tokeniser, type TokenisedText } from '#main/tasks/alignTokens.ts';
import { type Dataset, openDataset, requireColumn, type Utterance } from '#main/tasks/dataset.ts';
import { type DecodedAudio } from '#main/workers/compute.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';
import { type DataChoice, type MachineSettings, type ModelChoice } from '#shared/experiment.ts';
import { type Progress } from '#shared/jobs.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { Pace } from './pace.ts';

export interface AlignRequest {
  model: ModelChoice;
  data: DataChoice;
  /** Column of transcripts. */
  text: string;
  /** A .csv file, or a folder for TextGrids; nothing is written where absent. */
  out?: string;
  maxSeconds: number;
  machine: MachineSettings;
}

export interface AlignedUtterance {
  utterance: number;
  id: string;
  /** The transcript in the characters of the model. */
  text: string;
  /** Mean probability of the tokens. */
  probability: number;
  tiers: ScoredTier[];
}

export interface AlignResult {
  model: string;
  data: string;
  utterances: number;
  words: number;
  provider: string;
  /** Why better providers were not used. */
  fallbacks: string[];
  files: string[];
  notes: string[];
  /** Utterances that were left out, and why. */
  skipped: { file: string; message: string }[];
}

export type AlignEvent =
  | { type: 'progress'; progress: Progress }
  | { type: 'utterance'; aligned: AlignedUtterance }
  | { type: 'done'; result: AlignResult };

/** Characters that a vocabulary lacks, worst first: `"é" 7, "5" 2`. */
function listed(outside: ReadonlyMap<string, number>): string {
  const worst = [...outside].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const some = worst.slice(0, 12).map(([character, count]) => `"${character}" ${count}`);
  return worst.length > 12 ? `${some.join(', ')} and ${worst.length - 12} more` : some.join(', ');
}

/** Transcripts as columns, by utterance; those that cannot be spelled are left out, and one sentence says with which characters. */
function tokenisedTexts(dataset: Dataset, column: string, tokenise: ReturnType<typeof tokeniser>, model: string) {
  requireColumn(dataset, column);
  const outside = new Map<string, number>();
  let [filled, affected] = [0, 0];
  const texts = dataset.utterances.map(({ values }) => {
    const given = values[column].trim();
    if (given === '') return null;
    filled++;
    const text = tokenise(given);
    if (text.outside.size > 0) affected++;
    for (const [character, count] of text.outside) outside.set(character, (outside.get(character) ?? 0) + count);
    return text;
  });
  if (filled === 0)
    throw new ForetuneError(
      'invalid-data',
      `column "${column}" of ${dataset.name} is empty in all ${texts.length} rows: there is no transcript to align.`,
    );
  const sentence = `${affected} of ${filled} transcripts in column "${column}" of ${dataset.name} have characters that the vocabulary of ${model} lacks (${listed(outside)})`;
  if (affected === filled)
    throw new ForetuneError(
      'invalid-data',
      `${sentence}, so that none can be aligned; rewrite them, or choose a model that has them.`,
    );
  return { texts, notes: affected > 0 ? [`${sentence}; they are left out.`] : [] };
}

/** The same tiers from the beginning of the file, of which the utterance may be a part. */
function inFile(tiers: readonly ScoredTier[], { start = 0 }: Utterance): ScoredTier[] {
  return tiers.map((tier) => ({
    ...tier,
    intervals: tier.intervals.map((interval) => ({ ...interval, start: interval.start + start, end: interval.end + start })),
  }));
}

/** Adds an utterance to its file, in the order of time. */
function addTo(files: Map<string, AlignedFile>, file: string, seconds: number, tiers: ScoredTier[]): void {
  const found = files.get(file);
  if (!found) {
    files.set(file, { file, seconds, tiers });
    return;
  }
  found.seconds = Math.max(found.seconds, seconds);
  for (const [t, tier] of found.tiers.entries())
    tier.intervals = [...tier.intervals, ...tiers[t].intervals].sort((a, b) => a.start - b.start);
}

/** A run with everything opened and checked. */
interface Prepared {
  model: EncoderModel;
  vocabulary: Vocabulary;
  dataset: Dataset;
  /** By utterance. */
  texts: (TokenisedText | null)[];
  /** Utterances that can be aligned. */
  chosen: number[];
  rule: WaveformRule;
  /** Centres of all frames of a recording of so many samples, in seconds, and seconds from one to the next. */
  timesOf: (samples: number) => Float64Array;
  hop: number;
  notes: string[];
  skipped: AlignResult['skipped'];
}

async function prepare(request: AlignRequest): Promise<Prepared> {
  const model = await openModel(request.model.path, { mapping: request.model.mapping });
  const vocabulary = await readVocabulary(model);
  const { frontEnd } = model;
  if (!frontEnd)
    throw new ForetuneError(
      'unsupported',
      `The graph of ${model.name} does not show the convolutions in front of it, so the times of its frames are unknown.`,
    );
  const dataset = await openDataset(request.data.path, request.data);
  const { texts, notes } = tokenisedTexts(dataset, request.text, tokeniser(vocabulary), model.name);
  const skipped = dataset.problems.map(({ row, file, message }) => ({ file: file ?? `${dataset.name}, row ${row}`, message }));
  const chosen = texts.flatMap((text, i) => {
    if (text && text.outside.size === 0 && text.tokens.length > 0) return [i];
    const why = text && text.outside.size > 0 ? `the transcript has ${listed(text.outside)}` : 'there is no transcript';
    skipped.push({ file: dataset.utterances[i].path, message: why });
    return [];
  });
  const rule = waveformRule(model, request.maxSeconds);
  const timesOf = (samples: number): Float64Array => {
    const parts = segmentBounds(samples, rule.rate, rule);
    return Float64Array.from(
      parts.flatMap(({ start, end }) => [...frameTimes(rule, start, end - start, frameCount(frontEnd, end - start))]),
    );
  };
  const hop = receptiveField(frontEnd).hop / rule.rate;
  return { model, vocabulary, dataset, texts, chosen, rule, timesOf, hop, notes: [...model.notes, ...notes], skipped };
}

/**
 * Aligns transcripts with audio by the CTC head of a model: every utterance as it is done, in order, and at the end what was written.
 * @throws ForetuneError `unsupported` (no such head, or frames without times), `not-found`, `mismatch`, `invalid-data` (no transcript that
 *   can be spelled, nothing aligned)
 */
export async function* alignTranscripts(engine: Engine, request: AlignRequest, signal?: AbortSignal): AsyncGenerator<AlignEvent> {
  const prepared = await prepare(request);
  const waits: Progress[] = [];
  const total = prepared.chosen.length;
  const borrowed = engine.borrowInference(signal, () =>
    waits.push({ done: 0, total, doing: 'waiting for another run', speed: null, secondsLeft: null }),
  );
  borrowed.catch(() => undefined);
  try {
    for (const progress of waits) yield { type: 'progress', progress };
    const { thread } = await borrowed;
    yield* alignOn(thread, engine, request, prepared, signal);
  } finally {
    // The iteration may also have been left while it waited.
    void borrowed.then(
      ({ giveBack }) => giveBack(),
      () => undefined,
    );
  }
}

/** When each word and character of one utterance is said. */
async function alignOne(
  engine: Engine,
  { model, vocabulary, texts, timesOf, hop }: Prepared,
  utterance: number,
  { samples, seconds }: DecodedAudio,
  { rows, outputs, values }: Logits,
): Promise<Pick<AlignedUtterance, 'text' | 'tiers' | 'probability'>> {
  const text = texts[utterance]!;
  if (rows > 0 && outputs !== vocabulary.texts.length)
    throw new ForetuneError(
      'mismatch',
      `The vocabulary has ${vocabulary.texts.length} tokens, but the model's logits have ${outputs} columns; the vocabulary belongs to another model.`,
    );
  const times = timesOf(samples.length);
  if (times.length !== rows)
    throw new ForetuneError(
      'unsupported',
      `${model.name} gives ${rows} rows of logits for ${times.length} frames, so the times of its characters are unknown.`,
    );
  const task = { logits: values, rows, columns: outputs, tokens: text.tokens, blank: vocabulary.blank };
  const { spans } = await engine.compute('align', task);
  return {
    text: text.text,
    tiers: tiersOf(vocabulary, text, spans, times, hop, seconds),
    probability: spans.reduce((sum, span) => sum + span.probability, 0) / spans.length,
  };
}

async function* alignOn(
  thread: InferenceThread,
  engine: Engine,
  request: AlignRequest,
  prepared: Prepared,
  signal: AbortSignal | undefined,
): AsyncGenerator<AlignEvent> {
  const { model, dataset, chosen, rule, notes } = prepared;
  const skipped = [...prepared.skipped];
  const built = await buildEncoder(model, {
    cacheDir: join(engine.cacheDir, 'graphs'),
    weights: 'own',
    layers: [],
    head: true,
  });
  try {
    const opened = await thread.call('open', {
      encoder: sessionOf(built),
      settings: settingsFor(model, request.machine),
      rule,
    });
    const reports: Progress[] = [];
    const pace = new Pace(chosen.length, (progress) => reports.push(progress));
    pace.doing(model.name);
    const files = new Map<string, AlignedFile>();
    let [utterances, words] = [0, 0];
    for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, chosen, rule.rate)) {
      signal?.throwIfAborted();
      for (const progress of reports.splice(0)) yield { type: 'progress', progress };
      const source = dataset.utterances[utterance];
      pace.add(1, audio?.seconds ?? 0);
      if (!audio) {
        skipped.push({ file: source.path, message: problem });
        continue;
      }
      try {
        const logits = await thread.call('logits', { samples: audio.samples });
        const aligned = await alignOne(engine, prepared, utterance, audio, logits);
        utterances++;
        words += aligned.tiers[0].intervals.length;
        const file = source.values[dataset.audioColumn].trim();
        addTo(files, file, (source.start ?? 0) + audio.seconds, inFile(aligned.tiers, source));
        yield { type: 'utterance', aligned: { utterance, id: source.id, ...aligned } };
      } catch (error) {
        const { code, message } = toErrorValue(error);
        if (code !== 'invalid-data') throw error;
        skipped.push({ file: source.path, message });
      }
    }
    if (utterances === 0)
      throw new ForetuneError(
        'invalid-data',
        `None of the ${dataset.utterances.length} utterances of ${dataset.name} could be aligned; the first is ${skipped[0].file}: ${skipped[0].message}`,
      );
    for (const progress of reports.splice(0)) yield { type: 'progress', progress };
    const written = request.out === undefined ? [] : await writeAlignments(request.out, [...files.values()]);
    yield {
      type: 'done',
      result: {
        model: model.name,
        data: dataset.name,
        utterances,
        words,
        provider: opened.provider,
        fallbacks: opened.fallbacks,
        files: written,
        notes,
        skipped,
      },
    };
  } finally {
    await thread.call('close', undefined);
    await built.dispose();
  }
}
