import { expect, it } from 'vitest';

import { Pace } from '#main/jobs/pace.ts';
import { type Progress } from '#shared/jobs.ts';

function paced(total: number): { pace: Pace; told: Progress[] } {
  const told: Progress[] = [];
  return { pace: new Pace(total, (progress) => told.push(progress)), told };
}

it('what an earlier run has done counts as done, and is told with the name of what is done next', () => {
  const { pace, told } = paced(10);
  pace.skip(4);
  expect(told).toEqual([]);
  pace.doing('tiny');
  pace.add(6, 3);
  expect(told.map(({ done, doing }) => [done, doing])).toEqual([
    [4, 'tiny'],
    [10, 'tiny'],
  ]);
});

it('a run that has nothing left to do tells no progress without a name', () => {
  const { pace, told } = paced(4);
  pace.skip(4);
  expect(told).toEqual([]);
});

it('the time left is that of what is left, at the pace of what was done now', async () => {
  const { pace, told } = paced(12);
  pace.skip(8);
  pace.doing('tiny');
  await new Promise((resolve) => setTimeout(resolve, 20));
  pace.add(2, 5);
  pace.add(2, 5);
  expect(told[0].secondsLeft).toBeNull();
  const last = told.at(-1)!;
  expect(last.secondsLeft).toBe(0);
  expect(last.speed).toBeGreaterThan(0);
});
