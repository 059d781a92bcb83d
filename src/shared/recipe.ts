import * as z from 'zod';

export const recipeKinds = ['huggingface', 's3prl', 'speechbrain'] as const;
export type RecipeKind = (typeof recipeKinds)[number];

/** What each recipe is written for; `ran` says whether it was run with these versions when it was written. */
export const recipeVersions: Record<RecipeKind, { versions: string; ran: boolean }> = {
  huggingface: { versions: 'transformers 5.18, torch 2.13, accelerate 1.15, soundfile 0.14; Python 3.11', ran: true },
  s3prl: { versions: 's3prl 0.4 (its own torch and torchaudio)', ran: false },
  speechbrain: { versions: 'speechbrain 1.0, hyperpyyaml 1.2, transformers 4, soundfile 0.12 or later', ran: false },
};

/** What stable fine-tuning is told; the defaults are Speech-FT's (section 3 and appendix D). */
export const stableSettingsSchema = z.object({
  /** Classes for the utterance, or characters by CTC. */
  task: z.enum(['classification', 'ctc']).default('classification'),
  steps: z.number().int().min(10).max(10_000_000).default(20_000),
  batch: z.number().int().min(1).max(4096).default(8),
  learningRate: z.number().positive().max(1).default(1e-4),
  /** Share of the steps in which only the head learns. */
  headOnly: z.number().min(0).max(1).default(0.1),
  /** Share of the steps in which the learning rate rises, and that from which it falls. */
  warmup: z.number().min(0).max(1).default(0.1),
  decayFrom: z.number().min(0).max(1).default(0.5),
  /** Of the interpolation afterwards. */
  alpha: z.number().default(0.25),
  seed: z.number().int().default(0),
});
export type StableSettings = z.infer<typeof stableSettingsSchema>;
