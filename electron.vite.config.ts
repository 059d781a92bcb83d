import { fileURLToPath } from 'node:url';

import { defineConfig } from 'electron-vite';

import renderer from './src/renderer/vite.config.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * The desktop app. The main process keeps its modules as they lie in src/main, so that files which are found relative to a
 * module (worker threads, resources) are found in the same way from the sources and from the build.
 */
export default defineConfig({
  main: {
    build: {
      outDir: 'out',
      emptyOutDir: false,
      reportCompressedSize: false,
      minify: false,
      rollupOptions: {
        input: ['desktop/index', 'workers/inference', 'workers/compute'].map((entry) => here(`src/main/${entry}.ts`)),
        output: {
          format: 'es',
          preserveModules: true,
          preserveModulesRoot: here('src'),
          entryFileNames: ({ name }) => (name === 'main/desktop/index' ? 'main/index.js' : '[name].js'),
        },
      },
    },
  },
  preload: {
    build: {
      outDir: 'out/preload',
      emptyOutDir: true,
      reportCompressedSize: false,
      // A sandboxed preload script cannot import: neither other files nor packages.
      externalizeDeps: false,
      isolatedEntries: true,
      rollupOptions: {
        input: { index: here('src/preload/index.ts') },
        external: ['electron'],
        output: { format: 'cjs', entryFileNames: '[name].cjs' },
      },
    },
  },
  renderer,
});
