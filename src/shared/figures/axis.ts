/** What is measured, in the words and units that a figure shows. */
export interface MeasureAxis {
  /** Such as "LogME". */
  name: string;
  /** Such as "nats per sample"; empty for a bare number. */
  unit: string;
  /** null where neither end is better: nothing is ringed, and higher is lighter. */
  higherIsBetter: boolean | null;
}

/** A measure that has a better end. */
export interface ScoreAxis extends MeasureAxis {
  higherIsBetter: boolean;
}

/** Which end is better, to go behind what an axis is called; nothing where neither is. */
export function betterText({ higherIsBetter }: Pick<MeasureAxis, 'higherIsBetter'>): string {
  return higherIsBetter === null ? '' : higherIsBetter ? '; higher is better' : '; lower is better';
}

/** An axis without its better end: what is measured, in which unit. */
export function measureText({ name, unit }: MeasureAxis): string {
  return unit === '' ? name : `${name}, ${unit}`;
}

/** What an axis is called on a figure. */
export function axisText(axis: MeasureAxis): string {
  return measureText(axis) + betterText(axis);
}
