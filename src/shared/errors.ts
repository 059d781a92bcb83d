/** The closed set of reasons for which Foretune refuses or gives up. */
export const errorCodes = [
  'usage', // the call itself is wrong: unknown option, missing argument
  'not-found', // a file or folder that is not there
  'unreadable', // it is there but cannot be opened or decoded
  'corrupt', // truncated, lying or inconsistent bytes
  'unsupported', // a valid thing this program does not handle
  'unsafe', // a file that tries to run code or to leave its folder
  'mismatch', // two things that should agree do not
  'invalid-data', // data on which the asked computation has no meaning
  'no-space', // the disk is full or read-only
  'newer-version', // written by a newer Foretune
  'locked', // in use by another process
  'disconnected', // the link to the engine is away; it may come back
  'cancelled', // the user stopped it
  'internal', // a bug of ours
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An error as it crosses a process, thread or wire border. */
export interface ErrorValue {
  code: ErrorCode;
  /** One sentence: what, where, which number, what to do. */
  message: string;
}

/** A refusal with a code and one sentence: what, where, which number, what to do. */
export class ForetuneError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ForetuneError';
    this.code = code;
  }
}

const systemCodes: Record<string, ErrorCode> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EACCES: 'unreadable',
  EPERM: 'unreadable',
  EISDIR: 'unreadable',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EROFS: 'no-space',
  SQLITE_FULL: 'no-space',
  SQLITE_READONLY: 'no-space',
  SQLITE_BUSY: 'locked',
  SQLITE_LOCKED: 'locked',
  SQLITE_CORRUPT: 'corrupt',
  SQLITE_NOTADB: 'corrupt',
};

/** Any thrown thing as a value: ForetuneError keeps its code, system errors get one, the rest is `internal`. */
export function toErrorValue(error: unknown): ErrorValue {
  if (error instanceof ForetuneError) return { code: error.code, message: error.message };
  if (error instanceof Error) {
    const systemCode = 'code' in error ? systemCodes[String(error.code)] : undefined;
    return { code: systemCode ?? 'internal', message: error.message };
  }
  return { code: 'internal', message: String(error) };
}

/** The thrown form of an error value, on the receiving side of a border. */
export function fromErrorValue(value: ErrorValue): ForetuneError {
  return new ForetuneError(value.code, value.message);
}
