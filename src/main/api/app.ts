import { existsSync } from 'node:fs';
import { availableParallelism, homedir, platform } from 'node:os';

import * as z from 'zod';

import { settingsSchema } from '#shared/settings.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import { procedure } from './procedure.ts';

export const appProcedures = {
  /** What the interface has to know of the machine it runs on. */
  info: procedure.handler(({ context }) => ({
    version: packageJson.version,
    platform: platform(),
    cores: availableParallelism(),
    cacheFolder: context.engine.cacheDir,
    settingsFolder: context.user.path,
    root: context.files.root,
    home: context.files.root ?? homedir(),
    startProject: context.startProject !== null && existsSync(context.startProject) ? context.startProject : null,
  })),

  /** The projects opened last, newest first. */
  recent: procedure.handler(({ context }) => context.user.recent()),

  /** Takes a project off the list of recent ones; its file stays. */
  forget: procedure.input(z.object({ path: z.string() })).handler(({ input, context }) => {
    context.user.forget(input.path);
  }),

  settings: procedure.handler(({ context }) => context.user.settings()),

  saveSettings: procedure.input(settingsSchema).handler(({ input, context }) => {
    context.user.saveSettings(input);
    return input;
  }),
};
