import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { stageHandlers, type StageRoute } from '#main/inference/stages.ts';
import { openModel } from '#main/models/library.ts';
import { buildStages } from '#main/models/stageGraphs.ts';
import { type StagePiece } from '#main/models/stages.ts';

import { hubertBase, writeRandomModel } from './randomModel.ts';
import { say } from './say.ts';

const rate = 16000;
const seconds = 10;
const rounds = 9;

const blocks = (from: number, to: number): StagePiece[] =>
  Array.from({ length: to - from }, (_, i) => ({ kind: 'block', index: from + i }));

/**
 * What leaving halfway costs: the stages of a base-sized encoder up to its middle against all of them, less the front end, which both
 * need. The three routes take turns, so that drift hits all of them.
 */
export async function benchExit(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foretune-bench-'));
  const handlers = stageHandlers();
  try {
    const path = join(folder, 'hubert-base');
    mkdirSync(path);
    await writeRandomModel(path, hubertBase);
    const model = await openModel(path);
    const half = hubertBase.layers / 2;
    const built = await buildStages(
      model,
      [
        { id: 'front', pieces: [{ kind: 'features' }, { kind: 'project' }] },
        { id: 'lower', pieces: blocks(0, half), previous: true },
        { id: 'upper', pieces: blocks(half, hubertBase.layers), previous: true },
      ],
      { cacheDir: join(folder, 'graphs') },
    );
    const route = (...stages: string[]): StageRoute => ({
      front: ['front'],
      segments: stages.map((stage, i) => ({ stages: [stage], layer: i + 1, heads: [] })),
      minSamples: 400,
    });
    const routes = [route(), route('lower'), route('lower', 'upper')];
    await handlers.openStages({
      stages: built.stages,
      settings: { providers: ['cpu'], threads: 0 },
      rule: { normalize: false, rate, maxSeconds: 30 },
      check: routes[2],
    });
    const samples = Float32Array.from({ length: rate * seconds }, (_, i) => 0.3 * Math.sin(0.05 * i) + 0.1 * Math.sin(0.31 * i));
    const times: number[][] = routes.map(() => []);
    for (let round = -1; round < rounds; round++) {
      for (let turn = 0; turn < routes.length; turn++) {
        const which = (turn + round + 1) % routes.length;
        const start = performance.now();
        await handlers.stageFeatures({ samples, route: routes[which], layers: [] });
        if (round >= 0) times[which].push(performance.now() - start);
      }
    }
    const [front, exit, whole] = times.map((measured) => Math.min(...measured));
    const ratio = (exit - front) / (whole - front);
    say(
      `leaving after ${half} of ${hubertBase.layers} blocks, ${seconds} s of audio`,
      `${(exit - front).toFixed(0)} of ${(whole - front).toFixed(0)} ms of blocks, a ratio of ${ratio.toFixed(2)} (target: at most 0.6)`,
    );
    await handlers.closeStages(undefined);
    await built.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
