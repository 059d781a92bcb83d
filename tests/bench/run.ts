import { benchLogme } from './logme.ts';
import { benchScoring } from './scoring.ts';

benchLogme();
await benchScoring();
