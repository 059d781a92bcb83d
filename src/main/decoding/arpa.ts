import { ForetuneError } from '#shared/errors.ts';

import { bytesHash, childHash, childOf, findWord, type LanguageModel } from './languageModel.ts';

type Growable = Float32Array | Float64Array | Int32Array | Uint8Array;

/** An array in shared memory that doubles when full: its size follows what was read, never what a header promises. */
class Growing<T extends Growable> {
  values: T;
  length = 0;
  readonly #make: (length: number) => T;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.values = make(1024);
  }

  reserve(length: number): void {
    if (length <= this.values.length) return;
    const larger = this.#make(Math.max(length, 2 * this.values.length));
    larger.set(this.values.subarray(0, this.length));
    this.values = larger;
  }

  push(value: number): void {
    this.reserve(this.length + 1);
    this.values[this.length++] = value;
  }

  used(): T {
    return this.values.subarray(0, this.length) as T;
  }
}

const floats = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length));
const doubles = (length: number) => new Float64Array(new SharedArrayBuffer(8 * length));
const integers = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));
const bytes = (length: number) => new Uint8Array(new SharedArrayBuffer(length));

const maxOrder = 10;
const maxLineBytes = 1 << 20;
/** Nodes are numbered by 32-bit integers, and a hash table of them has twice as many places. */
const maxNodes = 2 ** 29;

const powersOfTen = Array.from({ length: 17 }, (_, exponent) => 10 ** exponent);
const [tab, space, newline, carriageReturn] = [9, 32, 10, 13];

/**
 * A number written as -1.234567, or NaN for any other form. Up to 15 digits are a whole number below 2^53, whose quotient by a power
 * of ten is the nearest double.
 */
function plainDecimal(data: Uint8Array, start: number, end: number): number {
  const isNegative = data[start] === 0x2d;
  const first = isNegative ? start + 1 : start;
  let whole = 0;
  let scale = 0;
  let hasPoint = false;
  if (first === end || end - first > 15) return NaN;
  for (let at = first; at < end; at++) {
    const digit = data[at] - 0x30;
    if (digit >= 0 && digit <= 9) {
      whole = 10 * whole + digit;
      if (hasPoint) scale++;
    } else if (data[at] === 0x2e && !hasPoint) hasPoint = true;
    else return NaN;
  }
  if (hasPoint && end - first === 1) return NaN;
  const value = whole / powersOfTen[scale];
  return isNegative ? -value : value;
}

/**
 * Reads a language model in ARPA format from its bytes as they come: `\data\` with the counts, sections `\1-grams:` and so on with
 * lines "log10 P, words, log10 back-off weight", `\end\`. Everything is checked; memory follows what was read.
 */
export class ArpaReader {
  readonly #name: string;
  readonly #rest = new Growing(bytes);
  #line = 0;
  #part: 'before' | 'counts' | 'section' | 'after' = 'before';
  /** The order whose section is being read; 0 before the first. */
  #order = 0;
  #inSection = 0;
  readonly #announced: number[] = [];
  readonly #fields = new Int32Array(2 * (maxOrder + 3));
  readonly #ids = new Int32Array(maxOrder);

  readonly #wordBytes = new Growing(bytes);
  readonly #wordStarts = new Growing(doubles);
  #wordPlaces = integers(2048);
  readonly #logProbability = new Growing(floats);
  readonly #backOff = new Growing(floats);
  readonly #parent = new Growing(integers);
  readonly #word = new Growing(integers);
  readonly #shorter = new Growing(integers);
  #children = integers(2048);
  #childCount = 0;

  /** @param name begins the sentences */
  constructor(name: string) {
    this.#name = name;
    this.#wordStarts.push(0);
  }

