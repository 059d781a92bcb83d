/** A setting as it is judged: what it costs, and how often it errs. */
export interface Judged {
  cost: number;
  error: number;
}

/**
 * The settings that no other one beats: none is at once as cheap and as right, and better in one of the two.
 * @returns their indices, cheapest first; of equal ones the first only
 */
export function paretoFront(points: readonly Judged[]): number[] {
  const order = points
    .map((_, index) => index)
    .filter((index) => Number.isFinite(points[index].cost) && Number.isFinite(points[index].error))
    .sort((a, b) => points[a].cost - points[b].cost || points[a].error - points[b].error || a - b);
  const front: number[] = [];
  let best = Infinity;
  for (const index of order) {
    if (points[index].error >= best) continue;
    best = points[index].error;
    front.push(index);
  }
  return front;
}
