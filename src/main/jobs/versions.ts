import { env } from 'onnxruntime-node';

import packageJson from '../../../package.json' with { type: 'json' };

/** Versions that go into every recipe. */
export const versions = {
  foretune: packageJson.version,
  /** Raised whenever a change of code changes scores: results of different numbers are never taken for one another. */
  scoring: 1,
  onnxruntime: env.versions.node ?? env.versions.common,
  node: process.versions.node,
};

/** As `scoring`, for the error rates of speed-ups. */
export const speedVersion = 1;

/** Raised whenever a change of code changes probes. */
export const probeVersion = 2;
