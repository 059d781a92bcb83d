import { jackknifeInterval } from '#main/scoring/jackknife.ts';
import { type StoredScore } from '#shared/project.ts';

/** Whether two scores differ by more than chance: `unknown` where there are no intervals to tell by. */
export type Comparison = 'apart' | 'not-apart' | 'unknown';

/**
 * Compares two scores of one experiment at the 95 % level. Both were computed with the same groups of utterances left out
 * in turn, so the interval of their difference comes from the paired replicates (delete-one-group jackknife), which is sharper and more
 * honest than holding two intervals side by side; without replicates, intervals that overlap count as not apart.
 */
export function compareScores(a: StoredScore, b: StoredScore): Comparison {
  if (a.replicates !== null && b.replicates !== null && a.replicates.length === b.replicates.length && a.replicates.length >= 2) {
    const others = b.replicates;
    const { low, high } = jackknifeInterval(
      a.value - b.value,
      a.replicates.map((replicate, group) => replicate - others[group]),
    );
    return low > 0 || high < 0 ? 'apart' : 'not-apart';
  }
  if (a.ci_low === null || a.ci_high === null || b.ci_low === null || b.ci_high === null) return 'unknown';
  return a.ci_low > b.ci_high || b.ci_low > a.ci_high ? 'apart' : 'not-apart';
}
