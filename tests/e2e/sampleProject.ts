import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { createProject } from '../../src/main/project/project.ts';
import { type ScoringSpec } from '../../src/shared/experiment.ts';
import { probeSpecSchema } from '../../src/shared/probe.ts';
import { type ScoreEntry } from '../../src/shared/project.ts';
import { type Control } from '../../src/shared/score.ts';
import { demo } from '../support/foretune.ts';

export interface SampleOptions {
  /** Models beside the five of the demo, with this many layers each. */
  further?: { models: number; layers: number };
  /** Experiments, of which the last has the scores. */
  experiments?: number;
  /** Results of fine-tuning to hold the scores against. */
  truth?: boolean;
  /** An experiment of probes, before the others. */
  probes?: boolean;
}

const controls: readonly Control[] = ['', 'random-weights', 'shuffled-labels'];

/** Numbers that look like scores: a hump over the layers, higher for models that come later. */
function value(model: number, models: number, position: number, control: Control, label: string): number {
  if (control !== '') return (control === 'random-weights' ? -0.22 : -0.24) + 0.01 * position;
  const peak = label === 'word' ? 0.7 : 0.3;
  return (
    -0.2 + 0.3 * (model / models) + 0.25 * Math.exp(-((position - peak) ** 2) / 0.1) + 0.01 * Math.sin(model * 7 + position * 11)
  );
}

/** Makes a project as a finished run leaves it, without running anything: models and data of the demo, made-up scores. */
export function makeSampleProject(
  path: string,
  { further = { models: 0, layers: 0 }, experiments = 1, truth = false, probes = false }: SampleOptions = {},
): void {
  const project = createProject(path, { name: 'Sample' });
  const own = readdirSync(join(demo, 'models')).sort();
  const names = [...own, ...Array.from({ length: further.models }, (_, i) => `encoder-${String(i).padStart(3, '0')}`)];
  const spec: ScoringSpec = {
    models: own.map((name) => ({ path: join(demo, 'models', name) })),
    data: { path: join(demo, 'manifest.csv') },
    settings: {
      labels: ['word', 'speaker'],
      units: ['utterance'],
      metrics: ['logme'],
      layers: 'all',
      kind: 'auto',
      controls: ['random-weights', 'shuffled-labels'],
      seed: 0,
      groups: 10,
      resampling: 'jackknife',
      resamples: 200,
      rows: 2000,
      maxSeconds: 30,
      centre: false,
    },
  };
  try {
    project.transaction(() => {
      project.upsertDataset({
        name: 'manifest.csv',
        path: spec.data.path,
        audioColumn: 'path',
        audioRoot: null,
        fingerprint: 'sample',
        utterances: 240,
        hours: null,
        problems: [],
      });
      const probing = probeSpecSchema.parse({ models: spec.models, data: spec.data, settings: { labels: ['word'] } });
      const heads = probes
        ? project.createExperiment({ name: 'Words by probes', spec: probing, specHash: 'sample probes' })
        : undefined;
      if (heads !== undefined) {
        const job = project.createJob({ kind: 'probe', experimentId: heads, spec: probing });
        project.updateJob(job, { state: 'done' });
      }
      let experiment = 0;
      for (let i = 0; i < experiments; i++) {
        experiment = project.createExperiment({ name: `Words and speakers ${i + 1}`, spec, specHash: `sample ${i}` });
        const job = project.createJob({ kind: 'score', experimentId: experiment, spec });
        project.updateJob(job, { state: 'running' });
        project.updateJob(job, { state: 'done' });
      }
      for (const [m, name] of names.entries()) {
        const isOwn = m < own.length;
        const layers = isOwn ? 7 : further.layers;
        const model = {
          name,
          path: isOwn ? join(demo, 'models', name) : join('/models', name),
          fingerprint: `sample ${name}`,
          family: 'hubert',
          layers,
          width: 96,
          parameters: 818_000,
          dtype: 'F16',
          bytes: 1_650_000,
        };
        const modelId = project.upsertModel(model);
        const rows = spec.settings.labels.flatMap((label) =>
          controls.flatMap((control) =>
            Array.from({ length: layers }, (_, layer): ScoreEntry => {
              const score = value(m, names.length, layer / (layers - 1), control, label);
              const sample = { n: 240, d: 96, classes: label === 'word' ? 10 : 8 };
              const interval = {
                ci_low: score - 0.03,
                ci_high: score + 0.03,
                replicates: Array.from({ length: 10 }, (_, g) => score + 0.01 * Math.sin(g + layer)),
              };
              return {
                model: name,
                layer,
                label,
                unit: 'utterance',
                metric: 'logme',
                value: score,
                control,
                modelId,
                ...sample,
                ...interval,
              };
            }),
          ),
        );
        if (truth) {
          const measured = { model: name, layer: null, label: 'word', measure: 'accuracy', higherIsBetter: true };
          project.setTruth(`${name}.csv`, [{ ...measured, value: 0.4 + 0.1 * (m % 4) }]);
        }
        if (heads !== undefined && isOwn) {
          const recipe = { model: { name, path: model.path }, settings: { seed: 0 }, provider: 'cpu', weights: 'own' };
          const kept = { modelId, model: name, label: 'word', unit: 'utterance' as const, metric: 'probe-accuracy' };
          const sample = { n: 80, d: 96, classes: 10, ci_low: null, ci_high: null };
          const accuracy = (position: number, control: Control): number =>
            0.6 + value(m, names.length, position, control, 'word');
          const notes = ['Trained on 128 samples, stopped by 32, measured on 80 held-out utterances.'];
          project.saveScores(
            heads,
            recipe,
            controls.flatMap((control) =>
              Array.from({ length: layers }, (_, layer): ScoreEntry => ({
                ...kept,
                ...sample,
                layer,
                value: accuracy(layer / (layers - 1), control),
                control,
                notes,
              })),
            ),
          );
          project.saveLayerSums(
            heads,
            recipe,
            controls.map((control) => {
              const powers = Array.from({ length: layers }, (_, layer) => (control === '' ? Math.exp(-Math.abs(layer - m)) : 1));
              const sum = powers.reduce((a, b) => a + b);
              return {
                ...kept,
                ...sample,
                value: accuracy(0.7, control),
                control,
                layers: powers.map((_, layer) => layer),
                weights: powers.map((power) => power / sum),
                replicates: null,
                notes,
              };
            }),
          );
        }
        project.saveScores(experiment, { model: { name, path: model.path }, settings: { seed: 0 }, provider: 'cpu' }, rows);
      }
    });
  } finally {
    project.close();
  }
}
