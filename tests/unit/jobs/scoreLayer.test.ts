import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { openGramKernel } from '#main/inference/gram.ts';
import { type StatisticsPlan, StreamingStatistics, type TargetValue } from '#main/inference/statistics.ts';
import { writeStatistics } from '#main/inference/statisticsFile.ts';
import { scoreLayer, type ScoreLayerTask } from '#main/jobs/scoreLayer.ts';
import { computeMetrics } from '#main/scoring/computeMetrics.ts';
import { metrics } from '#main/scoring/registry.ts';

import { temporaryFolder } from '../../support/foretune.ts';
import { Lcg } from '../scoring/data.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const width = 6;
const frames = 12;
const utterances = 40;
const classes = 4;
const groups = 5;
const labelled = metrics.filter(({ needs }) => needs === 'moments' || needs === 'samples').map(({ id }) => id);

interface Case {
  name: string;
  rows: number;
  /** Class of an utterance in each of the columns. */
  values?: (utterance: number) => [word: number | null, side?: number | null];
  feature?: (utterance: number, value: number) => number;
}

/** Group files of forty utterances of twelve frames, whose class raises one of six features. */
async function statistics({
  name,
  rows,
  values = (u) => [u % classes, u % 3 === 0 ? null : u % 2],
  feature = (_, v) => v,
}: Case) {
  const random = new Lcg(4);
  const columns = values(0).length === 2 ? ['word', 'side'] : ['word'];
  const plan: StatisticsPlan = {
    layers: [2],
    width,
    units: ['frame', 'utterance'],
    columns: columns.map((column) => ({ name: column, kind: 'classification', k: classes })),
    sample: { rows: Math.ceil(rows / groups), seed: 0 },
  };
  const kernel = await openGramKernel(width, 1);
  const pass = new StreamingStatistics(plan, kernel);
  const all: { features: number[]; utterance: number }[] = [];
  const groupFiles: string[] = [];
  for (let group = 0; group < groups; group++) {
    for (let u = group; u < utterances; u += groups) {
      const features = Float32Array.from({ length: frames * width }, (_, e) =>
        feature(u, random.bell() + (e % width === u % classes ? 1 : 0)),
      );
      for (let t = 0; t < frames; t++) all.push({ features: [...features.slice(t * width, (t + 1) * width)], utterance: u });
      pass.beginUtterance(values(u) as TargetValue[], u);
      await pass.addFrames([features], frames);
      await pass.endUtterance();
    }
    const file = join(folder.path, `${name}-${group}.safetensors`);
    await writeStatistics(file, plan, await pass.flush());
    groupFiles.push(file);
    pass.reset();
  }
  await kernel.close();
  const task: ScoreLayerTask = {
    groupFiles,
    layer: 2,
    units: ['frame'],
    columns: columns.map((column) => ({ name: column, kind: 'classification' })),
    metrics: labelled,
    centre: false,
    seed: 0,
    resampling: { kind: 'jackknife' },
  };
  return { task, all: all.sort((a, b) => a.utterance - b.utterance) };
}

describe('scores of one layer', () => {
  it('are those of the features themselves, every label-based score in one pass', async () => {
    const { task, all } = await statistics({ name: 'whole', rows: 1000 });
    const { scores, refusals } = await scoreLayer(task);
    expect(refusals).toEqual([]);
    expect(scores).toHaveLength(2 * labelled.length);
    const features = Float64Array.from(all.flatMap((row) => row.features));
    const direct = computeMetrics({
      features,
      n: all.length,
      d: width,
      labels: all.map(({ utterance }) => utterance % classes),
      metrics: labelled,
      seed: 0,
    });
    // Those that start from random rows see them in another order, so they reach another optimum.
    const seeded = ['nleep', 'mi-units'];
    for (const { metric, column, value, n, notes, replicates, low, high } of scores) {
      expect(replicates, metric).toHaveLength(groups);
      expect(low!).toBeLessThanOrEqual(value);
      expect(high!).toBeGreaterThanOrEqual(value);
      expect(notes.filter((note) => note.startsWith('Of '))).toEqual([]);
      expect(n).toBe(column === 0 ? 480 : 12 * 26);
      if (column === 0 && !seeded.includes(metric)) expect(value, metric).toBeCloseTo(direct[metric], 6);
    }
  });

  it('say when they rest on part of the frames', async () => {
    const { task } = await statistics({ name: 'part', rows: 200 });
    const { scores } = await scoreLayer(task);
    for (const { metric, column, n, notes } of scores.filter((score) => score.column === 0)) {
      expect(column).toBe(0);
      const sampled = !['logme', 'hscore'].includes(metric);
      expect(n).toBe(sampled ? 200 : 480);
      expect(notes.some((note) => /^Of 200 of 480 frames/.test(note))).toBe(sampled);
    }
  });

  it('have bootstrap intervals about them, equal in every run', async () => {
    const { task } = await statistics({ name: 'bootstrap', rows: 1000 });
    const drawn: ScoreLayerTask = { ...task, metrics: ['logme', 'lda'], resampling: { kind: 'bootstrap', draws: 40 } };
    const { scores } = await scoreLayer(drawn);
    for (const { replicates, value, low, high } of scores) {
      expect(replicates).toHaveLength(40);
      expect(low!).toBeLessThan(value);
      expect(high!).toBeGreaterThan(value);
    }
    expect(await scoreLayer(drawn)).toEqual({ scores, refusals: [] });
  });

  it('are refused in a sentence where the data cannot give them, while the others stand', async () => {
    // One class has a single utterance of twelve equal frames; by utterance that is one sample, which has no variance.
    const { task } = await statistics({ name: 'rare', rows: 1000, values: (u) => [u === 0 ? 3 : u % 2] });
    const rare = await scoreLayer({
      ...task,
      units: ['utterance'],
      metrics: ['logme', 'gbc', 'lda'],
    });
    expect(rare.scores.map(({ metric }) => metric).sort()).toEqual(['lda', 'logme']);
    expect(rare.refusals).toMatchObject([{ metric: 'gbc', layer: 2, unit: 'utterance' }]);
    expect(rare.refusals[0].message).toMatch(/Class 2 has 1 sample; at least 2 are needed/);
  });

  it('have no interval where a group holds a whole class', async () => {
    const { task } = await statistics({ name: 'alone', rows: 1000, values: (u) => [u % groups === 0 ? 1 : 0] });
    const { scores } = await scoreLayer({ ...task, metrics: ['hscore', 'lda'] });
    for (const { low, replicates } of scores) expect([low, replicates]).toEqual([null, null]);
  });

  it('refuse constant features', async () => {
    const { task } = await statistics({ name: 'constant', rows: 1000, feature: () => 2 });
    const samples = await scoreLayer({ ...task, metrics: ['lda', 'transrate', 'gbc', 'nleep', 'parc', 'mi-units', 'sfda'] });
    expect(samples.scores).toEqual([]);
    for (const { message } of samples.refusals) expect(message).toMatch(/constant/);
    await expect(scoreLayer({ ...task, metrics: ['logme'] })).rejects.toThrow(/constant/);
  });
});
