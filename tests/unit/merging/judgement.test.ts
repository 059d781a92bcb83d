import { describe, expect, it } from 'vitest';

import { judge, type Judgeable, type JudgedMember } from '#main/merging/judgement.ts';

type Scored = JudgedMember['tasks'][number]['layers'][number];

/** A score with ten replicates around it, the same pattern for all: differences of two are exact. */
function score(layer: number, value: number, noise = 0.01): Scored {
  return {
    layer,
    value,
    replicates: Array.from({ length: 10 }, (_, g) => value + noise * ((g % 3) - 1)),
    resampling: 'jackknife',
  };
}

function member(alpha: number, word: number, speaker: number, extra: Partial<JudgedMember> = {}): JudgedMember {
  return {
    id: `alpha ${alpha}`,
    role: alpha === 0 ? 'base' : alpha === 1 ? 'finetuned' : 'merge',
    method: 'linear',
    alpha,
    tasks: [
      { task: 'word', layers: [score(0, word - 1), score(1, word)], chance: [score(0, 0), score(1, -1)] },
      { task: 'speaker', layers: [score(0, speaker), score(1, speaker - 2)], chance: [score(0, 1), score(1, -1)] },
    ],
    ...extra,
  };
}

/** Base: 2 on word and 3 on speaker, where chance gives 0 and 1. */
const members = [member(0, 2, 3), member(0.25, 2.4, 3.1), member(0.5, 2.6, 2.98), member(0.75, 2.8, 2.4), member(1, 3, 2)];
const usual: Judgeable = { members, target: 'word', over: 'best', lowerIsBetter: new Set(), tolerance: 0.05 };

