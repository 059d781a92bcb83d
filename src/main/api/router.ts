import { createRouterClient, type RouterClient } from '@orpc/server';

import { appProcedures } from './app.ts';
import { type Context } from './context.ts';
import { dataProcedures } from './data.ts';
import { featureProcedures } from './features.ts';
import { fileProcedures } from './files.ts';
import { jobProcedures } from './jobs.ts';
import { judgeProcedures } from './judge.ts';
import { metricProcedures } from './metrics.ts';
import { modelProcedures } from './models.ts';
import { probeProcedures } from './probes.ts';
import { projectProcedures } from './projects.ts';
import { resultProcedures } from './results.ts';
import { speedProcedures } from './speed.ts';
import { speedRunProcedures } from './speedRuns.ts';
import { truthProcedures } from './truth.ts';
import { weightProcedures } from './weights.ts';

/** One procedure per thing a user may want. The window, the browser and the command line call these and nothing else. */
export const router = {
  app: appProcedures,
  files: fileProcedures,
  projects: projectProcedures,
  models: modelProcedures,
  data: dataProcedures,
  jobs: jobProcedures,
  results: resultProcedures,
  truth: truthProcedures,
  features: featureProcedures,
  metrics: metricProcedures,
  probes: probeProcedures,
  weights: { ...weightProcedures, ...judgeProcedures },
  speed: { ...speedProcedures, ...speedRunProcedures },
};

export type Api = RouterClient<typeof router>;

/** The router called directly, in this process. */
export function directApi(context: Context): Api {
  return createRouterClient(router, { context });
}
