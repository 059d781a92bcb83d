import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ErrorCode, ForetuneError } from '#shared/errors.ts';
import { type DatasetEntry, type ModelEntry, type ScoreEntry } from '#shared/project.ts';

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'foretune-project-'));
}

export function sampleModel(change: Partial<ModelEntry> = {}): ModelEntry & { frontEnd: { kernels: number[] } } {
  return {
    name: 'tiny-hubert',
    path: '/models/tiny-hubert',
    fingerprint: 'f'.repeat(64),
    family: 'hubert',
    layers: 7,
    width: 96,
    parameters: 800_000,
    dtype: 'F16',
    bytes: 1_600_000,
    frontEnd: { kernels: [10, 3] },
    ...change,
  };
}

export function sampleDataset(change: Partial<DatasetEntry> = {}): DatasetEntry {
  return {
    name: 'commands',
    path: '/data/manifest.csv',
    audioColumn: 'path',
    audioRoot: null,
    fingerprint: 'd'.repeat(64),
    utterances: 240,
    hours: 0.05,
    problems: [],
    ...change,
  };
}

export function sampleScore(modelId: number, change: Partial<ScoreEntry> = {}): ScoreEntry {
  return {
    modelId,
    model: 'tiny-hubert',
    layer: 0,
    label: 'word',
    unit: 'utterance',
    metric: 'logme',
    value: 0.1 + 0.2,
    ci_low: 0.25,
    ci_high: 0.35,
    n: 240,
    d: 96,
    classes: 10,
    control: '',
    replicates: [0.29, 1 / 3],
    ...change,
  };
}

/** The code of the ForetuneError that `work` throws; fails on anything else. */
export function codeOf(work: () => unknown): ErrorCode {
  return refusal(work).code;
}

export function refusal(work: () => unknown): ForetuneError {
  try {
    work();
  } catch (error) {
    if (error instanceof ForetuneError) return error;
    throw error;
  }
  throw new Error('expected a refusal, but it went through');
}
