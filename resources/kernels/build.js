// Compiles tridiagonal.ts (AssemblyScript) into src/main/linalg/tridiagonalWasm.ts: node resources/kernels/build.js
// With --check it writes nothing and fails where that file is not what would be written.
import { readFile, writeFile } from 'node:fs/promises';

import asc from 'assemblyscript/asc';

const source = new URL('tridiagonal.ts', import.meta.url);
const target = new URL('../../src/main/linalg/tridiagonalWasm.ts', import.meta.url);

let bytes;
const options = ['--outFile', 'tridiagonal.wasm', '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'];
const { error, stderr } = await asc.main(['tridiagonal.ts', ...options], {
  readFile: (name) => (name === 'tridiagonal.ts' ? readFile(source, 'utf8') : null),
  writeFile: (_, contents) => (bytes = contents),
});
if (error) throw new Error(stderr.toString(), { cause: error });

const text = `// Made by "node resources/kernels/build.js" from resources/kernels/tridiagonal.ts; do not edit.
// prettier-ignore
export const tridiagonalWasm = '${Buffer.from(bytes).toString('base64')}';
`;
if (!process.argv.includes('--check')) {
  await writeFile(target, text);
} else if ((await readFile(target, 'utf8')) !== text) {
  throw new Error('src/main/linalg/tridiagonalWasm.ts is not what resources/kernels/tridiagonal.ts compiles to.');
}
