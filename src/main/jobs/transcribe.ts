import { basename, join } from 'node:path';

import { type BeamSettings, beamSettings } from '#main/decoding/beamSearch.ts';
import { compareTranscripts, type TranscriptErrors, transcriptRates, type TranscriptRates } from '#main/decoding/evaluate.ts';
import { decodeGreedily } from '#main/decoding/greedy.ts';
import { type LanguageModel } from '#main/decoding/languageModel.ts';
import { transcriptOf, type Vocabulary } from '#main/decoding/vocabulary.ts';
import { type Logits } from '#main/inference/encoder.ts';
import { sessionOf, settingsFor, waveformRule } from '#main/inference/handlers.ts';
import { type InferenceThread } from '#main/inference/thread.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { readVocabulary } from '#main/models/vocabularyFiles.ts';
import { type Dataset, openDataset } from '#main/tasks/dataset.ts';
import { type References, referenceTexts } from '#main/tasks/transcripts.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings, type ModelChoice } from '#shared/experiment.ts';
import { type Progress } from '#shared/jobs.ts';

import { decodeAhead } from './decodeAhead.ts';
import { type Engine } from './engine.ts';
import { Pace } from './pace.ts';

export interface TranscribeRequest {
  model: ModelChoice;
  data: { path: string; audioColumn?: string; root?: string };
  /** Column of reference transcripts; without it nothing is compared. */
  text?: string;
  /** Beam search with these settings; greedy decoding without. */
  beam?: Partial<BeamSettings>;
  /** An ARPA file, plain or gzipped: beam search with a language model. */
  lm?: string;
  maxSeconds: number;
  /** Of the bootstrap intervals. */
  seed: number;
  machine: MachineSettings;
}

/** One transcribed utterance. */
export interface Transcription {
  /** Index in the data set, and its stable name there. */
  utterance: number;
  id: string;
  seconds: number;
  hypothesis: string;
  /** Normalised; null where there is none. */
  reference: string | null;
  errors: TranscriptErrors | null;
}

export interface TranscribeResult {
  model: string;
  fingerprint: string;
  data: string;
  decoding: 'greedy' | 'beam';
  beam: BeamSettings | null;
  /** Base name of the language model's file. */
  lm: string | null;
  provider: string;
  /** Utterances that were transcribed. */
  utterances: number;
  audioSeconds: number;
  /** null without references. */
  rates: TranscriptRates | null;
  notes: string[];
  /** Utterances that were left out, and why. */
  skipped: { file: string; message: string }[];
}

export type TranscribeEvent =
  | { type: 'progress'; progress: Progress }
  | { type: 'utterance'; transcription: Transcription }
  | { type: 'done'; result: TranscribeResult };

/** Utterances whose logits wait for the beam search at most. */
const mostWaiting = 8;

/** Turns logits into text: at once, or in the pool. */
function decoderOf(
  engine: Engine,
  vocabulary: Vocabulary,
  beam: BeamSettings | null,
  lm: LanguageModel | null,
): (logits: Logits) => Promise<string> {
  const { blank, texts } = vocabulary;
  return async ({ rows, outputs, values }) => {
    if (rows > 0 && outputs !== texts.length) {
      throw new ForetuneError(
        'mismatch',
        `The vocabulary has ${texts.length} tokens, but the model's logits have ${outputs} columns; the vocabulary belongs to another model.`,
      );
    }
    const columns = beam
      ? await engine.compute('searchBeam', { logits: values, rows, vocabulary, settings: beam, lm })
      : decodeGreedily(values, rows, outputs, blank);
    return transcriptOf(vocabulary, columns);
  };
}

/** A transcription with everything opened and checked. */
interface Prepared {
  model: EncoderModel;
  vocabulary: Vocabulary;
  dataset: Dataset;
  references: References;
  beam: BeamSettings | null;
  lm: LanguageModel | null;
}

async function prepare(engine: Engine, request: TranscribeRequest): Promise<Prepared> {
  const model = await openModel(request.model.path, { mapping: request.model.mapping });
  const vocabulary = await readVocabulary(model);
  const dataset = await openDataset(request.data.path, request.data);
  const references: References =
    request.text === undefined
      ? { texts: dataset.utterances.map(() => null), notes: [] }
      : referenceTexts(dataset, request.text, vocabulary, model.name);
  return {
    model,
    vocabulary,
    dataset,
    references,
    beam: request.beam || request.lm !== undefined ? beamSettings(request.beam) : null,
    lm: request.lm === undefined ? null : await engine.compute('readLanguageModel', request.lm),
  };
}

/**
 * Transcribes a data set with a model that has a CTC head, greedily or by beam search, and compares with reference transcripts:
 * first every utterance as it is done, in order, then the pooled error rates. Leaving the iteration stops it.
 * @throws ForetuneError `unsupported` (no such head), `not-found`, `mismatch` (vocabulary and logits), `corrupt` (the language model),
 *   `invalid-data` (references that cannot be written, no usable audio).
 */
