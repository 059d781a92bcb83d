import { access, mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { writeError } from '#main/formats/atomicFile.ts';
import { openModel } from '#main/models/library.ts';
import { type EncoderModel } from '#main/models/model.ts';
import { writeWhole } from '#main/reports/writeWhole.ts';
import { openDataset, requireColumn } from '#main/tasks/dataset.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type DataChoice } from '#shared/experiment.ts';
import { type RecipeKind, type StableSettings, recipeVersions } from '#shared/recipe.ts';

import packageJson from '../../../package.json' with { type: 'json' };

export interface TrainingRecipeRequest {
  /** A Hugging Face folder. */
  base: string;
  kind: RecipeKind;
  settings: StableSettings;
  /** What to train on; names to fill in are left where it is absent. */
  data?: DataChoice;
  label?: string;
  /** Where the files go; it may exist if none of them does. */
  out: string;
}

export interface TrainingRecipe {
  kind: RecipeKind;
  folder: string;
  files: string[];
  versions: string;
  /** Whether the recipe was run with these versions when it was written. */
  ran: boolean;
  /** What to type. */
  command: string;
  notes: string[];
}

const bundled = (kind: RecipeKind, name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../../resources/recipes/${kind}/${name}`, import.meta.url)), 'utf8');

/** Text as YAML and JSON both take it. */
const quoted = (text: string): string => JSON.stringify(text);

/** A number that YAML 1.1 takes as one: 1e-7 would be a text to it. */
const yamlNumber = (value: number): string => String(value).replace(/^(-?\d+)e/, '$1.0e');

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

interface Training {
  manifest: string;
  audioColumn: string;
  labelColumn: string;
  splitColumn: string;
}

/** The manifest that is trained on, as the scripts read it: CSV or TSV with one row per whole file. */
async function trainingData({ data, label }: TrainingRecipeRequest, notes: string[]): Promise<Training> {
  if (!data) {
    notes.push('No data was named: put the path of a manifest and its columns into the configuration.');
    return { manifest: 'manifest.csv', audioColumn: 'path', labelColumn: label ?? 'label', splitColumn: '' };
  }
  if (label === undefined) throw new ForetuneError('usage', 'Training on data needs a label: name the column to learn.');
  const dataset = await openDataset(data.path, data);
  if (dataset.format === 'folders' || !/\.(csv|tsv)$/i.test(dataset.path) || dataset.audioColumn === null)
    throw new ForetuneError('unsupported', `${dataset.path} is no CSV or TSV manifest, which is what these recipes read.`);
  requireColumn(dataset, label);
  const splitColumn = dataset.columns.find(({ name }) => name.toLowerCase() === 'split')?.name ?? '';
  if (splitColumn !== '') notes.push(`Rows whose "${splitColumn}" is train are learned from; the others are left alone.`);
  if (dataset.utterances.some(({ start, end }) => start !== undefined || end !== undefined))
    throw new ForetuneError(
      'unsupported',
      `${dataset.path} names parts of files by their times, which these recipes do not cut out.`,
    );
  return { manifest: resolve(dataset.path), audioColumn: dataset.audioColumn, labelColumn: label, splitColumn };
}

/** Classes of s3prl and SpeechBrain that open a Hugging Face folder of a family. */
const s3prlUpstreams: Partial<Record<EncoderModel['family'], string>> = {
  hubert: 'hf_hubert_custom',
  wav2vec2: 'hf_wav2vec2_custom',
};
const speechbrainLobes: Partial<Record<EncoderModel['family'], string>> = {
  hubert: 'hubert.HuBERT',
  wav2vec2: 'wav2vec2.Wav2Vec2',
  wavlm: 'wavlm.WavLM',
};

function huggingFaceFiles(base: string, settings: StableSettings, training: Training): Record<string, string> {
  const { task, steps, batch, learningRate, headOnly, warmup, decayFrom, alpha, seed } = settings;
  return {
    'training_args.json': json({
      output_dir: 'output',
      max_steps: steps,
      per_device_train_batch_size: batch,
      learning_rate: learningRate,
      optim: 'adamw_torch',
      // Adam without decay is what Speech-FT uses.
      weight_decay: 0,
      max_grad_norm: 1,
      logging_steps: Math.max(1, Math.round(steps / 200)),
      save_strategy: 'no',
      // Clips are waveforms and labels, which the collator turns into the model's inputs.
      remove_unused_columns: false,
      report_to: 'none',
      seed,
    }),
    'recipe.json': json({
      base,
      task,
      manifest: training.manifest,
      audio_column: training.audioColumn,
      label_column: training.labelColumn,
      split_column: training.splitColumn,
      train_split: 'train',
      head_only_share: headOnly,
      warmup_share: warmup,
      decay_from_share: decayFrom,
      alpha,
    }),
  };
}

function s3prlConfig({ steps, batch, learningRate, headOnly, warmup, decayFrom, alpha }: StableSettings): string {
  const every = Math.max(1, Math.round(steps / 20));
  return `# Stable fine-tuning for s3prl: see run_speech_ft.py. Learning rate and schedule are Speech-FT's.
runner:
  total_steps: ${steps}
  gradient_clipping: 1
  gradient_accumulate_steps: 1
  log_step: ${every}
  eval_step: ${every}
  save_step: ${every}
  max_keep: 1
  eval_dataloaders:
    - dev
    - test

optimizer:
  name: TorchOptim
  torch_optim_name: Adam
  lr: ${yamlNumber(learningRate)}

# Its presence makes s3prl ask for a schedule; run_speech_ft.py gives the one below.
scheduler:
  name: speech_ft

speech_ft:
  head_only_share: ${yamlNumber(headOnly)}
  warmup_share: ${yamlNumber(warmup)}
  decay_from_share: ${yamlNumber(decayFrom)}
  # Of the interpolation afterwards.
  alpha: ${yamlNumber(alpha)}

# Copy the section of your downstream's own config.yaml here: this one is of s3prl's emotion recognition.
downstream_expert:
  datarc:
    root: IEMOCAP
    test_fold: fold1
    pre_load: True
    train_batch_size: ${batch}
    eval_batch_size: ${batch}
    num_workers: 4
    valid_ratio: 0.2
  modelrc:
    projector_dim: 256
    select: UtteranceLevel
    UtteranceLevel:
      pooling: MeanPooling
`;
}

function speechbrainConfig(base: string, lobe: string, rate: number, settings: StableSettings, training: Training): string {
  const { task, steps, batch, learningRate, headOnly, warmup, decayFrom, alpha, seed } = settings;
  return `# Stable fine-tuning for SpeechBrain: see train.py. Learning rate and schedule are Speech-FT's.
seed: ${seed}
base: ${quoted(base)}
output_folder: output
task: ${task}

manifest: ${quoted(training.manifest)}
audio_column: ${quoted(training.audioColumn)}
label_column: ${quoted(training.labelColumn)}
split_column: ${quoted(training.splitColumn)}
train_split: train
sample_rate: ${rate}

max_steps: ${steps}
batch_size: ${batch}
lr: ${yamlNumber(learningRate)}
head_only_share: ${yamlNumber(headOnly)}
warmup_share: ${yamlNumber(warmup)}
decay_from_share: ${yamlNumber(decayFrom)}
# Of the interpolation afterwards.
alpha: ${yamlNumber(alpha)}

encoder: !new:speechbrain.lobes.models.huggingface_transformers.${lobe}
    source: !ref <base>
    save_path: !ref <output_folder>/pretrained
    output_norm: False
    freeze: False
    freeze_feature_extractor: True
    apply_spec_augment: False

opt_class: !name:torch.optim.Adam
    lr: !ref <lr>
`;
}

function readme(recipe: Omit<TrainingRecipe, 'folder' | 'files'>, settings: StableSettings, merge: string): string {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const { headOnly, warmup, decayFrom, alpha, learningRate } = settings;
  return [
    '# Stable fine-tuning',
    '',
    'Fine-tuning that keeps a speech encoder general (Lin et al., Speech-FT, arXiv 2502.12672):',
    '',
    '- the conv encoder stays frozen throughout;',
    `- for the first ${percent(headOnly)} of the steps only the new head learns;`,
    `- the learning rate rises to ${learningRate} over ${percent(warmup)} of the steps, stays until ${percent(decayFrom)}, then falls linearly to 0;`,
    `- afterwards the weights are interpolated, theta_0 + ${alpha} (theta' - theta_0), and the head is left behind.`,
    '',
    '```',
    recipe.command,
    '```',
    '',
    merge,
    '',
    `Written for ${recipe.versions}.${recipe.ran ? '' : ' It was checked against their sources, but not run with them when it was written.'}`,
    ...recipe.notes.flatMap((note) => ['', note]),
    '',
    `Exported by Foretune ${packageJson.version}.`,
    '',
  ].join('\n');
}

async function refuseExisting(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(folder, name);
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists)
      throw new ForetuneError(
        'mismatch',
        `${path} exists already; nothing was overwritten. Choose another folder, or remove it first.`,
      );
  }
}