describe('a judgement of merges', () => {
  it('counts each task as the share of what the pre-trained model has over chance, layer by its rule', () => {
    const { members: standings, scales, others } = judge(usual);
    expect(scales).toEqual({ word: 'chance', speaker: 'chance' });
    expect(others).toEqual(['speaker']);
    expect(standings.map(({ target }) => target)).toEqual(
      [1, 1.2, 1.3, 1.4, 1.5].map((share) => expect.closeTo(share, 12) as number),
    );
    expect(standings.map((one) => one.others)).toEqual(
      [1, 1.05, 0.99, 0.7, 0.5].map((share) => expect.closeTo(share, 12) as number),
    );
    expect(standings[1].tasks.map(({ task, layer, value }) => [task, layer, value])).toEqual([
      ['word', 1, 2.4],
      ['speaker', 0, 3.1],
    ]);
    // Mean over layers: word 1.9 of 1.5 with chance -0.5, speaker 2.1 of 2 with chance 0.
    const averaged = judge({ ...usual, over: 'mean' }).members[1];
    expect(averaged.tasks.map(({ layer }) => layer)).toEqual([null, null]);
    expect([averaged.target, averaged.others]).toEqual([expect.closeTo(1 + 0.4 / 2, 12), expect.closeTo(1 + 0.1 / 2, 12)]);
    expect(judge({ ...usual, over: 'last' }).members[1].tasks.map(({ layer }) => layer)).toEqual([1, 1]);
  });

  it('takes the best on the target of those that keep the others within the tolerance', () => {
    const { recommended, reason, members: standings } = judge(usual);
    expect(standings.map(({ loses }) => loses)).toEqual([false, false, false, true, true]);
    expect(recommended).toBe(2);
    expect(reason).toBe(
      "3 of 5 models keep 95.0 % of the pre-trained model's lead on speaker, or cannot be told apart from that. " +
        "Of them alpha 0.5 is highest on word: 130.0 % of the pre-trained model's lead over chance on word, 99.0 % on speaker.",
    );
    expect(judge({ ...usual, tolerance: 0.31 }).recommended).toBe(3);
    expect(judge({ ...usual, tolerance: 1 }).reason).toContain('the fine-tuned model loses nothing');
  });

  it('names the best merge beside a model that is recommended as it is', () => {
    expect(judge(usual).bestMerge).toBe(2);
    const ends = judge({ ...usual, tolerance: 1 });
    expect([ends.recommended, ends.bestMerge]).toEqual([4, 3]);
    expect(ends.reason).toContain(
      "If it is to be a merge, take alpha 0.75: 140.0 % of the pre-trained model's lead over chance on word",
    );
    // All merges give up too much: the one that gives up least.
    const costly = judge({ ...usual, members: [members[0], members[3], member(0.9, 2.9, 2.2), members[4]] });
    expect([costly.recommended, costly.bestMerge]).toEqual([0, 1]);
    expect(costly.reason).toContain('though it gives up more than that elsewhere');
    expect(judge({ ...usual, members: [members[0], members[4]] }).bestMerge).toBeNull();
  });

  it('takes each task by its own better end, and the weighted sum of layers as the one score it is', () => {
    const sums = members.map((one) => ({
      ...one,
      tasks: one.tasks.map(({ task, layers, chance }) => {
        const turned = task === 'word' ? -1 : 1;
        const sum = ([first]: readonly Scored[]) => {
          const { value, replicates, ...rest } = first;
          return { ...rest, layer: null, value: turned * value, replicates: replicates!.map((one) => turned * one) };
        };
        return { task, layers: [sum(layers.toReversed())], chance: [sum(chance)] };
      }),
    }));
    const mixed = judge({ ...usual, members: sums, over: 'sum', lowerIsBetter: new Set(['word']) });
    expect(mixed.members.map(({ target }) => target)).toEqual(
      [1, 1.2, 1.3, 1.4, 1.5].map((share) => expect.closeTo(share, 12) as number),
    );
    expect(mixed.members[0].tasks[0]).toMatchObject({ layer: null, value: -2 });
    expect(mixed.reason).toContain('is best (lowest) on word');
  });

  it('prefers the more general of two that cannot be told apart', () => {
    const close = member(0.5, 2.4005, 2.98);
    // Not the pattern of the others, so that the difference has an interval around zero.
    const noisy = { ...close.tasks[0], layers: [score(1, 2.4005, -0.01)] };
    const { recommended, reason } = judge({
      ...usual,
      members: [members[0], members[1], { ...close, tasks: [noisy, close.tasks[1]] }, members[4]],
    });
    expect(recommended).toBe(1);
    expect(reason).toContain('Alpha 0.25 cannot be told apart from it there and keeps more elsewhere');
  });

  it('says when only the pre-trained model keeps enough, or nothing gains', () => {
    const costly = judge({ ...usual, members: [members[0], members[3], members[4]] });
    expect(costly.recommended).toBe(0);
    expect(costly.reason).toContain('More on word costs more than that: alpha 1 has 150.0 %');
    const idle = judge({ ...usual, members: [members[0], member(0.5, 1.5, 3)] });
    expect(idle.recommended).toBe(0);
    expect(idle.reason).toContain('No merge gains on word by more than chance.');
  });

  it('marks what no other member beats on both sides', () => {
    expect(judge(usual).members.map(({ onFront }) => onFront)).toEqual([false, true, true, true, true]);
  });

  it('turns around for scores whose lower values are better', () => {
    const negative = members.map((one) => ({
      ...one,
      tasks: one.tasks.map(({ task, layers, chance }) => {
        const turned = (scores: readonly Scored[]) =>
          scores.map((own) => ({ ...own, value: -own.value, replicates: own.replicates!.map((value) => -value) }));
        return { task, layers: turned(layers), chance: turned(chance) };
      }),
    }));
    const lower = judge({ ...usual, members: negative, lowerIsBetter: new Set(['word', 'speaker']) });
    const higher = judge(usual);
    expect(lower.recommended).toBe(higher.recommended);
    expect(lower.members.map(({ target }) => target)).toEqual(
      higher.members.map(({ target }) => expect.closeTo(target, 12) as number),
    );
  });

  it('counts by the spread of members where chance was not scored or is not beaten, and goes by values without replicates', () => {
    const bare = members.map((one) => ({
      ...one,
      tasks: one.tasks.map(({ task, layers }) => ({
        task,
        layers: layers.map((own) => ({ ...own, replicates: null })),
        chance: [],
      })),
    }));
    const { scales, members: standings, recommended, reason } = judge({ ...usual, members: bare, tolerance: 0.2 });
    expect(reason).toContain("160.0 % of the pre-trained model, by the members' spread, on word");
    expect(scales).toEqual({ word: 'spread', speaker: 'spread' });
    expect(standings.map(({ target }) => target)).toEqual(
      [1, 1.4, 1.6, 1.8, 2].map((share) => expect.closeTo(share, 12) as number),
    );
    expect([standings[2].targetLow, standings[2].othersLow]).toEqual([null, null]);
    expect(recommended).toBe(2);
  });

  it('waits for what is not scored yet, and can do with one task', () => {
    const half = { ...members[1], tasks: [members[1].tasks[0]] };
    expect(judge({ ...usual, members: [members[0], half] }).recommended).toBeNull();
    const alone = judge({ ...usual, members: members.map((one) => ({ ...one, tasks: [one.tasks[0]] })) });
    expect(alone.recommended).toBe(4);
    expect(alone.members[0]).toMatchObject({ others: null, loses: null });
    expect(alone.reason).toContain('No other task was scored');
  });
});
