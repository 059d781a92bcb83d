import { ForetuneError } from '#shared/errors.ts';

import { dare, dareTies } from './dare.ts';
import { linear } from './linear.ts';
import { type MergeMethod } from './method.ts';
import { sequential } from './sequential.ts';
import { slerp } from './slerp.ts';
import { soup } from './soup.ts';
import { taskArithmetic } from './taskArithmetic.ts';
import { ties } from './ties.ts';

/** Every merge method there is, in the order in which they are offered. A new one is one file and one line here. */
export const mergeMethods: readonly MergeMethod[] = [linear, sequential, taskArithmetic, ties, dare, dareTies, slerp, soup];

/** Names of all methods, as the command line takes them. */
export function mergeMethodIds(): string[] {
  return mergeMethods.map(({ id }) => id);
}

/**
 * The method of a name.
 *
 * @throws ForetuneError `usage` for an unknown name, listing the known ones
 */
export function mergeMethod(id: string): MergeMethod {
  const found = mergeMethods.find((candidate) => candidate.id === id);
  if (!found) throw new ForetuneError('usage', `There is no merge method "${id}"; there are ${mergeMethodIds().join(', ')}.`);
  return found;
}
