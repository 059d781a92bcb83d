import { type SpeedCost, type SpeedPoint, type SpeedWish } from '#shared/speed.ts';

export interface Recommendation {
  /** Key of the point; null where none fulfils the wish. */
  point: string | null;
  /** Share of the full model's cost that it saves. */
  saved: number | null;
  /** WER less that of the full model. */
  werIncrease: number | null;
  sentence: string;
}

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
const costName: Record<SpeedCost, string> = { seconds: 'seconds', macs: 'MACs' };

/** What a point costs, or null where that was not measured. */
export function costOf(point: SpeedPoint, cost: SpeedCost): number | null {
  return cost === 'seconds' ? point.seconds : point.macs;
}

/**
 * The setting to take for a wish: the cheapest one whose WER is at most so much above the full model's, or of those that save at
 * least a share of its cost the one with the lowest WER. Ties go to the cheaper, then to the earlier one.
 * @param points of one decoding, the full model among them
 */
export function recommend(points: readonly SpeedPoint[], wish: SpeedWish, cost: SpeedCost): Recommendation {
  const full = points.find(({ strategy }) => strategy === 'full');
  const fullCost = full && costOf(full, cost);
  if (!full || fullCost === null || fullCost === undefined)
    return {
      point: null,
      saved: null,
      werIncrease: null,
      sentence: `The full model has no ${costName[cost]} yet, so there is nothing to compare with.`,
    };
  const known = points.flatMap((point) => {
    const value = costOf(point, cost);
    return value === null ? [] : [{ point, saved: 1 - value / fullCost, werIncrease: point.wer - full.wer }];
  });
  // Sums of errors over the same words: a difference of rates is exact to far better than this.
  const slack = 1e-12;
  const allowed = known.filter(({ saved, werIncrease }) =>
    wish.kind === 'error' ? werIncrease <= wish.most + slack && saved >= 0 : saved >= wish.least - slack,
  );
  const wanted =
    wish.kind === 'error'
      ? `a WER at most ${(100 * wish.most).toFixed(2)} points higher`
      : `at least ${percent(wish.least)} of the ${costName[cost]} saved`;
  if (allowed.length === 0) {
    const best = known.reduce((a, b) => (b.saved > a.saved ? b : a));
    return {
      point: null,
      saved: null,
      werIncrease: null,
      sentence: `No setting of this sweep gives ${wanted}; the cheapest, ${nameOf(best.point)}, saves ${percent(best.saved)} at ${percent(best.point.wer, 2)} WER.`,
    };
  }
  const better = (a: (typeof known)[number], b: (typeof known)[number]): number =>
    wish.kind === 'error'
      ? b.saved - a.saved || a.werIncrease - b.werIncrease
      : a.werIncrease - b.werIncrease || b.saved - a.saved;
  const [chosen] = allowed.toSorted(better);
  const { point, saved, werIncrease } = chosen;
  return {
    point: point.key,
    saved,
    werIncrease,
    sentence:
      point.strategy === 'full'
        ? `For ${wanted} the full model is the choice: nothing in this sweep is cheaper.`
        : `For ${wanted}: ${nameOf(point)}, which saves ${percent(saved)} of the ${costName[cost]} at ${percent(point.wer, 2)} WER (${werIncrease < 0 ? '' : '+'}${(100 * werIncrease).toFixed(2)} points).`,
  };
}

/** A point as sentences call it. */
export function nameOf({ strategy, setting }: Pick<SpeedPoint, 'strategy' | 'setting'>): string {
  return strategy === 'full' ? 'the full model' : `${strategy} (${setting})`;
}
