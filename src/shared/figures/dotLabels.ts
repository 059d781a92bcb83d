import { textWidth } from './textWidth.ts';

export interface DotLabel {
  /** Centre of the dot, y downwards. */
  x: number;
  y: number;
  text: string;
}

export interface PlacedLabel {
  x: number;
  /** Of the baseline. */
  y: number;
  anchor: 'start' | 'end';
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const overlap = (a: Box, b: Box): boolean => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/**
 * Places for the names of dots: beside and above, below, or on the other side, wherever nothing else is written and no other
 * dot lies; undefined for a name that has no room. Names that come first are placed first.
 *
 * @param size of the letters
 * @param bounds what names must stay within
 */
export function placeLabels(
  dots: readonly DotLabel[],
  { size, gap, bounds }: { size: number; gap: number; bounds: Box },
): (PlacedLabel | undefined)[] {
  const taken: Box[] = [];
  const radius = gap / 2;
  return dots.map((dot) => {
    const width = textWidth(dot.text, size);
    for (const [anchor, down] of [
      ['start', -0.35],
      ['end', -0.35],
      ['start', 1],
      ['end', 1],
    ] as const) {
      const x = dot.x + (anchor === 'start' ? gap : -gap);
      const y = dot.y + down * size;
      const box: Box = {
        left: anchor === 'start' ? x : x - width,
        right: anchor === 'start' ? x + width : x,
        top: y - 0.8 * size,
        bottom: y + 0.25 * size,
      };
      const inside = box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
      const covers = dots.some(
        (other) =>
          other !== dot &&
          overlap(box, { left: other.x - radius, right: other.x + radius, top: other.y - radius, bottom: other.y + radius }),
      );
      if (!inside || covers || taken.some((one) => overlap(one, box))) continue;
      taken.push(box);
      return { x, y, anchor };
    }
    return undefined;
  });
}
