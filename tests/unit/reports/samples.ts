import { createProject, type Project } from '#main/project/project.ts';
import { type ScoreEntry } from '#shared/project.ts';
import { type Control, type Unit } from '#shared/score.ts';

export interface SampleShape {
  names: string[];
  /** Layers of each model; the last number serves the rest. */
  layers: number[];
  labels: string[];
  units: Unit[];
  controls: Exclude<Control, ''>[];
  intervals: boolean;
  /** Added to every score. */
  shift: number;
  metric: string;
}

export const usualShape: SampleShape = {
  names: ['tiny-hubert', 'tiny-hubert-early', 'tiny-hubert-ft-asr', 'tiny-hubert-ft-speaker', 'tiny-wavlm'],
  layers: [7],
  labels: ['word', 'speaker'],
  units: ['frame', 'utterance'],
  controls: ['random-weights', 'shuffled-labels'],
  intervals: true,
  shift: 0,
  metric: 'logme',
};

/** Even numbers in [0, 1) that are the same on every machine (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A project with made-up scores that look like real ones: a hump over the layers, controls below. */
export function sampleProject(change: Partial<SampleShape> = {}, path = ':memory:'): Project {
  const shape = { ...usualShape, ...change };
  const random = seeded(7);
  const project = createProject(path, { name: 'Command words' });
  const families = ['hubert', 'wav2vec2', 'wavlm', 'data2vec-audio'];
  const experiment = project.createExperiment({ name: 'commands', spec: shape, specHash: JSON.stringify(shape) });
  const rows = new Map<string, ScoreEntry[]>();
  const add = (recipe: string, row: ScoreEntry) => rows.set(recipe, [...(rows.get(recipe) ?? []), row]);
  shape.names.forEach((name, index) => {
    const layers = shape.layers[Math.min(index, shape.layers.length - 1)];
    const modelId = project.upsertModel({
      name,
      path: `/models/${name}`,
      fingerprint: `${index.toString(16).padStart(2, '0')}`.repeat(32),
      family: families[index % families.length],
      layers,
      width: 96,
      parameters: 800_000 * (1 + index),
      dtype: 'F16',
      bytes: 1_600_000,
    });
    for (const label of shape.labels) {
      for (const unit of shape.units) {
        const height = 0.12 + 0.3 * random();
        const peak = random() * layers;
        for (const control of ['', ...shape.controls] as const) {
          for (let layer = 0; layer < layers; layer++) {
            const hump = height * Math.exp(-(((layer - peak) / (0.6 * layers)) ** 2));
            const own = control === '' ? hump : control === 'random-weights' ? 0.07 : -0.01;
            const value = shape.shift + own + 0.02 * random();
            const reach = 0.01 + 0.02 * random();
            add(`${name}|${control === 'random-weights' ? 'random, seed 0' : 'own'}`, {
              modelId,
              model: name,
              layer,
              label,
              unit,
              metric: shape.metric,
              value,
              ci_low: shape.intervals ? value - reach : null,
              ci_high: shape.intervals ? value + reach : null,
              n: unit === 'frame' ? 11_760 : 240,
              d: 96,
              classes: 10,
              control,
              replicates: shape.intervals ? Array.from({ length: 8 }, () => value + reach * 0.3 * (random() - 0.5)) : null,
            });
          }
        }
      }
    }
  });
  for (const [key, scores] of rows) {
    const [name, weights] = key.split('|');
    project.saveScores(
      experiment,
      {
        foretune: '0.1.0',
        onnxruntime: '1.30.0',
        model: { name, fingerprint: 'ab12'.repeat(16), preprocessing: { samplingRate: 16000, doNormalize: true } },
        weights,
        data: { name: 'manifest.csv', fingerprint: 'cd34'.repeat(16), audioColumn: 'path' },
        settings: { metrics: [shape.metric], units: shape.units, seed: 0, groups: 8, centre: false },
        labels: [
          {
            name: 'word',
            kind: 'classification',
            classes: ['down', 'go', 'left', 'no', 'off', 'on', 'right', 'stop', 'up', 'yes'],
          },
        ],
        provider: 'cpu',
        skipped: [],
      },
      scores,
    );
  }
  return project;
}
