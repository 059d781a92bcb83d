import { fileURLToPath } from 'node:url';

import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';
import vuetify from 'vite-plugin-vuetify';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The interface alone, for the server and the browser tests; the desktop build takes the same settings. */
export default defineConfig({
  root: here('.'),
  // The page may lie below a proxy's path, or be loaded through app://.
  base: './',
  plugins: [vue(), vuetify({ autoImport: true })],
  build: {
    outDir: here('../../out/renderer'),
    emptyOutDir: true,
    target: 'chrome120',
    // Data URLs would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
