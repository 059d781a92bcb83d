import { Command, CommanderError } from '@commander-js/extra-typings';

import { fromWire } from '#shared/wire.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import { alignCommand } from './commands/align.ts';
import { checkCommand } from './commands/check.ts';
import { compareCommand } from './commands/compare.ts';
import { correlateCommand } from './commands/correlate.ts';
import { demoCommand } from './commands/demo.ts';
import { extractCommand } from './commands/extract.ts';
import { judgeCommand } from './commands/judge.ts';
import { macsCommand } from './commands/macs.ts';
import { mergeCommand } from './commands/merge.ts';
import { metricsCommand } from './commands/metrics.ts';
import { openCommand } from './commands/open.ts';
import { probeCommand } from './commands/probe.ts';
import { rankCommand } from './commands/rank.ts';
import { recipeCommand } from './commands/recipe.ts';
import { reportCommand } from './commands/report.ts';
import { scoreCommand } from './commands/score.ts';
import { serveCommand } from './commands/serve.ts';
import { similarityCommand } from './commands/similarity.ts';
import { studiesCommand } from './commands/studies.ts';
import { speedCommand } from './commands/speed.ts';
import { superbCommand } from './commands/superb.ts';
import { transcribeCommand } from './commands/transcribe.ts';
import { truthCommand } from './commands/truth.ts';

/** Exit codes of every command: done, failed (one sentence on stderr), called wrongly. */
const exitCodes = { done: 0, failed: 1, usage: 2 };

/** The program with all its commands. */
export function createProgram(): Command {
  const program = new Command('foretune')
    .description('Know before you fine-tune: which speech model, and which of its layers, will transfer to your task.')
    .version(packageJson.version)
    .showHelpAfterError('(add --help for the options)')
    .exitOverride();
  for (const command of [
    openCommand(),
    serveCommand(),
    demoCommand(),
    scoreCommand(),
    probeCommand(),
    extractCommand(),
    alignCommand(),
    metricsCommand(),
    correlateCommand(),
    rankCommand(),
    truthCommand(),
    studiesCommand(),
    similarityCommand(),
    mergeCommand(),
    compareCommand(),
    speedCommand(),
    judgeCommand(),
    recipeCommand(),
    superbCommand(),
    macsCommand(),
    transcribeCommand(),
    reportCommand(),
    checkCommand(),
  ]) {
    program.addCommand(command.exitOverride().showHelpAfterError('(add --help for the options)'), {
      isDefault: command.name() === 'open',
    });
  }
  return program;
}

/** Runs one command line and sets the exit code; never exits by itself, so that threads and files are closed in order. */
export async function main(args: string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

/** Whoever read along (`foretune studies | head`) has seen enough: that is no failure of the work. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const { code, message, stack } = fromWire(error);
  process.stderr.write(`foretune: ${message}\n`);
  if (code === 'internal' && process.env.FORETUNE_DEBUG)
    process.stderr.write(`${error instanceof Error ? error.stack : stack}\n`);
  return code === 'usage' ? exitCodes.usage : exitCodes.failed;
}
