// After `npm ci`: builds what `npm start` shows. Without the development packages there is nothing to build with, and nothing is.
import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);
let isDevelopment = true;
try {
  resolve('electron-vite/package.json');
} catch {
  isDevelopment = false;
}
if (isDevelopment) {
  const { build } = await import('electron-vite');
  await build({ logLevel: 'warn' });
}