export async function* transcribe(
  engine: Engine,
  request: TranscribeRequest,
  signal?: AbortSignal,
): AsyncGenerator<TranscribeEvent> {
  const prepared = await prepare(engine, request);
  const waits: Progress[] = [];
  const total = prepared.dataset.utterances.length;
  const borrowed = engine.borrowInference(signal, () =>
    waits.push({ done: 0, total, doing: 'waiting for another run', speed: null, secondsLeft: null }),
  );
  borrowed.catch(() => undefined);
  try {
    for (const progress of waits) yield { type: 'progress', progress };
    const { thread } = await borrowed;
    yield* transcribeOn(thread, engine, request, prepared, signal);
  } finally {
    // The iteration may also have been left while it waited.
    void borrowed.then(
      ({ giveBack }) => giveBack(),
      () => undefined,
    );
  }
}

async function* transcribeOn(
  thread: InferenceThread,
  engine: Engine,
  request: TranscribeRequest,
  { model, vocabulary, dataset, references, beam, lm }: Prepared,
  signal: AbortSignal | undefined,
): AsyncGenerator<TranscribeEvent> {
  const notes = [...model.notes, ...references.notes];
  const skipped = dataset.problems.map(({ row, file, message }) => ({ file: file ?? `${dataset.name}, row ${row}`, message }));

  const built = await buildEncoder(model, { cacheDir: join(engine.cacheDir, 'graphs'), weights: 'own', layers: [], head: true });
  const waiting: Promise<Transcription>[] = [];
  try {
    const opened = await thread.call('open', {
      encoder: sessionOf(built),
      settings: settingsFor(model, request.machine),
      rule: waveformRule(model, request.maxSeconds),
    });
    notes.push(...opened.fallbacks, ...(built.notes ?? []));
    const decode = decoderOf(engine, vocabulary, beam, lm);
    const finish = async (utterance: number, seconds: number, logits: Logits): Promise<Transcription> => {
      const hypothesis = await decode(logits);
      const reference = references.texts[utterance];
      const errors = reference === null ? null : compareTranscripts(reference, hypothesis);
      return { utterance, id: dataset.utterances[utterance].id, seconds, hypothesis, reference, errors };
    };

    const reports: Progress[] = [];
    const pace = new Pace(dataset.utterances.length, (progress) => reports.push(progress));
    pace.doing(model.name);
    const compared: TranscriptErrors[] = [];
    let [utterances, audioSeconds] = [0, 0];
    const told = function* (transcription: Transcription): Generator<TranscribeEvent> {
      utterances++;
      audioSeconds += transcription.seconds;
      if (transcription.errors) compared.push(transcription.errors);
      pace.add(1, transcription.seconds);
      yield { type: 'utterance', transcription };
      for (const progress of reports.splice(0)) yield { type: 'progress', progress };
    };

    const all = dataset.utterances.map((_, index) => index);
    for await (const { utterance, audio, problem } of decodeAhead(engine, dataset, all, model.preprocessing.samplingRate)) {
      signal?.throwIfAborted();
      const file = dataset.utterances[utterance].path;
      if (!audio) {
        skipped.push({ file, message: problem });
        pace.add(1, 0);
        continue;
      }
      const logits = await thread.call('logits', { samples: audio.samples });
      if (logits.rows === 0)
        notes.push(`${file} is too short for one frame (${audio.seconds.toFixed(4)} s); its transcript is empty.`);
      const finished = finish(utterance, audio.seconds, logits);
      // It is awaited in turn; until then a failure must not count as unhandled.
      finished.catch(() => undefined);
      waiting.push(finished);
      if (waiting.length >= mostWaiting || !beam) yield* told(await waiting.shift()!);
    }
    while (waiting.length > 0) yield* told(await waiting.shift()!);
    if (utterances === 0)
      throw new ForetuneError(
        'invalid-data',
        `None of the ${dataset.utterances.length} utterances of ${dataset.name} could be read; the first is ${skipped[0].file}: ${skipped[0].message}`,
      );

    yield {
      type: 'done',
      result: {
        model: model.name,
        fingerprint: model.fingerprint,
        data: dataset.name,
        decoding: beam ? 'beam' : 'greedy',
        beam,
        lm: request.lm === undefined ? null : basename(request.lm),
        provider: opened.provider,
        utterances,
        audioSeconds,
        rates: compared.length > 0 ? transcriptRates(compared, request.seed) : null,
        notes,
        skipped,
      },
    };
  } finally {
    await Promise.allSettled(waiting);
    await thread.call('close', undefined);
    await built.dispose();
  }
}
