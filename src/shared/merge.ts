import * as z from 'zod';

/** The parts of a speech encoder that may be merged differently; `head` is what sits on top of it. */
export const tensorModules = ['conv', 'projection', 'position', 'attention', 'ffn', 'norm', 'other', 'head'] as const;
export type TensorModule = (typeof tensorModules)[number];

/** As people call them. */
export const moduleNames: Record<TensorModule, string> = {
  conv: 'conv encoder',
  projection: 'feature projection',
  position: 'positional convolution',
  attention: 'attention',
  ffn: 'feed-forward',
  norm: 'layer norms',
  other: 'other parameters',
  head: 'heads',
};

/** A number, or points [layer, alpha] with straight lines between. */
export const curveSchema = z.union([z.number(), z.array(z.tuple([z.number(), z.number()])).min(1)]);

/** How far to go from the pre-trained model (0) to the fine-tuned one (1): for all, by module, and by name. */
export const alphaScheduleSchema = z.object({
  value: curveSchema,
  modules: z.partialRecord(z.enum(tensorModules), curveSchema).optional(),
  rules: z.array(z.object({ pattern: z.string().min(1), alpha: curveSchema })).optional(),
});

/** What merge methods can be told; each uses some of it. */
export const mergeSettingsSchema = z.object({
  density: z.number(),
  scope: z.enum(['global', 'tensor']),
  rescale: z.enum(['bernoulli', 'l1']),
  weights: z.array(z.number()).optional(),
  seed: z.number().int(),
});

/** A merge that is run without being written: what is added to a base model. */
export const memberSchema = z.object({
  finetuned: z.array(z.string().min(1)).min(1).max(64),
  method: z.string(),
  alpha: alphaScheduleSchema,
  settings: mergeSettingsSchema,
});
export type Member = z.infer<typeof memberSchema>;

/** What tells the members of a sweep apart, as the project keeps it with each. */
export const memberCardSchema = z.object({
  base: z.object({ name: z.string(), path: z.string(), fingerprint: z.string() }),
  finetuned: z.array(z.object({ name: z.string(), path: z.string(), fingerprint: z.string() })),
  method: z.string(),
  alpha: alphaScheduleSchema,
  settings: mergeSettingsSchema.partial(),
});
export type MemberCard = z.infer<typeof memberCardSchema>;
