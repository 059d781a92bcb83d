import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createRows, type GramKernel, openGramKernel } from '#main/inference/gram.ts';
import {
  type StatisticsPlan,
  stratumHolds,
  stratumOf,
  StreamingStatistics,
  type TargetValue,
} from '#main/inference/statistics.ts';
import { readStatistics, writeStatistics } from '#main/inference/statisticsFile.ts';
import {
  addMoments,
  addRows,
  addTargets,
  createFeatureMoments,
  createTargetMoments,
  rawCross,
  rawGram,
} from '#main/scoring/moments.ts';

const width = 11;
const layerCount = 2;

/** Smooth pseudo-features with a large mean, which float32 sums would not survive. */
function features(utterance: number, frames: number, layer: number): Float32Array {
  return Float32Array.from(
    { length: frames * width },
    (_, i) => 50 + 10 * layer + Math.sin(0.37 * i + utterance * 1.7 + layer) + 0.1 * Math.cos(i * utterance),
  );
}

const plan: StatisticsPlan = {
  layers: [0, 3],
  width,
  units: ['frame', 'utterance'],
  columns: [
    { name: 'word', kind: 'classification', k: 3 },
    { name: 'pitch', kind: 'regression', k: 1 },
  ],
};

const utterances = Array.from({ length: 9 }, (_, u) => ({
  frames: 700 + 41 * u,
  values: [u === 4 ? null : u % 3, u === 2 || u === 7 ? null : Math.sin(u)] as TargetValue[],
}));

async function feed(statistics: StreamingStatistics, from: number, to: number): Promise<void> {
  for (let u = from; u < to; u++) {
    const { frames, values } = utterances[u];
    statistics.beginUtterance(values);
    const half = Math.floor(frames / 2);
    const layers = Array.from({ length: layerCount }, (_, l) => features(u, frames, l));
    await statistics.addFrames(
      layers.map((layer) => layer.slice(0, half * width)),
      half,
    );
    await statistics.addFrames(
      layers.map((layer) => layer.slice(half * width)),
      frames - half,
    );
    await statistics.endUtterance();
  }
}

