import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { placeWindow, readWindowState, writeWindowState } from '#main/desktop/windowState.ts';

const main = { x: 0, y: 25, width: 1440, height: 875 };
const second = { x: 1440, y: 0, width: 1920, height: 1080 };
const state = { x: 100, y: 100, width: 1000, height: 700, maximized: false };

describe('the window opens', () => {
  it('in the middle of the main screen at first, no larger than it', () => {
    expect(placeWindow(undefined, [main])).toEqual({ width: 1280, height: 840, maximized: false });
    expect(placeWindow(undefined, [{ x: 0, y: 0, width: 1024, height: 600 }])).toEqual({
      width: 1024,
      height: 600,
      maximized: false,
    });
  });

  it('where it was left, on any screen', () => {
    expect(placeWindow(state, [main])).toEqual(state);
    const onSecond = { ...state, x: 2000, maximized: true };
    expect(placeWindow(onSecond, [main, second])).toEqual(onSecond);
  });

  it('in the middle again when that screen is gone, or its title bar is out of reach', () => {
    const middle = { width: 1000, height: 700, maximized: false };
    expect(placeWindow({ ...state, x: 2000 }, [main])).toEqual(middle);
    expect(placeWindow({ ...state, x: -950 }, [main])).toEqual(middle);
    expect(placeWindow({ ...state, y: -300 }, [main])).toEqual(middle);
    expect(placeWindow({ ...state, y: 890 }, [main])).toEqual(middle);
  });

  it('large enough to use and small enough to fit', () => {
    expect(placeWindow({ ...state, width: 50, height: 50 }, [main])).toMatchObject({ width: 800, height: 560 });
    expect(placeWindow({ ...state, x: 0, width: 9000, height: 9000 }, [main])).toMatchObject({ width: 1440, height: 875 });
  });
});

describe('its place', () => {
  it('is kept in a file; one that is damaged counts as none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'foretune-window-'));
    const file = join(folder, 'made', 'window.json');
    expect(readWindowState(file)).toBeUndefined();
    writeWindowState(file, state);
    expect(readWindowState(file)).toEqual(state);
    writeFileSync(file, '{"x":"left"}');
    expect(readWindowState(file)).toBeUndefined();
    expect(() => writeWindowState('/dev/null/window.json', state)).not.toThrow();
    rmSync(folder, { recursive: true });
  });
});
