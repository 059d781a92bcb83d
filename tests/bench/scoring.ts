import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { inferenceHandlers, sessionOf, waveformRule } from '#main/inference/handlers.ts';
import { scoreLayer } from '#main/jobs/scoreLayer.ts';
import { buildEncoder, openModel } from '#main/models/library.ts';

import { hubertBase, writeRandomModel } from './randomModel.ts';
import { median, megabytes, say } from './say.ts';

const rate = 16000;
/** 512 frames: a round fills the Gram kernel's 2,048 rows twice, so that every round pays for the products of its own frames. */
const clipSamples = 511 * 320 + 400;
const clipSeconds = clipSamples / rate;
const rounds = 5;
const clipsPerRound = 8;
const classes = 10;

function clip(seed: number): Float32Array {
  let state = seed + 1;
  return Float32Array.from({ length: clipSamples }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 0.3 * Math.sin(0.02 * i * (1 + (seed % 7))) + 0.1 * (state / 2 ** 32 - 0.5);
  });
}

/**
 * What scoring costs over running the encoder alone: the same clips through the same session, once with the last layer fetched
 * and thrown away, once with all 13 layers added to the statistics; both take turns at every clip, so that drift hits both.
 */
export async function benchScoring(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foretune-bench-'));
  try {
    const modelPath = join(folder, 'hubert-base');
    mkdirSync(modelPath);
    await writeRandomModel(modelPath, hubertBase);
    const before = performance.now();
    const model = await openModel(modelPath);
    const opened = performance.now();
    say('opening a model folder', `${megabytes(model.bytes)} in ${((opened - before) / 1000).toFixed(2)} s (target: under 2 s)`);

    const all = await buildEncoder(model, { cacheDir: join(folder, 'graphs'), weights: 'own' });
    const last = await buildEncoder(model, { cacheDir: join(folder, 'graphs'), weights: 'own', layers: [model.layers - 1] });
    const settings = { providers: ['cpu' as const], threads: 0 };
    const rule = waveformRule(model, 30);
    const alone = inferenceHandlers();
    const scoring = inferenceHandlers();
    await alone.open({ encoder: sessionOf(last), settings, rule });
    const { width, layers } = await scoring.open({ encoder: sessionOf(all), settings, rule });
    const plan = {
      layers,
      width,
      units: ['frame' as const, 'utterance' as const],
      columns: [{ name: 'label', kind: 'classification' as const, k: classes }],
    };
    await scoring.beginStatistics({ plan, threads: 0 });

    const clips = Array.from({ length: clipsPerRound }, (_, i) => clip(i));
    const time = async (work: () => Promise<unknown>): Promise<number> => {
      const start = performance.now();
      await work();
      return performance.now() - start;
    };
    /** Milliseconds of all clips, each through one session and then the other. */
    const round = async (): Promise<{ a: number; b: number }> => {
      let [a, b] = [0, 0];
      for (const [i, samples] of clips.entries()) {
        a += await time(() => alone.features({ samples }));
        b += await time(() => scoring.addUtterance({ samples, values: [i % classes] }));
      }
      return { a, b };
    };
    await round();
    const ratios: number[] = [];
    const aloneTimes: number[] = [];
    const rss: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const { a, b } = await round();
      aloneTimes.push(a);
      ratios.push(b / a);
      rss.push(process.memoryUsage().rss);
    }
    say('encoder alone', `${((clips.length * clipSeconds * 1000) / median(aloneTimes)).toFixed(1)} x real time`);
    const pass = median(ratios);
    say(
      'statistics of 13 layers, frames and utterances, over the encoder alone',
      `${pass.toFixed(3)} (rounds: ${ratios.map((ratio) => ratio.toFixed(3)).join(' ')})`,
    );
    say('memory after each round', rss.map(megabytes).join(', '));

    const file = join(folder, 'group.safetensors');
    await scoring.saveStatistics({ path: file });
    await alone.close(undefined);
    await scoring.close(undefined);
    const start = performance.now();
    const task = {
      groupFiles: [file],
      units: ['frame' as const],
      columns: [{ name: 'label', kind: 'classification' as const }],
      metrics: ['logme'],
      centre: false,
      seed: 0,
      resampling: { kind: 'jackknife' as const },
    };
    for (const layer of layers) await scoreLayer({ ...task, layer });
    const score = (performance.now() - start) / 1000;
    say('LogME of 13 layers, one thread', `${score.toFixed(2)} s, once per run whatever its length`);
    const hour = (3600 / clipSeconds) * (median(aloneTimes) / clips.length / 1000);
    say('scoring one hour over the encoder alone, scores included', `${(pass + score / hour).toFixed(3)} (target: at most 1.15)`);
    await all.dispose();
    await last.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
