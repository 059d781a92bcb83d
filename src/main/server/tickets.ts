import { randomBytes } from 'node:crypto';

import { sameSecret } from './token.ts';

const validForMs = 120_000;

/**
 * Single-use stand-ins for the token, for addresses that are handed to another program: on a shared machine anybody can
 * read the arguments of a browser that was started with one.
 */
export class Tickets {
  private readonly open = new Map<string, number>();

  issue(): string {
    const ticket = randomBytes(32).toString('base64url');
    this.open.set(ticket, Date.now() + validForMs);
    return ticket;
  }

  /** True once, and within two minutes. */
  redeem(guess: string): boolean {
    for (const [ticket, until] of this.open) {
      if (until < Date.now()) this.open.delete(ticket);
      else if (sameSecret(guess, ticket)) return this.open.delete(ticket);
    }
    return false;
  }
}