  /** Takes the next bytes of the file. Throws ForetuneError `corrupt` with the line. */
  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      if (this.#rest.length === 0) this.#readLine(chunk, start, end);
      else {
        this.#keep(chunk, start, end);
        this.#readRest();
      }
      start = end + 1;
    }
    this.#keep(chunk, start, chunk.length);
  }

  /** The model, after the last bytes. */
  finish(): LanguageModel {
    if (this.#rest.length > 0) this.#readRest();
    if (this.#part === 'before')
      throw new ForetuneError('corrupt', `${this.#name} is no language model in ARPA format: it has no line "\\data\\".`);
    if (this.#part !== 'after')
      throw new ForetuneError('corrupt', `${this.#name} ends on line ${this.#line} without "\\end\\"; the file is truncated.`);
    const words = { bytes: this.#wordBytes.used(), starts: this.#wordStarts.used(), places: this.#wordPlaces };
    const encoder = new TextEncoder();
    const find = (...forms: string[]) =>
      forms.map((form) => findWord(words, encoder.encode(form), 0, form.length)).find((word) => word >= 0) ?? -1;
    return {
      order: this.#announced.length,
      counts: this.#announced,
      logProbability: this.#logProbability.used(),
      backOff: this.#backOff.used(),
      parent: this.#parent.used(),
      word: this.#word.used(),
      shorter: this.#shorter.used(),
      children: this.#children,
      words,
      begin: find('<s>'),
      end: find('</s>'),
      unknown: find('<unk>', '<UNK>'),
    };
  }

  #fail(what: string): ForetuneError {
    return new ForetuneError('corrupt', `${this.#name}, line ${this.#line}: ${what}.`);
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const length = this.#rest.length + end - start;
    if (length > maxLineBytes) {
      this.#line++;
      throw this.#fail(`the line is longer than ${maxLineBytes} bytes, so this is no language model in ARPA format`);
    }
    this.#rest.reserve(length);
    this.#rest.values.set(chunk.subarray(start, end), this.#rest.length);
    this.#rest.length = length;
  }

  #readRest(): void {
    const { values, length } = this.#rest;
    this.#rest.length = 0;
    this.#readLine(values, 0, length);
  }

  #readLine(data: Uint8Array, start: number, end: number): void {
    this.#line++;
    while (end > start && (data[end - 1] === carriageReturn || data[end - 1] === space || data[end - 1] === tab)) end--;
    while (start < end && (data[start] === space || data[start] === tab)) start++;
    if (start === end) return;
    if (this.#part === 'section' && data[start] !== 0x5c) {
      this.#readGram(data, start, end);
      return;
    }
    if (this.#part === 'after') return;
    const text = Buffer.from(data.buffer, data.byteOffset + start, Math.min(end - start, 100)).toString('utf8');
    if (this.#part === 'before') {
      if (text === '\\data\\') this.#part = 'counts';
    } else if (text.startsWith('\\')) this.#beginSection(text);
    else this.#readCount(text);
  }

  #readCount(text: string): void {
    const match = /^ngram\s+(\d{1,2})\s*=\s*(\d{1,15})$/.exec(text);
    if (!match) throw this.#fail(`expected "ngram 1=..." but found "${text}"`);
    const order = Number(match[1]);
    if (order !== this.#announced.length + 1 || order > maxOrder)
      throw this.#fail(
        `the count of ${order}-grams stands where that of ${this.#announced.length + 1}-grams belongs (orders up to ${maxOrder})`,
      );
    this.#announced.push(Number(match[2]));
  }

  #beginSection(text: string): void {
    this.#endSection();
    const order = Number(/^\\(\d{1,2})-grams:$/.exec(text)?.[1]);
    if (text === '\\end\\') {
      if (this.#announced.length === 0) throw this.#fail('the header has no counts');
      const missing = this.#announced.findIndex((count, index) => index >= this.#order && count > 0);
      if (missing >= 0)
        throw this.#fail(`the header announces ${this.#announced[missing]} ${missing + 1}-grams, but there are none`);
      this.#part = 'after';
      return;
    }
    if (order !== this.#order + 1 || order > this.#announced.length)
      throw this.#fail(`found "${text}" where "\\${this.#order + 1}-grams:" or "\\end\\" belongs`);
    this.#order = order;
    this.#part = 'section';
    this.#inSection = 0;
  }

  /** Holds a section that ends against what the header announced. */
  #endSection(): void {
    if (this.#order === 0) return;
    const announced = this.#announced[this.#order - 1];
    if (this.#inSection !== announced)
      throw this.#fail(
        `the section of ${this.#order}-grams has ${this.#inSection} entries, but the header announces ${announced}`,
      );
  }

  #number(data: Uint8Array, field: number, what: string): number {
    const start = this.#fields[2 * field];
    const end = this.#fields[2 * field + 1];
    const plain = plainDecimal(data, start, end);
    if (!Number.isNaN(plain)) return plain;
    const text = Buffer.from(data.buffer, data.byteOffset + start, Math.min(end - start, 40)).toString('latin1');
    const value = Number(text);
    // SRILM writes -inf for a probability of zero; -99 is its usual stand-in.
    if (/^-inf(inity)?$/i.test(text)) return -99;
    if (!Number.isFinite(value)) throw this.#fail(`the ${what} "${text}" is no number`);
    return value;
  }

  #readGram(data: Uint8Array, start: number, end: number): void {
    const order = this.#order;
    if (this.#inSection >= this.#announced[order - 1])
      throw this.#fail(
        `the section of ${order}-grams has more entries than the ${this.#announced[order - 1]} that the header announces`,
      );
    const fields = this.#fields;
    let count = 0;
    for (let at = start; at < end && count <= order + 2;) {
      fields[2 * count] = at;
      while (at < end && data[at] !== space && data[at] !== tab) at++;
      fields[2 * count + 1] = at;
      count++;
      while (at < end && (data[at] === space || data[at] === tab)) at++;
    }
    if (count !== order + 1 && count !== order + 2)
      throw this.#fail(
        `a ${order}-gram is a number, ${order === 1 ? 'a word' : `${order} words`} and perhaps a number, but there are ${count > order + 2 ? 'more' : count} parts`,
      );
    const logProbability = this.#number(data, 0, 'probability');
    if (logProbability > 0) throw this.#fail(`the log10 probability ${logProbability} is above 0`);
    const backOff = count === order + 2 ? this.#number(data, order + 1, 'back-off weight') : 0;

    const node = this.#parent.length;
    if (node >= maxNodes) throw this.#fail(`there are more than ${maxNodes} n-grams`);
    if (order === 1) this.#addWord(data, fields[2], fields[3], node);
    else this.#addGram(data, order, node);
    this.#logProbability.push(logProbability);
    if (order < this.#announced.length) this.#backOff.push(backOff);
    this.#inSection++;
  }

  #text(data: Uint8Array, start: number, end: number): string {
    return Buffer.from(data.buffer, data.byteOffset + start, Math.min(end - start, 60)).toString('utf8');
  }

  #addWord(data: Uint8Array, start: number, end: number, node: number): void {
    const table = { bytes: this.#wordBytes.values, starts: this.#wordStarts.values, places: this.#wordPlaces };
    if (findWord(table, data, start, end) >= 0) throw this.#fail(`the word "${this.#text(data, start, end)}" stands there twice`);
    const { length } = this.#wordBytes;
    this.#wordBytes.reserve(length + end - start);
    this.#wordBytes.values.set(data.subarray(start, end), length);
    this.#wordBytes.length = length + end - start;
    this.#wordStarts.push(this.#wordBytes.length);
    if (2 * (node + 1) > this.#wordPlaces.length) {
      this.#wordPlaces = integers(2 * this.#wordPlaces.length);
      for (let word = 0; word < node; word++) this.#placeWord(word);
    }
    this.#placeWord(node);
    this.#parent.push(-1);
    this.#word.push(node);
    this.#shorter.push(-1);
  }

  #placeWord(word: number): void {
    const places = this.#wordPlaces;
    const starts = this.#wordStarts.values;
    const mask = places.length - 1;
    let place = bytesHash(this.#wordBytes.values, starts[word], starts[word + 1]) & mask;
    while (places[place] !== 0) place = (place + 1) & mask;
    places[place] = word + 1;
  }

  #addGram(data: Uint8Array, order: number, node: number): void {
    const words = { bytes: this.#wordBytes.values, starts: this.#wordStarts.values, places: this.#wordPlaces };
    const ids = this.#ids;
    for (let i = 0; i < order; i++) {
      const [start, end] = [this.#fields[2 * (i + 1)], this.#fields[2 * (i + 1) + 1]];
      ids[i] = findWord(words, data, start, end);
      if (ids[i] < 0) throw this.#fail(`the word "${this.#text(data, start, end)}" is no 1-gram of the file`);
    }
    const trie = { children: this.#children, parent: this.#parent.values, word: this.#word.values };
    let parent = ids[0];
    for (let i = 1; i < order - 1; i++) {
      parent = childOf(trie, parent, ids[i]);
      if (parent < 0) throw this.#fail(`the first ${order - 1} words of the ${order}-gram are no ${order - 1}-gram of the file`);
    }
    const last = ids[order - 1];
    if (childOf(trie, parent, last) >= 0) throw this.#fail(`the ${order}-gram stands there twice`);
    let context = this.#shorter.values[parent];
    let shorter = last;
    for (; context >= 0; context = this.#shorter.values[context]) {
      const found = childOf(trie, context, last);
      if (found >= 0) {
        shorter = found;
        break;
      }
    }
    this.#parent.push(parent);
    this.#word.push(last);
    this.#shorter.push(shorter);
    if (2 * ++this.#childCount > this.#children.length) {
      this.#children = integers(2 * this.#children.length);
      const first = node + 1 - this.#childCount;
      for (let child = first; child < node; child++) this.#placeChild(child);
    }
    this.#placeChild(node);
  }

  #placeChild(node: number): void {
    const children = this.#children;
    const mask = children.length - 1;
    let place = childHash(this.#parent.values[node], this.#word.values[node]) & mask;
    while (children[place] !== 0) place = (place + 1) & mask;
    children[place] = node + 1;
  }
}
