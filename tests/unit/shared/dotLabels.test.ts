import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { placeLabels } from '../../../src/shared/figures/dotLabels.ts';
import { textWidth } from '../../../src/shared/figures/textWidth.ts';

const room = { size: 10, gap: 8, bounds: { left: 0, right: 300, top: 0, bottom: 200 } };

describe('names beside dots', () => {
  it('stand to the right and above where there is room, to the left at the edge', () => {
    const [first, second] = placeLabels(
      [
        { x: 20, y: 100, text: 'alpha 0.25' },
        { x: 290, y: 100, text: 'alpha 0.5' },
      ],
      room,
    );
    expect(first).toMatchObject({ x: 28, anchor: 'start' });
    expect(second).toMatchObject({ x: 282, anchor: 'end' });
  });

  it('never cover one another; a name without room is left out, and the first keeps its place', () => {
    const dot = fc.record({
      x: fc.integer({ min: 0, max: 300 }),
      y: fc.integer({ min: 0, max: 200 }),
      text: fc.constantFrom('pre-trained', 'alpha 0.25', 'a'),
    });
    fc.assert(
      fc.property(fc.array(dot, { minLength: 1, maxLength: 20 }), (dots) => {
        const boxes = placeLabels(dots, room).flatMap((place, i) => {
          if (!place) return [];
          const width = textWidth(dots[i].text, room.size);
          const left = place.anchor === 'start' ? place.x : place.x - width;
          return [{ left, right: left + width, top: place.y - 8, bottom: place.y + 2.5 }];
        });
        for (const [i, a] of boxes.entries()) {
          expect(a.left >= 0 && a.right <= 300 && a.top >= 0 && a.bottom <= 200).toBe(true);
          for (const b of boxes.slice(i + 1))
            expect(a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).toBe(false);
        }
      }),
    );
    const same = Array.from({ length: 6 }, () => ({ x: 150, y: 100, text: 'one place' }));
    expect(placeLabels(same, room).filter((place) => place !== undefined).length).toBeLessThan(6);
  });
});
