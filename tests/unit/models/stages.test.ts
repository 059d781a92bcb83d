import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';

import { buildEncoder, openModel } from '#main/models/library.ts';
import { buildStages } from '#main/models/stageGraphs.ts';
import { type StagePrecision, type StageSpec, type StageValue } from '#main/models/stages.ts';
import { applyFilter, waveformFilter } from '#main/speedup/downsampling.ts';

import { temporaryFolder } from '../../support/foretune.ts';
import { demoModels, goldenModels, goldenWaveform } from './golden.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const cacheDir = join(folder.path, 'cache');
const options = { intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
const waveform = goldenWaveform(8000);

/** Runs stages one after the other; every value that any of them gave last. */
async function runStages(path: string, specs: StageSpec[], samples = waveform): Promise<Map<StageValue, Tensor>[]> {
  const built = await buildStages(await openModel(path), specs, { cacheDir });
  const values = new Map<StageValue, Tensor>([['waveform', new Tensor('float32', samples, [1, samples.length])]]);
  const after: Map<StageValue, Tensor>[] = [];
  try {
    for (const { path: graph, inputs, outputs } of built.stages) {
      const session = await InferenceSession.create(graph, options);
      const results = await session.run(Object.fromEntries(inputs.map(({ name, value }) => [name, values.get(value)!])));
      for (const { name, value } of outputs) values.set(value, results[name]);
      after.push(new Map(values));
      await session.release();
    }
  } finally {
    await built.dispose();
  }
  return after;
}

async function runWhole(path: string, head: boolean): Promise<Record<string, Float32Array>> {
  const built = await buildEncoder(await openModel(path), { cacheDir, weights: 'own', head });
  const session = await InferenceSession.create(built.path, options);
  const results = await session.run({ waveform: new Tensor('float32', waveform, [1, waveform.length]) });
  await session.release();
  await built.dispose();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

/** A stage for the front end and one for every block, and the head's if there is one. */
function blockByBlock(blocks: number, head: boolean, precision: StagePrecision = 'float32'): StageSpec[] {
  return [
    { id: 'front', pieces: [{ kind: 'features' }, { kind: 'project' }], precision },
    ...Array.from({ length: blocks }, (_, index): StageSpec => ({
      id: `block-${index}`,
      pieces: [{ kind: 'block', index }],
      previous: true,
      precision,
    })),
    ...(head ? [{ id: 'head', pieces: [{ kind: 'own-head' as const }] }] : []),
  ];
}

const dataOf = (values: Map<StageValue, Tensor>, value: StageValue) => values.get(value)!.data as Float32Array;

function relative(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  a.forEach((value, i) => {
    difference += (value - b[i]) ** 2;
    norm += b[i] ** 2;
  });
  return Math.sqrt(difference / norm);
}

describe('an encoder in stages', () => {
  it.each([
    ['post-norm, with a head', join(demoModels, 'tiny-hubert-ft-asr'), 6, true],
    ['a shared position bias', join(goldenModels, 'wavlm-base'), 3, false],
    ['pre-norm, bias and head', join(goldenModels, 'wavlm-large'), 2, true],
  ])('gives the bits of the whole graph: %s', async (_, path, blocks, head) => {
    const whole = await runWhole(path, head);
    const after = await runStages(path, blockByBlock(blocks, head));
    for (let layer = 0; layer <= blocks; layer++)
      expect(dataOf(after[layer], 'hidden_states')).toEqual(whole[`hidden_states.${layer}`]);
    for (let layer = 1; layer <= blocks; layer++)
      expect(dataOf(after[layer], 'previous_hidden_states')).toEqual(whole[`hidden_states.${layer - 1}`]);
    if (head) expect(dataOf(after[blocks + 1], 'logits')).toEqual(whole.logits);
  });

  // Measured 9e-3 and 6e-4 (the steps of 7 bits with a sign, and of 11 bits); a wrong scale or layout gives more than 1.
  it.each([
    ['int8', 0.03],
    ['float16', 0.003],
  ] as const)('comes close to it in %s', async (precision, tolerance) => {
    const path = join(demoModels, 'tiny-hubert-ft-asr');
    const whole = await runWhole(path, true);
    const after = await runStages(path, blockByBlock(6, true, precision));
    const distance = relative(dataOf(after[7], 'logits'), whole.logits);
    expect(distance).toBeLessThan(tolerance);
    expect(distance).toBeGreaterThan(0);
  });

  it('leaves blocks out, and pools features', async () => {
    const path = join(demoModels, 'tiny-hubert-ft-asr');
    const specs: StageSpec[] = [
      { id: 'front', pieces: [{ kind: 'features' }, { kind: 'pool', factor: 3 }, { kind: 'project' }] },
      { id: 'blocks', pieces: [0, 3].map((index) => ({ kind: 'block', index })) },
    ];
    const [front, blocks] = await runStages(path, specs);
    // 24 frames of 8000 samples.
    expect(front.get('hidden_states')!.dims).toEqual([1, 8, 96]);
    expect(blocks.get('hidden_states')!.dims).toEqual([1, 8, 96]);
  });

  it.each(['decimation', 'average', 'convolution'] as const)('filters a waveform as stated: %s', async (kind) => {
    const filter = waveformFilter({ kind, factor: 3 })!;
    const [after] = await runStages(join(demoModels, 'tiny-hubert-ft-asr'), [
      { id: 'filter', pieces: [{ kind: 'filter', filter, renormalise: false }] },
    ]);
    const expected = applyFilter(filter, waveform);
    expect(after.get('waveform')!.dims).toEqual([1, expected.length]);
    expect(relative(dataOf(after, 'waveform'), expected)).toBeLessThan(1e-6);
  });
});
