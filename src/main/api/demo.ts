import { mkdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { type ScoringSpec, scoringSpecSchema } from '#shared/experiment.ts';

import { demoFolder } from './fileAccess.ts';
import { type UserFolder } from './userFolder.ts';

/** The demo: five small encoders, two labels of synthetic command words, both units, with controls. */
export async function demoSpec(): Promise<ScoringSpec> {
  const models = (await readdir(join(demoFolder, 'models'))).sort();
  return scoringSpecSchema.parse({
    models: models.map((name) => ({ path: join(demoFolder, 'models', name) })),
    data: { path: join(demoFolder, 'manifest.csv') },
    settings: { labels: ['word', 'speaker'], units: ['utterance', 'frame'] },
  });
}

/** Where the user's copy of the demo project is kept. */
export function demoProjectPath(user: UserFolder): string {
  mkdirSync(user.demoFolder, { recursive: true });
  return join(user.demoFolder, 'Demo.foretune');
}
