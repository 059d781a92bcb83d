import { jackknifeInterval } from '#main/scoring/jackknife.ts';
import { probabilityAbove, type Replicated } from '#main/scoring/rankTable.ts';

/** What stands for a model's layers: their learned weighted sum (of probes), its best one, the mean over all, or the last one. */
export const layerRules = ['sum', 'best', 'mean', 'last'] as const;
export type LayerRule = (typeof layerRules)[number];

export const layerRuleTexts: Record<LayerRule, string> = {
  sum: 'learned weighted sum of layers',
  best: 'best layer of each',
  mean: 'mean over layers',
  last: 'last layer',
};

/** The pre-trained model, one that was fine-tuned from it, or a merge of the two. */
export type MemberRole = 'base' | 'finetuned' | 'merge';

/** A score of one layer, or of a weighted sum of layers, whose layer is null. */
export type LayerScore = { layer: number | null } & Replicated;

/** Scores of one model on one task: one per layer, or a single one of the weighted sum; all of the same groups of utterances. */
export interface TaskScores {
  task: string;
  layers: readonly LayerScore[];
  /** The same with shuffled labels: what chance gives. Empty where that was not scored. */
  chance: readonly LayerScore[];
}

export interface JudgedMember {
  id: string;
  role: MemberRole;
  method: string;
  /** Null where the method has none, or where it is no single number. */
  alpha: number | null;
  tasks: readonly TaskScores[];
}

export interface Judgeable {
  /** Those not yet scored on all tasks are left out. */
  members: readonly JudgedMember[];
  /** The task to gain on; the others are those to keep. */
  target: string;
  over: LayerRule;
  /** Tasks on which lower scores are better, such as those told by an error rate. */
  lowerIsBetter: ReadonlySet<string>;
  /** Share of what the pre-trained model has over chance on the other tasks that may be given up. */
  tolerance: number;
}

/** How a member stands on a task. */
export interface TaskStanding {
  task: string;
  /** Layer the score is of; null for a mean or a sum over layers. */
  layer: number | null;
  value: number;
  low: number | null;
  high: number | null;
  /** 1 is the pre-trained model, 0 chance (shuffled labels); see `scales`. */
  share: number;
}

export interface MemberStanding {
  id: string;
  role: MemberRole;
  method: string;
  alpha: number | null;
  tasks: TaskStanding[];
  /** Share on the target. */
  target: number;
  targetLow: number | null;
  targetHigh: number | null;
  /** Mean share on the other tasks; null where there are none. */
  others: number | null;
  othersLow: number | null;
  othersHigh: number | null;
  /** No other member is better on the target and at least as good on the others, or the other way round. */
  onFront: boolean;
  /** Distinguishably gives up more than the tolerance on the others; null where there are none. */
  loses: boolean | null;
}

export interface Judgement {
  target: string;
  others: string[];
  over: LayerRule;
  tolerance: number;
  /** How shares are counted per task: from chance (shuffled labels), or by the spread over members where chance is unknown or unbeaten. */
  scales: Record<string, 'chance' | 'spread'>;
  members: MemberStanding[];
  /** Index of the member to take; null where there is none to compare. */
  recommended: number | null;
  /** Index of the merge to take where it has to be one: the recommended member, unless that is one of the models merged. Null without merges. */
  bestMerge: number | null;
  reason: string;
}

/** A statistic of scores with its own replicates, group by group; none where those of the scores do not pair. */
function combine(parts: readonly Replicated[], statistic: (values: number[]) => number): Replicated {
  const [{ replicates: first, resampling }] = parts;
  const paired =
    first !== null && parts.every((part) => part.replicates?.length === first.length && part.resampling === resampling);
  const replicates = paired ? first.map((_, group) => statistic(parts.map((part) => part.replicates![group]))) : null;
  return {
    value: statistic(parts.map(({ value }) => value)),
    replicates: replicates?.every(Number.isFinite) ? replicates : null,
    resampling,
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What stands for a model's layers on a task. */
function overLayers(layers: readonly LayerScore[], over: LayerRule, higherIsBetter: boolean): LayerScore {
  if (over === 'mean') return { layer: null, ...combine(layers, mean) };
  if (over === 'last') return layers.reduce((last, one) => ((one.layer ?? 0) > (last.layer ?? 0) ? one : last));
  return layers.reduce((best, one) => ((higherIsBetter ? one.value > best.value : one.value < best.value) ? one : best));
}

function interval({ value, replicates, resampling }: Replicated): { low: number | null; high: number | null } {
  if (replicates === null || replicates.length < 2) return { low: null, high: null };
  if (resampling === 'bootstrap') {
    const sorted = replicates.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))];
    return { low: at(0.025), high: at(0.975) };
  }
  const { low, high } = jackknifeInterval(value, [...replicates]);
  return { low, high };
}

