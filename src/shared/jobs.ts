import * as z from 'zod';

import { errorCodes } from './errors.ts';

export const jobStateSchema = z.enum(['queued', 'running', 'done', 'failed', 'cancelled']);
export type JobState = z.infer<typeof jobStateSchema>;

export const progressSchema = z.object({
  /** Done so far and in all, in steps of the job's own (utterances times passes). */
  done: z.number().nonnegative(),
  total: z.number().nonnegative(),
  /** What is being worked on, in a few words. */
  doing: z.string(),
  /** Seconds of audio worked off per second; null before the first chunk. */
  speed: z.number().nullable(),
  /** Seconds left, by the rate so far; null before there is one. */
  secondsLeft: z.number().nullable(),
});
export type Progress = z.infer<typeof progressSchema>;

/** What a job tells while it works. Sequence numbers rise, so a listener that was away can ask for what came after the last it saw; of progress it then gets the latest only. */
export const jobEventSchema = z.discriminatedUnion('type', [
  z.object({ seq: z.number(), job: z.number(), type: z.literal('state'), state: jobStateSchema }),
  z.object({ seq: z.number(), job: z.number(), type: z.literal('progress'), progress: progressSchema }),
  z.object({ seq: z.number(), job: z.number(), type: z.literal('log'), level: z.enum(['info', 'warning']), message: z.string() }),
  z.object({ seq: z.number(), job: z.number(), type: z.literal('error'), code: z.enum(errorCodes), message: z.string() }),
]);
export type JobEvent = z.infer<typeof jobEventSchema>;
