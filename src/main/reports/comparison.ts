import { probabilityAbove } from '#main/scoring/rankTable.ts';
import { type StoredScore } from '#shared/project.ts';

/** Whether two scores differ by more than chance: `unknown` where there are no intervals to tell by. */
export type Comparison = 'apart' | 'not-apart' | 'unknown';

/**
 * Compares two scores of one experiment at the 95 % level. Both were computed with the same groups of utterances left out
 * in turn (or drawn), so what is known of their difference comes from the paired replicates, which is sharper and more honest than
 * holding two intervals side by side; without replicates, intervals that overlap count as not apart.
 */
export function compareScores(a: StoredScore, b: StoredScore): Comparison {
  const above = probabilityAbove(a, b);
  if (above !== null) return above > 0.975 || above < 0.025 ? 'apart' : 'not-apart';
  if (a.ci_low === null || a.ci_high === null || b.ci_low === null || b.ci_high === null) return 'unknown';
  return a.ci_low > b.ci_high || b.ci_low > a.ci_high ? 'apart' : 'not-apart';
}
