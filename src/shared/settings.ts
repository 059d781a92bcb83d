import * as z from 'zod';

import { machineSettingsSchema } from './experiment.ts';

/** What the interface remembers for a user, on every project: how the machine is used and where pickers start. */
export const settingsSchema = z.object({
  machine: machineSettingsSchema.prefault({}),
  folders: z
    .object({
      /** Where new projects are made; null for the user's home folder. */
      projects: z.string().nullable().default(null),
      models: z.string().nullable().default(null),
      data: z.string().nullable().default(null),
    })
    .prefault({}),
});
export type Settings = z.infer<typeof settingsSchema>;

export const recentProjectSchema = z.object({
  path: z.string(),
  name: z.string(),
  /** When it was last opened, ISO 8601. */
  opened: z.string(),
});
export type RecentProject = z.infer<typeof recentProjectSchema>;
