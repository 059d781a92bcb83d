import { ForetuneError } from '#shared/errors.ts';

import { decodeText } from '../text.ts';
import { checkedIntervals, type FileAlignment, quoted, type Tier } from './alignment.ts';

type Token = { kind: 'number'; value: number; line: number } | { kind: 'text' | 'flag'; value: string; line: number };

/**
 * Praat reads free-standing numbers, quoted texts ("" is a quote) and <flags>, and takes everything else as comment: `xmin =` and
 * `intervals [1]:` as well as what follows a `!`. So the long and the short form are one.
 */
function* tokens(text: string, name: string): Generator<Token> {
  const next = /"|<[^>\n]*>|[^\s"<]\S*|</g;
  let line = 1;
  let counted = 0;
  const lineAt = (index: number): number => {
    for (; counted < index; counted++) if (text.charCodeAt(counted) === 10) line++;
    return line;
  };
  for (let match = next.exec(text); match; match = next.exec(text)) {
    const [word] = match;
    const at = lineAt(match.index);
    if (word === '"') {
      let end = next.lastIndex;
      for (;;) {
        end = text.indexOf('"', end);
        if (end < 0) throw new ForetuneError('corrupt', `${name}, line ${at}: a quote is opened and never closed.`);
        if (text[end + 1] !== '"') break;
        end += 2;
      }
      yield { kind: 'text', value: text.slice(next.lastIndex, end).replaceAll('""', '"'), line: at };
      next.lastIndex = end + 1;
    } else if (word.startsWith('<')) {
      yield { kind: 'flag', value: word, line: at };
    } else if (word.startsWith('!')) {
      const end = text.indexOf('\n', match.index);
      if (end < 0) return;
      next.lastIndex = end;
    } else if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(word)) {
      yield { kind: 'number', value: Number(word), line: at };
    }
  }
}

/** Reads the tokens of one file, in order, and says what it misses. */
class Reader {
  private readonly stream: Generator<Token>;
  private ahead: Token | undefined;
  private readonly name: string;

  constructor(text: string, name: string) {
    this.name = name;
    this.stream = tokens(text, name);
    this.advance();
  }

  private advance(): void {
    const { value, done } = this.stream.next();
    this.ahead = done ? undefined : value;
  }

  get peek(): Token | undefined {
    return this.ahead;
  }

  fail(what: string): ForetuneError {
    const { ahead } = this;
    const found = ahead
      ? `${ahead.kind === 'number' ? ahead.value : quoted(ahead.value)} stands in line ${ahead.line}`
      : 'the file ends';
    return new ForetuneError('corrupt', `${this.name}: ${found} where ${what} should be.`);
  }

  text(what: string): string {
    const { ahead } = this;
    if (ahead?.kind !== 'text') throw this.fail(what);
    this.advance();
    return ahead.value;
  }

  number(what: string): number {
    const { ahead } = this;
    if (ahead?.kind !== 'number') throw this.fail(what);
    this.advance();
    return ahead.value;
  }

  count(what: string): number {
    const value = this.number(what);
    if (!Number.isInteger(value) || value < 0)
      throw new ForetuneError('corrupt', `${this.name}: ${what} is ${value}, which is no count.`);
    return value;
  }

  skipFlag(): void {
    if (this.ahead?.kind === 'flag') this.advance();
  }
}

/** The items of a tier, as many as its count promises; counts are believed only as far as the file goes. */
function readTier(reader: Reader, number: number, name: string): Tier {
  const tierClass = reader.text(`the class of tier ${number}`);
  if (tierClass !== 'IntervalTier' && tierClass !== 'TextTier') {
    throw new ForetuneError(
      'corrupt',
      `${name}: tier ${number} is ${quoted(tierClass)}; a TextGrid has "IntervalTier" and "TextTier".`,
    );
  }
  const kind = tierClass === 'IntervalTier' ? 'intervals' : 'points';
  const tier = reader.text(`the name of tier ${number}`);
  const where = `tier ${number} (${quoted(tier)})`;
  const min = reader.number(`the start of ${where}`);
  const max = reader.number(`the end of ${where}`);
  if (max < min) throw new ForetuneError('invalid-data', `${name}: ${where} ends at ${max} s, before it starts (${min} s).`);
  const size = reader.count(`the number of ${kind} of ${where}`);
  const intervals: Tier['intervals'] = [];
  for (let i = 0; i < size; i++) {
    if (reader.peek?.kind !== 'number')
      throw new ForetuneError('corrupt', `${name}: ${where} promises ${size} ${kind} but has ${i}.`);
    const start = reader.number('a time');
    const end = kind === 'points' ? start : reader.number(`the end of interval ${i + 1} of ${where}`);
    intervals.push({ start, end, label: reader.text(`the text of number ${i + 1} of ${where}`).trim() });
  }
  if (reader.peek?.kind === 'number')
    throw new ForetuneError(
      'corrupt',
      `${name}: ${where} promises ${size} ${kind} but more follow (line ${reader.peek.line}); correct the count.`,
    );
  return {
    name: tier,
    kind,
    intervals: kind === 'points' ? intervals : checkedIntervals(intervals, `${name}, ${where}`),
  };
}

/** Whether bytes begin like a TextGrid, in any encoding Praat writes. */
export function looksLikeTextGrid(bytes: Uint8Array): boolean {
  const { text } = decodeText(bytes.subarray(0, 512 - (512 % 2)));
  return /^\s*(File type\s*=\s*)?"ooTextFile|^\s*"Praat chronological TextGrid|^ooBinaryFile/.test(text);
}

/**
 * A Praat TextGrid, long or short, in UTF-8 or UTF-16.
 *
 * @param name begins the sentences
 * @throws ForetuneError `unsupported` for Praat's binary and chronological forms, `corrupt` for anything that is not what its counts
 *   promise, `invalid-data` for intervals that overlap or run backwards
 */
export function parseTextGrid(bytes: Uint8Array, name: string): FileAlignment {
  const { text } = decodeText(bytes);
  if (text.startsWith('ooBinaryFile'))
    throw new ForetuneError('unsupported', `${name} is a binary TextGrid; save it as text in Praat.`);
  const reader = new Reader(text, name);
  const type = reader.text('"ooTextFile"');
  if (type.startsWith('Praat chronological'))
    throw new ForetuneError('unsupported', `${name} is a chronological TextGrid; save it as text in Praat.`);
  if (!type.startsWith('ooTextFile'))
    throw new ForetuneError('corrupt', `${name} is no TextGrid: it begins with ${quoted(type)}, not "ooTextFile".`);
  const objectClass = reader.text('the class "TextGrid"');
  if (!/^TextGrid\b/.test(objectClass))
    throw new ForetuneError('unsupported', `${name} holds a Praat object of class ${quoted(objectClass)}; a TextGrid is needed.`);
  reader.number('the start of the TextGrid');
  reader.number('the end of the TextGrid');
  reader.skipFlag();
  if (reader.peek === undefined) return { tiers: [], notes: [] };
  const size = reader.count('the number of tiers');
  const tiers: Tier[] = [];
  for (let i = 0; i < size; i++) {
    if (reader.peek === undefined) throw new ForetuneError('corrupt', `${name} promises ${size} tiers but has ${i}.`);
    tiers.push(readTier(reader, i + 1, name));
  }
  if (reader.peek !== undefined)
    throw new ForetuneError(
      'corrupt',
      `${name} promises ${size} tier${size === 1 ? '' : 's'} but more follows (line ${reader.peek.line}); correct the count.`,
    );
  return { tiers, notes: [] };
}
