import { startDesktop } from './desktop.ts';

void startDesktop();
