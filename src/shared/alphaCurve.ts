/** Points [layer, alpha] in ascending order of layers, between which alpha is interpolated and beyond which it stays. */
export type LayerCurve = readonly (readonly [layer: number, alpha: number])[];

/** The alpha of a layer. */
export function onCurve(curve: number | LayerCurve, layer: number): number {
  if (typeof curve === 'number') return curve;
  const after = curve.findIndex(([at]) => at >= layer);
  if (after === -1) return curve[curve.length - 1][1];
  const [right, high] = curve[after];
  if (after === 0 || right === layer) return high;
  const [left, low] = curve[after - 1];
  return low + ((high - low) * (layer - left)) / (right - left);
}

/** A curve in words: "0.1 at layer 0, 0.5 at layer 6". */
export function curveText(curve: LayerCurve): string {
  return curve.map(([layer, alpha]) => `${alpha} at layer ${layer}`).join(', ');
}
