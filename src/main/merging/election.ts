/** How several task vectors agree on one: the second and third step of TIES. */

/** sum over models at each parameter. */
export function sumVectors(vectors: readonly Float64Array[], count: number, sum: Float64Array): void {
  sum.fill(0, 0, count);
  for (const vector of vectors) for (let i = 0; i < count; i++) sum[i] += vector[i];
}

/**
 * The authors' election by mass and disjoint mean: of each parameter's entries those with the sign of their sum are averaged.
 * @param vectors trimmed task vectors, [models][count]
 * @param majority sign of the sum of all parameters' signs: stands in where a parameter's entries cancel exactly. 0 keeps negatives, as the
 *   published code does.
 * @param merged [count]
 */
export function electByMass(vectors: readonly Float64Array[], count: number, majority: number, merged: Float64Array): void {
  sumVectors(vectors, count, merged);
  for (let i = 0; i < count; i++) {
    const isPositive = (merged[i] || majority) > 0;
    let sum = 0;
    let selected = 0;
    for (let model = 0; model < vectors.length; model++) {
      const entry = vectors[model][i];
      if (isPositive ? entry > 0 : entry < 0) {
        sum += entry;
        selected++;
      }
    }
    merged[i] = selected === 0 ? 0 : sum / selected;
  }
}

/**
 * mergekit's election: weights count in the vote, a tie goes to plus, and the weighted entries are divided by the weights of those that agree.
 * @param vectors trimmed task vectors, [models][count]
 * @param merged [count]
 */
export function electWeighted(
  vectors: readonly Float64Array[],
  weights: Float64Array,
  count: number,
  merged: Float64Array,
): void {
  for (let i = 0; i < count; i++) {
    let vote = 0;
    for (let model = 0; model < vectors.length; model++) vote += weights[model] * vectors[model][i];
    const isPositive = vote >= 0;
    let sum = 0;
    let divisor = 0;
    for (let model = 0; model < vectors.length; model++) {
      const entry = weights[model] * vectors[model][i];
      if (isPositive ? entry > 0 : entry < 0) {
        sum += entry;
        divisor += weights[model];
      }
    }
    merged[i] = divisor === 0 ? 0 : sum / divisor;
  }
}