/**
 * Writes a ready configuration for the training itself, with the small script it needs: Hugging Face's Trainer, s3prl or SpeechBrain.
 * @throws ForetuneError `unsupported` for a model or data that the toolkit does not take, `mismatch` where a file exists already, `usage`,
 *   what opening the model and data throws, `no-space`
 */
export async function writeTrainingRecipe(request: TrainingRecipeRequest): Promise<TrainingRecipe> {
  const { kind, settings } = request;
  if (settings.warmup > settings.decayFrom)
    throw new ForetuneError(
      'usage',
      `The learning rate cannot fall from ${settings.decayFrom} on while it rises until ${settings.warmup}.`,
    );
  const model = await openModel(request.base);
  if (model.source.kind !== 'huggingface')
    throw new ForetuneError(
      'unsupported',
      `${model.path} is an exported graph, which cannot be trained; give the Hugging Face folder it was made from.`,
    );
  const notes: string[] = [];
  const folder = resolve(request.out);
  const { versions, ran } = recipeVersions[kind];
  const base = model.path;
  let files: Record<string, string>;
  let command: string;
  let merge = `\`foretune merge --base ${quoted(base)} --finetuned output/finetuned --alpha ${settings.alpha} --out speech-ft\` makes the same merge with a recipe, and \`foretune judge\` tells which alpha to take.`;
  switch (kind) {
    case 'huggingface': {
      files = {
        ...huggingFaceFiles(base, settings, await trainingData(request, notes)),
        'train.py': await bundled(kind, 'train.py'),
      };
      command = 'python train.py';
      break;
    }
    case 's3prl': {
      const upstream = s3prlUpstreams[model.family];
      if (upstream === undefined)
        throw new ForetuneError(
          'unsupported',
          `s3prl opens Hugging Face folders of hubert and wav2vec2 only, and ${model.name} is ${model.family}.`,
        );
      notes.push("s3prl brings its own downstream tasks and data: copy the task's section into config.yaml.");
      if (request.data) notes.push('The data named is not used: s3prl has its own loaders.');
      files = { 'config.yaml': s3prlConfig(settings), 'run_speech_ft.py': await bundled(kind, 'run_speech_ft.py') };
      command = `python run_speech_ft.py -m train -u ${upstream} -k ${quoted(base)} -d emotion -c config.yaml -f -s last_hidden_state -p output`;
      merge = `\`foretune merge --base ${quoted(base)} --finetuned output/states-${settings.steps}.ckpt --alpha ${settings.alpha} --out speech-ft\` then makes the merged model, and \`foretune judge\` tells which alpha to take.`;
      break;
    }
    case 'speechbrain': {
      const lobe = speechbrainLobes[model.family];
      if (lobe === undefined)
        throw new ForetuneError(
          'unsupported',
          `SpeechBrain has no class for ${model.family}, of which ${model.name} is; it has hubert, wav2vec2 and wavlm.`,
        );
      const training = await trainingData(request, notes);
      files = {
        'hparams.yaml': speechbrainConfig(base, lobe, model.preprocessing.samplingRate, settings, training),
        'train.py': await bundled(kind, 'train.py'),
      };
      command = 'python train.py hparams.yaml';
      break;
    }
  }
  files['README.md'] = readme({ kind, versions, ran, command, notes }, settings, merge);
  const names = Object.keys(files);
  await refuseExisting(folder, names);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw writeError(folder, error);
  }
  for (const [name, text] of Object.entries(files)) await writeWhole(join(folder, name), text);
  return { kind, folder, files: names.map((name) => join(folder, name)), versions, ran, command, notes };
}
