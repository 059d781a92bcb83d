import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A busy machine must not fail what only takes its time there.
    expect: { poll: { timeout: 30_000 } },
    // Forked processes: a test that kills a process or fills a disk must not take its neighbours with it.
    pool: 'forks',
    maxWorkers: 2,
  },
});
