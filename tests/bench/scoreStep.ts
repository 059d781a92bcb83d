import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openGramKernel } from '#main/inference/gram.ts';
import { type LayerStatistics, type StatisticsPlan, StreamingStatistics } from '#main/inference/statistics.ts';
import { writeStatistics } from '#main/inference/statisticsFile.ts';
import { createEngine } from '#main/jobs/engine.ts';
import { type ScoreLayerTask } from '#main/jobs/scoreLayer.ts';
import { createRandom } from '#main/linalg/random.ts';

import { say } from './say.ts';

const layers = 13;
const width = 768;
const classes = 50;
const groups = 10;
const frames = 100_000;
const perUtterance = 500;

/** Statistics of one layer's worth of noise with a class in it, given to thirteen layers: what they are costs the same. */
async function* groupStatistics(plan: StatisticsPlan): AsyncGenerator<LayerStatistics[]> {
  const random = createRandom(1);
  const kernel = await openGramKernel(width, 0);
  const pass = new StreamingStatistics({ ...plan, layers: [0] }, kernel);
  let utterance = 0;
  for (let group = 0; group < groups; group++) {
    for (let done = 0; done < frames / groups; done += perUtterance) {
      const label = utterance % classes;
      const features = Float32Array.from(
        { length: perUtterance * width },
        (_, e) => random.normal() + (e % classes === label ? 0.5 : 0),
      );
      pass.beginUtterance([label], utterance++);
      await pass.addFrames([features], perUtterance);
      await pass.endUtterance();
    }
    const [one] = await pass.flush();
    yield plan.layers.map((layer) => ({ ...one, layer }));
    pass.reset();
  }
  await kernel.close();
}

/** The scoring step after extraction: 13 layers of width 768, 100,000 frames, 50 classes, in the pool of two threads. */
export async function benchScoreStep(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foretune-bench-'));
  const engine = createEngine({ cacheDir: join(folder, 'cache') });
  try {
    const plan: StatisticsPlan = {
      layers: Array.from({ length: layers }, (_, layer) => layer),
      width,
      units: ['frame'],
      columns: [{ name: 'label', kind: 'classification', k: classes }],
      sample: { rows: 200, seed: 0 },
    };
    const groupFiles: string[] = [];
    for await (const statistics of groupStatistics(plan)) {
      const file = join(folder, `${groupFiles.length}.safetensors`);
      await writeStatistics(file, plan, statistics);
      groupFiles.push(file);
    }
    const time = async (metrics: string[], count: number, files: string[]): Promise<string> => {
      const task: Omit<ScoreLayerTask, 'layer'> = {
        groupFiles: files,
        units: ['frame'],
        columns: [{ name: 'label', kind: 'classification' }],
        metrics,
        centre: false,
        seed: 0,
        resampling: { kind: 'jackknife' },
      };
      const start = performance.now();
      await Promise.all(plan.layers.slice(0, count).map((layer) => engine.compute('scoreLayer', { ...task, layer })));
      return `${((performance.now() - start) / 1000).toFixed(1)} s`;
    };
    await time(['logme'], 2, groupFiles.slice(0, 1));
    // One file in place of ten: the same factorisations without the ten left-out ones.
    const bare = await time(['logme'], layers, groupFiles.slice(0, 1));
    say('scoring step, 13 layers of width 768, 50 classes: LogME', `${bare} (target: under 5 s; independent of the frames)`);
    say('LogME and H-score', await time(['logme', 'hscore'], layers, groupFiles.slice(0, 1)));
    say('LogME with its interval, ten groups left out in turn', await time(['logme'], layers, groupFiles));
    say(
      'GBC, TransRate, LDA and shrinkage H-score of one layer with intervals, 2000 frames',
      await time(['gbc', 'transrate', 'lda', 'hscore-shrinkage'], 1, groupFiles),
    );
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
