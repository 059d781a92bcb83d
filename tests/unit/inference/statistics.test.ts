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
            const y = new Array<number>(n).fill(value as number);
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
    expect(await statistics.endUtterance()).toEqual({ frames: 5, labelled: [0, 0] });
    expect(await statistics.flush()).toEqual([]);
  });
});

describe('labels of stretches', () => {
  const aligned: StatisticsPlan = {
    layers: [0],
    width,
    units: ['frame'],
    columns: [
      { name: 'phones', kind: 'classification', k: 3 },
      { name: 'word', kind: 'classification', k: 2 },
      { name: 'prosody', kind: 'regression', k: 2 },
      { name: 'tags', kind: 'multi-label', k: 3 },
    ],
  };
  const hop = 0.02;
  /** Two intervals with a gap before, between and after them. */
  const phones = (u: number) => ({
    starts: Float64Array.of(0.1, 1),
    ends: Float64Array.of(0.7, 1.5 + 0.1 * u),
    classes: Int32Array.of(u % 3, (u + 1) % 3),
  });
  const set = Array.from({ length: 6 }, (_, u) => ({
    frames: 101 + 7 * u,
    values: [
      u === 3 ? null : phones(u),
      u === 1 ? null : u % 2,
      Float64Array.of(u, -u / 2),
      u === 4 ? null : Float64Array.of(u % 2, 1, u > 2 ? 1 : 0),
    ] as TargetValue[],
  }));

  /** The label of a frame in a column, as a row of k numbers, found the plain way. */
  function row(column: number, value: TargetValue, time: number): number[] | null {
    const { k, kind } = aligned.columns[column];
    if (value === null) return null;
    if (value instanceof Float64Array) return [...value];
    if (typeof value === 'number') return kind === 'classification' ? oneHot(value, k) : [value];
    const interval = value.starts.findIndex((start, i) => start <= time && time < value.ends[i]);
    return interval < 0 ? null : oneHot(value.classes[interval], k);
  }
  const oneHot = (index: number, k: number) => Array.from({ length: k }, (_, i) => Number(i === index));

  it('give the moments of the frames in intervals, beside columns of whole utterances, numbers and several labels', async () => {
    const kernel = await openGramKernel(width, 1);
    const statistics = new StreamingStatistics(aligned, kernel);
    const seen = [];
    for (const [u, { frames, values }] of set.entries()) {
      statistics.beginUtterance(values);
      const times = Float64Array.from({ length: frames }, (_, t) => 0.0125 + hop * t);
      const rows = features(u, frames, 0);
      const half = 40;
      await statistics.addFrames([rows.slice(0, half * width)], half, times.slice(0, half));
      await statistics.addFrames([rows.slice(half * width)], frames - half, times.slice(half));
      seen.push(await statistics.endUtterance());
    }
    const [{ units }] = await statistics.flush();
    const { strata, targets } = units.get('frame')!;
    for (const [column, { k }] of aligned.columns.entries()) {
      const expectedFeatures = createFeatureMoments(width);
      const expectedTargets = createTargetMoments(k, width);
      for (const [u, { frames, values }] of set.entries()) {
        let labelled = 0;
        const rows = features(u, frames, 0);
        for (let t = 0; t < frames; t++) {
          const y = row(column, values[column], 0.0125 + hop * t);
          if (!y) continue;
          labelled++;
          const one = rows.subarray(t * width, (t + 1) * width);
          addRows(expectedFeatures, one, 1);
          addTargets(expectedTargets, { values: y }, one, 1, expectedFeatures.shift);
        }
        expect([seen[u].frames, seen[u].labelled[column]]).toEqual([frames, labelled]);
      }
      const total = createFeatureMoments(width, [...strata.values()][0].shift);
      for (const [stratum, moments] of strata) if (stratumHolds(stratum, column)) addMoments(total, moments);
      expect([total.n, targets[column].n]).toEqual([expectedFeatures.n, expectedTargets.n]);
      // As above: float64 rounding of sums over features near 50.
      const [gram, expectedGram] = [rawGram(total), rawGram(expectedFeatures)];
      gram.forEach((entry, i) => expect(Math.abs(entry / expectedGram[i] - 1)).toBeLessThan(1e-11));
      const [cross, expectedCross] = [rawCross(total, targets[column]), rawCross(expectedFeatures, expectedTargets)];
      const scale = Math.max(...expectedCross.map(Math.abs));
      cross.forEach((entry, i) => expect(Math.abs(entry - expectedCross[i]) / scale).toBeLessThan(1e-11));
      targets[column].squares.forEach((square, i) => expect(square).toBeCloseTo(expectedTargets.squares[i], 9));
    }
    await kernel.close();
  });

  it('leave no trace of an utterance of which no frame lies in an interval', async () => {
    const kernel = await openGramKernel(width, 1);
    const through = async (first: number) => {
      const statistics = new StreamingStatistics({ ...aligned, columns: aligned.columns.slice(0, 1) }, kernel);
      for (let u = first; u < 2; u++) {
        statistics.beginUtterance([phones(u)]);
        const times = Float64Array.from({ length: 50 }, (_, t) => (u === 0 ? 9 : 0) + hop * t);
        await statistics.addFrames([features(u, 50, 0)], 50, times);
        await statistics.endUtterance();
      }
      return statistics.flush();
    };
    expect(await through(0)).toEqual(await through(1));
    await kernel.close();
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
