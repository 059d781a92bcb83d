import { describe, expect, it } from 'vitest';

import { dealGroups, sampleUtterances } from '#main/jobs/plan.ts';

const indices = Array.from({ length: 23 }, (_, i) => i);

describe('dealing utterances into groups', () => {
  it('gives every utterance to one group, groups alike in size, each in the order of the data set', () => {
    const groups = dealGroups(indices, 5, 1);
    expect(groups.flat().sort((a, b) => a - b)).toEqual(indices);
    expect(groups.map(({ length }) => length).sort()).toEqual([4, 4, 5, 5, 5]);
    for (const group of groups) expect(group).toEqual([...group].sort((a, b) => a - b));
  });

  it('depends on the seed and on nothing else', () => {
    expect(dealGroups(indices, 5, 1)).toEqual(dealGroups(indices, 5, 1));
    expect(dealGroups(indices, 5, 1)).not.toEqual(dealGroups(indices, 5, 2));
  });

  it('never makes an empty group', () => {
    expect(dealGroups([3, 9], 10, 0)).toHaveLength(2);
  });
});

describe('sampling utterances', () => {
  it('draws without replacement, in order, and everything when asked for more than there is', () => {
    const sample = sampleUtterances(indices, 7, 3);
    expect(new Set(sample).size).toBe(7);
    expect(sample).toEqual([...sample].sort((a, b) => a - b));
    expect(sampleUtterances(indices, 50, 3)).toEqual(indices);
    expect(sampleUtterances(indices, undefined, 3)).toEqual(indices);
  });
});
