import { type Configuration } from 'electron-builder';

/** How the desktop app is packed: `npm run package` on the system it is for. */
const configuration: Configuration = {
  appId: 'org.foretune.Foretune',
  productName: 'Foretune',
  directories: { output: 'dist', buildResources: 'resources' },
  files: [
    'out/**',
    'resources/**',
    'package.json',
    // Packages with native code carry it for all systems, 290 MB of it. Only this system's goes along.
    '!node_modules/onnxruntime-node/bin/napi-v*/!(${platform})/**',
    '!node_modules/onnxruntime-node/bin/napi-v*/${platform}/!(${arch})/**',
    '!node_modules/onnxruntime-node/script/**',
    '!node_modules/better-sqlite3/prebuilds/!(${platform}-${arch}).node',
    '!node_modules/better-sqlite3/{deps,src}/**',
    '!**/*.{d.ts,d.mts,d.cts,map,md}',
    'resources/**/*.md',
    '!resources/onnx.proto',
    '!resources/kernels/**',
  ],
  asar: true,
  // The system can load libraries from real files only, and real files are read in place rather than copied out first.
  asarUnpack: [
    'node_modules/onnxruntime-node/bin/**',
    'node_modules/better-sqlite3/prebuilds/**',
    'node_modules/@napi-rs/**',
    'resources/demo/**',
  ],
  // All native packages speak Node-API, whose binaries fit Electron as they are.
  npmRebuild: false,
  electronLanguages: ['en', 'en-US'],
  electronFuses: {
    runAsNode: false,
    enableCookieEncryption: true,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
    enableEmbeddedAsarIntegrityValidation: true,
    onlyLoadAppFromAsar: true,
    loadBrowserProcessSpecificV8Snapshot: false,
    grantFileProtocolExtraPrivileges: false,
    resetAdHocDarwinSignature: true,
  },
  fileAssociations: [
    {
      ext: 'foretune',
      name: 'Foretune Project',
      description: 'Foretune project',
      mimeType: 'application/x-foretune',
      role: 'Editor',
    },
  ],
  icon: 'icon.png',
  linux: {
    target: [{ target: 'AppImage' }, { target: 'deb' }],
    category: 'Science',
    maintainer: 'Foretune',
    synopsis: 'Know before you fine-tune: a workbench for speech researchers',
  },
  mac: {
    // onnxruntime has no binary for Intel Macs.
    target: [{ target: 'dmg', arch: 'arm64' }],
    category: 'public.app-category.developer-tools',
    hardenedRuntime: true,
  },
  win: { target: [{ target: 'nsis' }] },
  nsis: { oneClick: false, perMachine: false, allowToChangeInstallationDirectory: true },
  publish: null,
};

export default configuration;