describe('streaming statistics', () => {
  let kernel: GramKernel;
  const folder = mkdtempSync(join(tmpdir(), 'foretune-statistics-'));
  beforeAll(async () => {
    kernel = await openGramKernel(width, 1);
  });
  afterAll(async () => {
    await kernel.close();
    rmSync(folder, { recursive: true });
  });

  it('gives the moments of all labelled rows, as a plain float64 sum does, for both units and columns with gaps', async () => {
    const statistics = new StreamingStatistics(plan, kernel);
    await feed(statistics, 0, utterances.length);
    const layers = await statistics.flush();
    for (const [l, { units, layer }] of layers.entries()) {
      expect(layer).toBe(plan.layers[l]);
      for (const unit of plan.units) {
        const { strata, targets } = units.get(unit)!;
        for (const [column, { k, kind }] of plan.columns.entries()) {
          const expectedFeatures = createFeatureMoments(width);
          const expectedTargets = createTargetMoments(k, width);
          utterances.forEach(({ frames, values }, u) => {
            const value = values[column];
            if (value === null) return;
            const rows = features(u, frames, l);
            const mean = Float64Array.from({ length: width }, (_, c) => {
              let sum = 0;
              for (let t = 0; t < frames; t++) sum += rows[t * width + c];
              return sum / frames;
            });
            const [samples, n] = unit === 'frame' ? [rows, frames] : [mean, 1];
            const y = new Array<number>(n).fill(value);
            addRows(expectedFeatures, samples, n);
            addTargets(
              expectedTargets,
              kind === 'classification' ? { classes: y } : { values: y },
              samples,
              n,
              expectedFeatures.shift,
            );
          });
          const total = createFeatureMoments(width, [...strata.values()][0].shift);
          for (const [stratum, moments] of strata) if (stratumHolds(stratum, column)) addMoments(total, moments);
          expect(total.n).toBe(expectedFeatures.n);
          expect(targets[column].n).toBe(expectedTargets.n);
          // Features near 50 summed over thousands of rows: 1e-11 of the sums is float64 rounding.
          const gram = rawGram(total);
          const expectedGram = rawGram(expectedFeatures);
          gram.forEach((entry, i) => expect(Math.abs(entry / expectedGram[i] - 1)).toBeLessThan(1e-11));
          const cross = rawCross(total, targets[column]);
          const expectedCross = rawCross(expectedFeatures, expectedTargets);
          const scale = Math.max(...expectedCross.map(Math.abs));
          cross.forEach((entry, i) => expect(Math.abs(entry - expectedCross[i]) / scale).toBeLessThan(1e-11));
        }
      }
    }
  });

  it('goes on from a saved state bit for bit as if it had not stopped there', async () => {
    const through = new StreamingStatistics(plan, kernel);
    await feed(through, 0, 5);
    await through.flush();
    await feed(through, 5, utterances.length);

    const first = new StreamingStatistics(plan, kernel);
    await feed(first, 0, 5);
    const file = join(folder, 'half.safetensors');
    await writeStatistics(file, plan, await first.flush());
    const second = new StreamingStatistics(plan, kernel);
    second.restore(await readStatistics(file));
    await feed(second, 5, utterances.length);

    expect(await second.flush()).toEqual(await through.flush());
  });

  it('reads one layer of a file by itself', async () => {
    const statistics = new StreamingStatistics(plan, kernel);
    await feed(statistics, 0, 3);
    const all = await statistics.flush();
    const file = join(folder, 'layers.safetensors');
    await writeStatistics(file, plan, all);
    expect(await readStatistics(file, 3)).toEqual([all[1]]);
  });

  it('keeps the provisional means over groups, so that groups add up', async () => {
    const statistics = new StreamingStatistics(plan, kernel);
    await feed(statistics, 0, 4);
    const [before] = await statistics.flush();
    statistics.reset();
    await feed(statistics, 4, 6);
    const [after] = await statistics.flush();
    const shift = (layer: typeof before) => [...layer.units.get('frame')!.strata.values()][0].shift;
    expect(shift(after)).toEqual(shift(before));
    expect(after.units.get('utterance')!.targets[0].n).toBe(1);
  });

  it('leaves an utterance without any label out', async () => {
    const statistics = new StreamingStatistics(plan, kernel);
    statistics.beginUtterance([null, null]);
    await statistics.addFrames([features(0, 5, 0), features(0, 5, 1)], 5);
    expect(await statistics.endUtterance()).toBe(0);
    expect(await statistics.flush()).toEqual([]);
  });
});

describe('strata', () => {
  it('tell which columns an utterance has labels of, beyond 31 columns too', () => {
    const values: TargetValue[] = new Array<TargetValue>(48).fill(null);
    values[0] = 1;
    values[40] = 2;
    const stratum = stratumOf(values);
    expect(values.map((_, column) => stratumHolds(stratum, column))).toEqual(values.map((value) => value !== null));
  });
});

describe('the Gram kernel', () => {
  it('equals a plain sum for widths that do and do not divide into its blocks', async () => {
    for (const size of [1, 7, 256, 258]) {
      const wide = await openGramKernel(size, 1);
      const shift = Float64Array.from({ length: size }, (_, c) => 3 + c / 7);
      for (const kind of ['float32', 'float64'] as const) {
        const x = createRows(kind, 8, size);
        for (let i = 0; i < 5 * size; i++) x.data[i] = shift[i % size] + Math.sin(i * 0.7);
        x.rows = 5;
        const moments = createFeatureMoments(size);
        await wide.addTo(moments.gram, x, shift);
        const expected = createFeatureMoments(size);
        addRows(
          expected,
          Float64Array.from(x.data.subarray(0, 5 * size), (value, i) => value - shift[i % size]),
          5,
        );
        // Sums of five products near 1: a few units in the last place.
        moments.gram.forEach((entry, i) => expect(Math.abs(entry - expected.gram[i])).toBeLessThan(1e-13));
      }
      await wide.close();
    }
  });
});
