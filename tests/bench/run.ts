import { benchInterface } from './interface.ts';
import { benchExit } from './exit.ts';
import { benchLogme } from './logme.ts';
import { benchMerge } from './merge.ts';
import { benchScoreStep } from './scoreStep.ts';
import { benchScoring } from './scoring.ts';

benchLogme();
await benchMerge();
await benchScoring();
await benchScoreStep();
await benchInterface();
await benchExit();
