import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { type TrainingRecipeRequest, writeTrainingRecipe } from '#main/weights/trainingRecipe.ts';
import { stableSettingsSchema } from '#shared/recipe.ts';

import { demo } from '../../support/foretune.ts';
import { demoModel, golden, temporaryFolder } from './models.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const request = (changes: Partial<TrainingRecipeRequest> & Pick<TrainingRecipeRequest, 'kind'>): TrainingRecipeRequest => ({
  base: demoModel('tiny-hubert'),
  settings: stableSettingsSchema.parse({ steps: 400 }),
  data: { path: join(demo, 'manifest.csv') },
  label: 'word',
  out: join(folder.path, changes.kind),
  ...changes,
});
const text = (kind: string, name: string): string => readFileSync(join(folder.path, kind, name), 'utf8');

describe('recipes for stable fine-tuning', () => {
  it('hold the schedule of Speech-FT for the Trainer of transformers', async () => {
    const recipe = await writeTrainingRecipe(request({ kind: 'huggingface' }));
    expect(recipe).toMatchObject({
      ran: true,
      command: 'python train.py',
      versions: expect.stringContaining('transformers 5.18') as string,
    });
    expect(readdirSync(join(folder.path, 'huggingface')).sort()).toEqual([
      'README.md',
      'recipe.json',
      'train.py',
      'training_args.json',
    ]);
    expect(JSON.parse(text('huggingface', 'recipe.json'))).toEqual({
      base: demoModel('tiny-hubert'),
      task: 'classification',
      manifest: join(demo, 'manifest.csv'),
      audio_column: 'path',
      label_column: 'word',
      split_column: 'split',
      train_split: 'train',
      head_only_share: 0.1,
      warmup_share: 0.1,
      decay_from_share: 0.5,
      alpha: 0.25,
    });
    expect(JSON.parse(text('huggingface', 'training_args.json'))).toMatchObject({
      max_steps: 400,
      learning_rate: 1e-4,
      remove_unused_columns: false,
    });
    expect(text('huggingface', 'train.py')).toContain('head_steps = round(recipe["head_only_share"] * args.max_steps)');
    expect(text('huggingface', 'README.md')).toContain('for the first 10 % of the steps only the new head learns');
  });

  it('hold it for s3prl and SpeechBrain, and say that they were not run', async () => {
    const settings = stableSettingsSchema.parse({ learningRate: 1e-7, alpha: 0.3 });
    const s3prl = await writeTrainingRecipe(request({ kind: 's3prl', settings }));
    expect(s3prl.ran).toBe(false);
    expect(s3prl.command).toContain('-u hf_hubert_custom');
    // To YAML 1.1, 1e-7 is a text.
    for (const line of [
      '  lr: 1.0e-7',
      '  head_only_share: 0.1',
      '  decay_from_share: 0.5',
      '  alpha: 0.3',
      '  total_steps: 20000',
    ])
      expect(text('s3prl', 'config.yaml').split('\n')).toContain(line);
    expect(text('s3prl', 'README.md')).toContain('--finetuned output/states-20000.ckpt --alpha 0.3');
    const speechbrain = await writeTrainingRecipe(request({ kind: 'speechbrain', settings }));
    expect(speechbrain.ran).toBe(false);
    for (const line of [
      'encoder: !new:speechbrain.lobes.models.huggingface_transformers.hubert.HuBERT',
      '    freeze_feature_extractor: True',
      `manifest: ${JSON.stringify(join(demo, 'manifest.csv'))}`,
      'sample_rate: 16000',
    ])
      expect(text('speechbrain', 'hparams.yaml').split('\n')).toContain(line);
    expect(text('speechbrain', 'README.md')).toContain('not run with them when it was written');
  });

  it('leave names to fill in where no data is given', async () => {
    const { notes } = await writeTrainingRecipe(
      request({ kind: 'huggingface', data: undefined, out: join(folder.path, 'empty') }),
    );
    expect(notes).toEqual([expect.stringContaining('No data was named')]);
    expect(JSON.parse(text('empty', 'recipe.json'))).toMatchObject({ manifest: 'manifest.csv', split_column: '' });
  });

  it('are refused where the toolkit could not run them, and never overwrite', async () => {
    const out = join(folder.path, 'refused');
    const manifest = join(folder.path, 'cut.csv');
    writeFileSync(manifest, `path,offset,duration,word\n${join(demo, 'audio', 'yes_s0_0.flac')},0,0.5,yes\n`);
    const cases: [Partial<TrainingRecipeRequest> & Pick<TrainingRecipeRequest, 'kind'>, string, RegExp][] = [
      [{ kind: 'huggingface', out: join(folder.path, 'huggingface') }, 'mismatch', /exists already; nothing was overwritten/],
      [{ kind: 'huggingface', base: join(golden, '..', 'onnx', 'hubert-plain.onnx') }, 'unsupported', /cannot be trained/],
      [{ kind: 'huggingface', label: 'colour' }, 'not-found', /no column "colour"/],
      [{ kind: 'huggingface', label: undefined }, 'usage', /needs a label/],
      [{ kind: 'speechbrain', data: { path: manifest } }, 'unsupported', /parts of files/],
      [{ kind: 'huggingface', settings: stableSettingsSchema.parse({ warmup: 0.6 }) }, 'usage', /cannot fall from 0.5/],
    ];
    for (const [changes, code, sentence] of cases) {
      const error = await writeTrainingRecipe({ ...request(changes), out: changes.out ?? out }).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code, message: expect.stringMatching(sentence) as string });
    }
    expect(readdirSync(folder.path)).not.toContain('refused');
  });
});
