#!/usr/bin/env node
import module from 'node:module';

// Node below 22.18 cannot run TypeScript sources: say so before any import fails with a puzzle.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `foretune: Node ${process.versions.node} is too old to run the sources; start it with "npx foretune", which uses the pinned Node 24 of this folder (run "npm ci" first).\n`,
  );
  process.exit(1);
}
// Compiled sources are kept between runs: a third of the time to start.
module.enableCompileCache?.();
const { main } = await import('../src/main/cli/main.ts');
await main(process.argv.slice(2));
