// Compiles the kernels (AssemblyScript) into the rooms that use them: node resources/kernels/build.js
// With --check it writes nothing and fails where a file is not what would be written.
import { readFile, writeFile } from 'node:fs/promises';

import asc from 'assemblyscript/asc';

const kernels = [
  { name: 'tridiagonal', target: 'src/main/linalg/tridiagonalWasm.ts' },
  { name: 'rows', target: 'src/main/linalg/rowsWasm.ts' },
];

for (const { name, target } of kernels) {
  const source = `${name}.ts`;
  let bytes;
  const options = ['--outFile', `${name}.wasm`, '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'];
  const { error, stderr } = await asc.main([source, ...options], {
    readFile: (file) => (file === source ? readFile(new URL(source, import.meta.url), 'utf8') : null),
    writeFile: (_, contents) => (bytes = contents),
  });
  if (error) throw new Error(stderr.toString(), { cause: error });

  const text = `// Made by "node resources/kernels/build.js" from resources/kernels/${source}; do not edit.
// prettier-ignore
export const ${name}Wasm = '${Buffer.from(bytes).toString('base64')}';
`;
  const file = new URL(`../../${target}`, import.meta.url);
  if (!process.argv.includes('--check')) await writeFile(file, text);
  else if ((await readFile(file, 'utf8')) !== text)
    throw new Error(`${target} is not what resources/kernels/${source} compiles to.`);
}
