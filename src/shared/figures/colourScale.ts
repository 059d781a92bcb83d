/**
 * Viridis at eleven even steps (S. van der Walt, N. Smith, matplotlib 2015, CC0): perceptually uniform, readable with
 * every common colour blindness, and ordered by lightness when printed in grey.
 */
const steps = ['440154', '482576', '414487', '35608d', '2a788e', '21908d', '22a884', '43bf71', '7ad151', 'bcdf27', 'fde725'].map(
  (hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)),
);

export type Rgb = readonly [red: number, green: number, blue: number];

/** Colour of `position` in 0 (darkest) .. 1 (lightest); positions outside are clamped. Components 0 .. 255. */
export function scaleRgb(position: number): Rgb {
  const at = Math.min(1, Math.max(0, position)) * (steps.length - 1);
  const below = Math.min(Math.floor(at), steps.length - 2);
  const mix = (component: number) =>
    Math.round(steps[below][component] + (at - below) * (steps[below + 1][component] - steps[below][component]));
  return [mix(0), mix(1), mix(2)];
}

/** As `scaleRgb`, written `#rrggbb`. */
export function scaleColour(position: number): string {
  return `#${scaleRgb(position)
    .map((component) => component.toString(16).padStart(2, '0'))
    .join('')}`;
}

/** Relative luminance, 0 black .. 1 white (WCAG 2.2). */
export function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((component) => {
    const c = component / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Black or white, whichever contrasts more with the scale's colour at `position`; always at least 4.5 : 1. */
export function textColour(position: number): '#000000' | '#ffffff' {
  const background = luminance(scaleRgb(position));
  return (background + 0.05) / 0.05 >= 1.05 / (background + 0.05) ? '#000000' : '#ffffff';
}