/** Is a below b by more than chance? By the values alone where there are no replicates to tell. */
function isBelow(a: Replicated, b: Replicated): boolean {
  const above = probabilityAbove(a, b);
  return above === null ? a.value < b.value : above < 0.025;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function called({ method, alpha, role, id }: Pick<MemberStanding, 'method' | 'alpha' | 'role' | 'id'>, methods: number): string {
  if (role === 'base') return 'the pre-trained model (alpha 0)';
  if (role === 'finetuned') return id;
  if (alpha === null) return id;
  return methods > 1 ? `${method} at alpha ${alpha}` : `alpha ${alpha}`;
}

interface Weighed {
  standing: MemberStanding;
  target: Replicated;
  others: Replicated | null;
}

/** Members that no other one beats on both the target and the others. */
function markFront(members: readonly Weighed[]): void {
  for (const { standing } of members) {
    standing.onFront = !members.some(({ standing: other }) => {
      const [t, o] = [other.target - standing.target, (other.others ?? 0) - (standing.others ?? 0)];
      return t >= 0 && o >= 0 && (t > 0 || o > 0);
    });
  }
}

const generality = ({ standing }: Weighed): number => standing.others ?? 0;

const higher = (a: Weighed, b: Weighed): Weighed => (b.target.value > a.target.value ? b : a);

/** The best of some on the target, and the one to take: that which keeps most of those not distinguishable from it there (of equals the smallest alpha). */
function choose(keepers: readonly Weighed[]): { best: Weighed; chosen: Weighed } {
  const best = keepers.reduce(higher);
  const equal = keepers.filter((member) => member === best || !isBelow(member.target, best.target));
  const chosen = equal.reduce((a, b) =>
    generality(b) > generality(a) || (generality(b) === generality(a) && (b.standing.alpha ?? 1) < (a.standing.alpha ?? 1))
      ? b
      : a,
  );
  return { best, chosen };
}

/**
 * The member to take: among those that do not distinguishably give up more than the tolerance on the other tasks, the best on the
 * target; of those not distinguishable from it there, the one that keeps most of the others (and of equals the smallest alpha).
 */
function recommend(
  members: readonly Weighed[],
  base: Weighed | undefined,
  { target, tolerance, lowerIsBetter }: Judgeable,
  others: readonly string[],
  scale: 'chance' | 'spread',
): Pick<Judgement, 'recommended' | 'bestMerge' | 'reason'> {
  if (!base || members.length < 2)
    return {
      recommended: null,
      bestMerge: null,
      reason: 'There is nothing to recommend before the pre-trained model and a merge are scored.',
    };
  const merges = members.filter(({ standing }) => standing.role === 'merge');
  const methods = new Set(merges.map(({ standing }) => standing.method)).size;
  const name = ({ standing }: Weighed) => called(standing, methods);
  const keepers = members.filter(({ standing }) => standing.loses !== true);
  const { best, chosen } = choose(keepers);
  const elsewhere = others.length === 1 ? others[0] : `the ${others.length} other tasks`;
  const whole =
    scale === 'chance' ? "of the pre-trained model's lead over chance" : "of the pre-trained model, by the members' spread,";
  const shares = ({ standing }: Weighed) =>
    `${percent(standing.target)} ${whole} on ${target}${standing.others === null ? '' : `, ${percent(standing.others)} on ${elsewhere}`}`;
  const sentences =
    others.length === 0
      ? ['No other task was scored, so what is lost in generality is unknown.']
      : [
          `${keepers.length} of ${members.length} models keep ${percent(1 - tolerance)} of the pre-trained model's lead on ${elsewhere}, or cannot be told apart from that.`,
        ];
  const summit = members.reduce(higher);
  sentences.push(
    `Of them ${name(best)} is ${lowerIsBetter.has(target) ? 'best (lowest)' : 'highest'} on ${target}: ${shares(best)}.`,
  );
  if (chosen !== best) {
    const keeps = generality(chosen) > generality(best) ? 'keeps more elsewhere' : 'is nearer to the pre-trained model';
    sentences.push(
      `${capital(chosen, name(chosen))} cannot be told apart from it there and ${keeps} (${shares(chosen)}), so it is the one to take.`,
    );
  }
  if (chosen === base && best === base && summit !== base)
    sentences.push(`More on ${target} costs more than that: ${name(summit)} has ${shares(summit)}.`);
  else if (chosen === base) sentences.push(`No merge gains on ${target} by more than chance.`);
  else if (chosen.standing.role === 'finetuned')
    sentences.push('Merging gains nothing here: the fine-tuned model loses nothing.');
  const merge = chosen.standing.role === 'merge' ? chosen : bestOf(merges);
  if (merge && merge !== chosen) {
    const costs = merge.standing.loses === true ? ', though it gives up more than that elsewhere' : '';
    sentences.push(`If it is to be a merge, take ${name(merge)}: ${shares(merge)}${costs}.`);
  }
  return {
    recommended: members.indexOf(chosen),
    bestMerge: merge ? members.indexOf(merge) : null,
    reason: sentences.join(' '),
  };
}

/** The merge to take by the same rule; where all give up too much, the one that gives up least. */
function bestOf(merges: readonly Weighed[]): Weighed | undefined {
  const keepers = merges.filter(({ standing }) => standing.loses !== true);
  if (keepers.length > 0) return choose(keepers).chosen;
  return merges.toSorted((a, b) => generality(b) - generality(a))[0];
}

/** At the head of a sentence; names of models stay as they are. */
const capital = ({ standing: { role, alpha } }: Weighed, text: string): string =>
  role === 'finetuned' || alpha === null ? text : text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Judges merges of one base by transferability scores, or probes, on several tasks. Scores of different tasks have different scales, so each
 * is told as its share of what the pre-trained model has over chance, as the SUPERB score counts from FBANK to SOTA (Speech-FT
 * eq. 5): 1 + (s - s_base) / (s_base - s_chance). All differences are told apart by paired replicates.
 */
export function judge(judgeable: Judgeable): Judgement {
  const { members: all, target, over, lowerIsBetter, tolerance } = judgeable;
  const tasks = all[0]?.tasks.map(({ task }) => task) ?? [];
  const others = tasks.filter((task) => task !== target);
  const members = all.filter((member) =>
    tasks.every((task) => member.tasks.some((own) => own.task === task && own.layers.length > 0)),
  );
  const scales: Judgement['scales'] = {};
  const base = members.find(({ role }) => role === 'base');
  const shares = members.map(() => new Map<string, Replicated>());
  const standings = members.map(() => [] as TaskStanding[]);
  for (const task of tasks) {
    const higherIsBetter = !lowerIsBetter.has(task);
    const sign = higherIsBetter ? 1 : -1;
    const summaries = members.map((member) =>
      overLayers(member.tasks.find((own) => own.task === task)!.layers, over, higherIsBetter),
    );
    const reference = base && summaries[members.indexOf(base)];
    const shuffled = base?.tasks.find((own) => own.task === task)!.chance ?? [];
    const chance = shuffled.length > 0 ? overLayers(shuffled, over, higherIsBetter) : undefined;
    const hasMargin = reference !== undefined && chance !== undefined && sign * (reference.value - chance.value) > 0;
    scales[task] = hasMargin ? 'chance' : 'spread';
    const values = summaries.map(({ value }) => value);
    const spread = Math.max(...values) - Math.min(...values) || 1;
    summaries.forEach((summary, index) => {
      const from = reference ?? summary;
      const share = hasMargin
        ? combine([summary, from, chance], ([own, one, zero]) => 1 + (own - one) / (one - zero))
        : combine([summary, from], ([own, one]) => 1 + (sign * (own - one)) / spread);
      shares[index].set(task, share);
      standings[index].push({ task, layer: summary.layer, value: summary.value, ...interval(summary), share: share.value });
    });
  }
  const weighed = members.map(({ id, role, method, alpha }, index): Weighed => {
    const own = shares[index].get(target)!;
    const rest =
      others.length === 0
        ? null
        : combine(
            others.map((task) => shares[index].get(task)!),
            mean,
          );
    const [a, b] = [interval(own), rest && interval(rest)];
    return {
      target: own,
      others: rest,
      standing: {
        id,
        role,
        method,
        alpha,
        tasks: standings[index],
        target: own.value,
        targetLow: a.low,
        targetHigh: a.high,
        others: rest && rest.value,
        othersLow: b && b.low,
        othersHigh: b && b.high,
        onFront: false,
        loses: null,
      },
    };
  });
  const pretrained = base && weighed[members.indexOf(base)];
  if (pretrained?.others) {
    for (const { standing, others: rest } of weighed) {
      const least = combine([pretrained.others], ([own]) => own - tolerance);
      standing.loses = isBelow(rest!, least);
    }
  }
  markFront(weighed);
  return {
    target,
    others,
    over,
    tolerance,
    scales,
    members: weighed.map(({ standing }) => standing),
    ...recommend(weighed, pretrained, judgeable, others, scales[target]),
  };
}
