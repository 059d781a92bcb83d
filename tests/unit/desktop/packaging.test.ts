import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';

import { describe, expect, it } from 'vitest';

import configuration from '../../../electron-builder.ts';
import { root } from '../../support/foretune.ts';

/** Files below a folder of the repository, named from its root. */
function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/'));
}

/** What goes along, as the packer decides it: a match is only asked for exclusions, everything else only for inclusions. */
function packed(files: readonly string[], platform: string, arch: string): string[] {
  const patterns = ['node_modules/**', ...(configuration.files as string[])].map((pattern) =>
    pattern.replaceAll('${platform}', platform).replaceAll('${arch}', arch),
  );
  return files.filter((file) => {
    let isIn = false;
    for (const pattern of patterns) {
      const negated = pattern.startsWith('!');
      if (isIn === negated && matchesGlob(file, negated ? pattern.slice(1) : pattern)) isIn = !negated;
    }
    return isIn;
  });
}

const unpacked = (file: string): boolean => (configuration.asarUnpack as string[]).some((pattern) => matchesGlob(file, pattern));
const isNative = (file: string): boolean => /\.(node|dll|dylib)$|\.so(\.\d+)?$/.test(file);

const native = ['node_modules/onnxruntime-node', 'node_modules/better-sqlite3'].flatMap(filesIn);

describe('the packed app', () => {
  it.each([
    ['linux', 'x64', ['libonnxruntime.so.1', 'onnxruntime_binding.node']],
    ['linux', 'arm64', ['libonnxruntime.so.1', 'onnxruntime_binding.node']],
    ['darwin', 'arm64', ['libonnxruntime.1.30.0.dylib', 'libonnxruntime.1.dylib', 'onnxruntime_binding.node']],
    ['win32', 'x64', ['DirectML.dll', 'dxcompiler.dll', 'dxil.dll', 'onnxruntime.dll', 'onnxruntime_binding.node']],
    ['win32', 'arm64', ['DirectML.dll', 'dxcompiler.dll', 'dxil.dll', 'onnxruntime.dll', 'onnxruntime_binding.node']],
  ])('holds the native files of %s on %s and no other', (platform, arch, runtime) => {
    const files = packed(native, platform, arch).filter(isNative);
    expect(files.sort()).toEqual([
      `node_modules/better-sqlite3/prebuilds/${platform}-${arch}.node`,
      ...runtime.map((name) => `node_modules/onnxruntime-node/bin/napi-v6/${platform}/${arch}/${name}`),
    ]);
    expect(files.filter((file) => !unpacked(file))).toEqual([]);
  });

  it('holds the code that finds them, and no sources to compile', () => {
    const files = packed(native, 'linux', 'x64');
    expect(files).toContain('node_modules/better-sqlite3/lib/index.js');
    expect(files).toContain('node_modules/onnxruntime-node/dist/index.js');
    expect(files.filter((file) => /better-sqlite3\/(deps|src)\//.test(file))).toEqual([]);
  });

  it('holds the program, the demo and the licence texts, and nothing of the workshop', () => {
    const ours = [
      'out/main/index.js',
      'out/main/workers/inference.js',
      'out/preload/index.cjs',
      'out/renderer/index.html',
      'package.json',
      ...filesIn('resources').filter((file) => !/onnx\.proto$|kernels/.test(file)),
    ];
    expect(packed(ours, 'linux', 'x64').sort()).toEqual([...ours].sort());
    expect(
      packed(
        [
          'src/main/cli/main.ts',
          'resources/onnx.proto',
          'resources/kernels/README.md',
          'tests/e2e/chromium.ts',
          '.env',
          'node_modules/zod/index.d.ts',
          'node_modules/zod/index.js.map',
        ],
        'linux',
        'x64',
      ),
    ).toEqual([]);
    expect(packed(['node_modules/zod/LICENSE', 'node_modules/zod/index.js'], 'linux', 'x64')).toHaveLength(2);
    expect(existsSync(join(root, 'resources', String(configuration.icon)))).toBe(true);
  });

  it('starts where package.json says', () => {
    const { main } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { main: string };
    expect(main).toBe('out/main/index.js');
  });

  it('cannot be turned into a plain Node, nor be given other code', () => {
    expect(configuration.asar).toBe(true);
    expect(configuration.electronFuses).toEqual({
      runAsNode: false,
      enableCookieEncryption: true,
      enableNodeOptionsEnvironmentVariable: false,
      enableNodeCliInspectArguments: false,
      enableEmbeddedAsarIntegrityValidation: true,
      onlyLoadAppFromAsar: true,
      loadBrowserProcessSpecificV8Snapshot: false,
      grantFileProtocolExtraPrivileges: false,
      resetAdHocDarwinSignature: true,
    });
  });

  it('opens project files, and is made for all three systems', () => {
    expect(configuration.fileAssociations).toEqual([expect.objectContaining({ ext: 'foretune', role: 'Editor' })]);
    expect(configuration.npmRebuild).toBe(false);
    expect(configuration.publish).toBeNull();
    for (const system of ['linux', 'mac', 'win'] as const) expect(configuration[system]?.target).not.toHaveLength(0);
  });
});
