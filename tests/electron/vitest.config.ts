import { defineConfig } from 'vitest/config';

/** The suite of the real desktop window: apart from the others, for it needs Electron's binary and a screen. */
export default defineConfig({
  test: { include: ['tests/electron/*.electron.ts'], testTimeout: 60_000, hookTimeout: 60_000, pool: 'forks', maxWorkers: 1 },
});
