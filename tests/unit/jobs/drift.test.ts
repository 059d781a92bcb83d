import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { openEncoder } from '#main/inference/encoder.ts';
import { loadAudio } from '#main/audio/audio.ts';
import { normalize } from '#main/audio/segment.ts';
import { measureDrift, type DriftRequest } from '#main/jobs/drift.ts';
import { createEngine } from '#main/jobs/engine.ts';
import { sampleUtterances } from '#main/jobs/plan.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';
import { linearCka } from '#main/scoring/cka.ts';
import { openDataset } from '#main/tasks/dataset.ts';
import { type Drift } from '#shared/drift.ts';

import { demo } from '../../support/foretune.ts';

const cacheDir = mkdtempSync(join(tmpdir(), 'foretune-drift-'));
const engine = createEngine({ cacheDir });
afterAll(async () => {
  await engine.close();
  rmSync(cacheDir, { recursive: true, force: true });
});

const [base, asr] = ['tiny-hubert', 'tiny-hubert-ft-asr'].map((name) => join(demo, 'models', name));
const settings = { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 };
const request: DriftRequest = {
  models: [{ path: base }, { path: asr }],
  data: { path: join(demo, 'manifest.csv') },
  layers: [0, 3, 6],
  sample: 18,
  seed: 5,
  maxSeconds: 30,
  machine: { providers: ['cpu'], threads: 1 },
};

async function measured(changes: Partial<DriftRequest> = {}): Promise<Drift> {
  let drift: Drift | undefined;
  for await (const event of measureDrift(engine, { ...request, ...changes })) if (event.type === 'done') drift = event.drift;
  return drift!;
}

/** All frames of a layer at once: what streaming must agree with. */
async function allFrames(path: string, layer: number) {
  const model = await openModel(path);
  const built = await buildEncoder(model, { cacheDir, weights: 'own', layers: [layer] });
  const encoder = await openEncoder(built, { providers: ['cpu'], threads: 1 });
  const { utterances } = await openDataset(request.data.path, request.data);
  const values: number[] = [];
  for (const utterance of sampleUtterances(
    utterances.map((_, i) => i),
    request.sample,
    request.seed,
  )) {
    const { samples } = await loadAudio(utterances[utterance].path, { rate: model.preprocessing.samplingRate });
    values.push(...(await encoder.run(model.preprocessing.doNormalize ? normalize(samples) : samples)).layers[0]);
  }
  await encoder.close();
  await built.dispose();
  return { features: Float32Array.from(values), n: values.length / model.width, d: model.width };
}

describe('feature drift', () => {
  it('is the CKA of all frames of both models, from one pass', async () => {
    const drift = await measured();
    expect(drift).toMatchObject({ layers: [0, 3, 6], utterances: 18, notes: [] });
    for (const layer of [0, 6]) {
      const [a, b] = [await allFrames(base, layer), await allFrames(asr, layer)];
      expect(drift.frames).toBe(a.n);
      const row = drift.rows.find((one) => one.layer === layer)!;
      // The same frames, added up in another order of float64 sums.
      expect(row.cka).toBeCloseTo(linearCka(a, b), 9);
      expect(row.debiased).toBeCloseTo(linearCka(a, b, { debiased: true }), 9);
    }
    expect(readdirSync(join(cacheDir, 'graphs'))).toEqual([]);
  });

  it('takes merges that are not written: none at alpha 0, half way between', async () => {
    const merge = (value: number) => ({ path: base, merge: { finetuned: [asr], method: 'linear', alpha: { value }, settings } });
    const { models, rows } = await measured({ models: [{ path: base }, { path: asr }, merge(0), merge(0.5)], layers: [6] });
    expect(models.map(({ name }) => name)).toEqual([
      'tiny-hubert',
      'tiny-hubert-ft-asr',
      'tiny-hubert-ft-asr at alpha 0',
      'tiny-hubert-ft-asr at alpha 0.5',
    ]);
    const of = (i: number, j: number) => rows.find(({ a, b }) => a === models[i].name && b === models[j].name)!.cka!;
    expect(of(0, 2)).toBeCloseTo(1, 12);
    expect(of(0, 3)).toBeGreaterThan(of(0, 1));
    expect(of(1, 3)).toBeGreaterThan(of(0, 1));
    expect(rows).toHaveLength(6);
  });

  it('refuses what cannot be held together, and stops when told', async () => {
    await expect(measured({ layers: [9] })).rejects.toThrow('layer 9 does not exist');
    await expect(measured({ models: [{ path: base }, { path: join(demo, 'nothing') }] })).rejects.toMatchObject({
      code: 'not-found',
    });
    const stopped = measureDrift(engine, request, AbortSignal.abort());
    await expect(
      (async () => {
        for await (const _ of stopped);
      })(),
    ).rejects.toMatchObject({ code: 'cancelled' });
  });
});
