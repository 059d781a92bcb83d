import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import * as z from 'zod';

const windowStateSchema = z.object({
  x: z.number().int(),
  y: z.number().int(),
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  maximized: z.boolean(),
});
export type WindowState = z.infer<typeof windowStateSchema>;

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const smallestWindow = { width: 800, height: 560 };
const usualWindow = { width: 1280, height: 840 };
/** So much of the title bar must be on a screen for the window to be caught with the pointer. */
const graspable = { width: 120, height: 32 };

export interface Placement {
  width: number;
  height: number;
  /** Absent: in the middle of the main screen. */
  x?: number;
  y?: number;
  maximized: boolean;
}

/** Where the window opens: where it was left, unless that screen is gone. `screens`: work areas, the main one first. */
export function placeWindow(saved: WindowState | undefined, screens: readonly Rectangle[]): Placement {
  const main = screens[0];
  if (!saved)
    return {
      width: Math.min(usualWindow.width, main.width),
      height: Math.min(usualWindow.height, main.height),
      maximized: false,
    };
  const screen = screens.find((area) => {
    const across = Math.min(saved.x + saved.width, area.x + area.width) - Math.max(saved.x, area.x);
    const titleBar = saved.y >= area.y && saved.y + graspable.height <= area.y + area.height;
    return across >= graspable.width && titleBar;
  });
  const { width: widest, height: highest } = screen ?? main;
  const size = {
    width: Math.min(Math.max(saved.width, smallestWindow.width), widest),
    height: Math.min(Math.max(saved.height, smallestWindow.height), highest),
    maximized: saved.maximized,
  };
  return screen ? { x: saved.x, y: saved.y, ...size } : size;
}

/** A state that cannot be read counts as none. */
export function readWindowState(file: string): WindowState | undefined {
  try {
    return windowStateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** A full disk must not keep a window from closing. */
export function writeWindowState(file: string, state: WindowState): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(state)}\n`);
  } catch {
    // It will open in the usual place.
  }
}
