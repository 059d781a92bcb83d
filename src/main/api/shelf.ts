import * as z from 'zod';

import { type Project } from '#main/project/project.ts';

/** The numbers of models and data sets that a user took off the project's lists. Their rows stay, since scores refer to them. */
const shelvedSchema = z
  .object({ models: z.array(z.number()).catch([]), datasets: z.array(z.number()).catch([]) })
  .catch({ models: [], datasets: [] });
type Shelf = keyof z.infer<typeof shelvedSchema>;

export function shelved(project: Project): z.infer<typeof shelvedSchema> {
  return shelvedSchema.parse(project.viewState('shelved'));
}

export function setShelved(project: Project, shelf: Shelf, id: number, away: boolean): void {
  const before = shelved(project);
  const others = before[shelf].filter((other) => other !== id);
  project.setViewState('shelved', { ...before, [shelf]: away ? [...others, id] : others });
}
