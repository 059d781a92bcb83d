import { stringify } from 'csv-stringify/sync';

import { type ErrorCounts } from '#main/decoding/editDistance.ts';
import { type Transcription } from '#main/jobs/transcribe.ts';

import { writeWhole } from './writeWhole.ts';

const countColumns = ['substitutions', 'deletions', 'insertions', 'length'] as const;

/** A row per utterance: what was recognised, what was said, and the errors in words and characters. */
export function transcriptsCsv(transcriptions: readonly Transcription[]): string {
  const counts = (errors: ErrorCounts | undefined) => countColumns.map((column) => errors?.[column] ?? '');
  const rows = transcriptions.map(({ id, seconds, reference, hypothesis, errors }) => [
    id,
    seconds,
    reference ?? '',
    hypothesis,
    ...counts(errors?.words),
    ...counts(errors?.characters),
  ]);
  const columns = [
    'utterance',
    'seconds',
    'reference',
    'hypothesis',
    ...countColumns.map((column) => `word_${column}`),
    ...countColumns.map((column) => `character_${column}`),
  ];
  return stringify(rows, { header: true, escape_formulas: true, columns });
}

/** Writes the table of transcripts to a file. Throws `no-space`, `not-found` or `unreadable`. */
export async function writeTranscriptsCsv(path: string, transcriptions: readonly Transcription[]): Promise<void> {
  await writeWhole(path, transcriptsCsv(transcriptions));
}
