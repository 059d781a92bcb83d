import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { chooseTier, cutOverlaps, type Tier } from '#main/formats/alignments/alignment.ts';
import { parseAlignmentCsv } from '#main/formats/alignments/alignmentCsv.ts';
import { parseCtm } from '#main/formats/alignments/ctm.ts';
import { parseRttm } from '#main/formats/alignments/rttm.ts';
import { looksLikeTextGrid, parseTextGrid } from '#main/formats/alignments/textGrid.ts';
import { parseTimit } from '#main/formats/alignments/timit.ts';
import { foldPhone, timitPhones } from '#main/formats/alignments/timitPhones.ts';
import { textGridText } from '#main/formats/alignments/writeTextGrid.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

function utf16(text: string, littleEndian: boolean, mark = true): Uint8Array {
  const whole = mark ? `\ufeff${text}` : text;
  const bytes = new Uint8Array(2 * whole.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < whole.length; i++) view.setUint16(2 * i, whole.charCodeAt(i), littleEndian);
  return bytes;
}

/** As Praat 6 writes it. */
const long = `File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 1.5 
tiers? <exists> 
size = 3 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 1.5 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.5 
            text = "" 
        intervals [2]:
            xmin = 0.5 
            xmax = 1.25 
            text = "say ""hé""!" 
        intervals [3]:
            xmin = 1.25 
            xmax = 1.5 
            text = " two
lines " 
    item [2]:
        class = "IntervalTier" 
        name = "phones" 
        xmin = 0 
        xmax = 1.5 
        intervals: size = 1 
        intervals [1]:
            xmin = 0 
            xmax = 1.5e0 
            text = "AH0" 
    item [3]:
        class = "TextTier" 
        name = "tones" 
        xmin = 0 
        xmax = 1.5 
        points: size = 1 
        points [1]:
            number = 0.75 
            mark = "H*" 
`;
const short = `File type = "ooTextFile"
"TextGrid"

0
1.5
<exists>
3
"IntervalTier"
"words"
0
1.5
3
0
0.5
""
0.5 ! a comment with "quotes" and 3 numbers
1.25
"say ""hé""!"
1.25
1.5
" two
lines "
"IntervalTier" "phones" 0 1.5 1 0 1.5e0 "AH0"
"TextTier" "tones" 0 1.5 1 0.75 "H*"
`;
const tiers: Tier[] = [
  {
    name: 'words',
    kind: 'intervals',
    intervals: [
      { start: 0.5, end: 1.25, label: 'say "hé"!' },
      { start: 1.25, end: 1.5, label: 'two\nlines' },
    ],
  },
  { name: 'phones', kind: 'intervals', intervals: [{ start: 0, end: 1.5, label: 'AH0' }] },
  { name: 'tones', kind: 'points', intervals: [{ start: 0.75, end: 0.75, label: 'H*' }] },
];

describe('parseTextGrid', () => {
  it.each([
    ['long, UTF-8', utf8(long)],
    ['short, UTF-8', utf8(short)],
    ['with the mark of UTF-8', utf8(`\ufeff${long}`)],
    ['long, UTF-16 BE, as Praat writes what is not ASCII', utf16(long, false)],
    ['short, UTF-16 LE', utf16(short, true)],
    ['UTF-16 BE without its mark', utf16(long, false, false)],
    ['UTF-16 LE without its mark', utf16(short, true, false)],
    ['Windows line ends', utf8(long.replaceAll('"say ""hé""!"', '"say ""hé""!" ! note').replaceAll('\n', '\r\n'))],
  ])('reads it %s', (_, bytes) => {
    expect(looksLikeTextGrid(bytes)).toBe(true);
    const read = parseTextGrid(bytes, 'x.TextGrid').tiers;
    expect(
      read.map((tier) => ({ ...tier, intervals: tier.intervals.map((i) => ({ ...i, label: i.label.replace('\r', '') })) })),
    ).toEqual(tiers);
  });

  it('reads one without tiers', () => {
    expect(parseTextGrid(utf8('File type = "ooTextFile"\nObject class = "TextGrid"\n0\n1\n<absent>\n'), 'x').tiers).toEqual([]);
  });

  const edit = (from: string, to: string) => utf8(long.replace(from, to));
  it.each([
    ['too many tiers promised', edit('size = 3', 'size = 4'), 'corrupt', 'x promises 4 tiers but has 3.'],
    [
      'too few tiers promised',
      edit('size = 3', 'size = 2'),
      'corrupt',
      'x promises 2 tiers but more follows (line 39); correct the count.',
    ],
    [
      'too many intervals promised',
      edit('intervals: size = 3', 'intervals: size = 5'),
      'corrupt',
      'x: tier 1 ("words") promises 5 intervals but has 3.',
    ],
    [
      'too few intervals promised',
      edit('intervals: size = 3', 'intervals: size = 2'),
      'corrupt',
      'x: tier 1 ("words") promises 2 intervals but more follow (line 24); correct the count.',
    ],
    [
      'a count beyond reason',
      edit('points: size = 1', 'points: size = 4000000000'),
      'corrupt',
      'promises 4000000000 points but has 1.',
    ],
    ['a count that is none', edit('points: size = 1', 'points: size = 1.5'), 'corrupt', 'is 1.5, which is no count'],
    [
      'overlaps',
      edit('xmin = 1.25', 'xmin = 1.0'),
      'invalid-data',
      'x, tier 1 ("words"): the intervals "say "hé"!" (0.500 to 1.250 s) and "two lines" (from 1.000 s) overlap; a frame has one label.',
    ],
    [
      'an end before the start',
      edit('xmax = 1.25', 'xmax = 0.25'),
      'invalid-data',
      'the interval "say "hé"!" ends at 0.250 s, before it starts (0.500 s).',
    ],
    ['a missing text', edit('text = "AH0"', ''), 'corrupt', '"TextTier"'],
    ['an open quote', edit('text = "AH0"', 'text = "AH0'), 'corrupt', 'x'],
    ['an unknown class', edit('"TextTier"', '"PitchTier"'), 'corrupt', 'tier 3 is "PitchTier"'],
    ['another object', edit('"TextGrid"', '"Pitch 1"'), 'unsupported', 'a Praat object of class "Pitch 1"'],
    ['the binary form', utf8('ooBinaryFile\u0008TextGrid'), 'unsupported', 'x is a binary TextGrid; save it as text in Praat.'],
    [
      'the chronological form',
      utf8('"Praat chronological TextGrid text file"\n0 1\n'),
      'unsupported',
      'save it as text in Praat',
    ],
    ['text', utf8('"hello"'), 'corrupt', 'x is no TextGrid: it begins with "hello"'],
    ['nothing', utf8(''), 'corrupt', 'x: the file ends where "ooTextFile" should be.'],
  ])('refuses %s', (_, bytes, code, sentence) => {
    expect(() => parseTextGrid(bytes, 'x')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(sentence) as string }),
    );
  });
});

describe('textGridText', () => {
  it('writes what can be read again', () => {
    const label = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => text.trim() === text && !/\s/.test(text));
    const tier = fc.record({
      name: label,
      steps: fc.array(fc.record({ gap: fc.nat(3), length: fc.integer({ min: 1, max: 9 }), label }), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(tier, { maxLength: 3 }), fc.nat(90), (made, length) => {
        const written = made.map(({ name, steps }): Tier => {
          let time = 0;
          const intervals = steps.map((step) => {
            const start = time + step.gap;
            time = start + step.length;
            return { start: start / 8, end: time / 8, label: step.label };
          });
          return { name, kind: 'intervals', intervals };
        });
        expect(parseTextGrid(utf8(textGridText(written, length / 8)), 'x').tiers).toEqual(written);
      }),
      { numRuns: 60 },
    );
  });
});

describe('chooseTier', () => {
  it('finds a tier by name, by number, and in other spellings', () => {
    const names = (wanted: string) => chooseTier(tiers, wanted, 'x').name;
    expect(['words', 'Phones', '2', 'phoneme', 'word'].map(names)).toEqual(['words', 'phones', 'phones', 'phones', 'words']);
  });

  it('joins the tiers of several speakers, as the Montreal Forced Aligner names them', () => {
    const tier = (name: string, start: number): Tier => ({
      name,
      kind: 'intervals',
      intervals: [{ start, end: start + 1, label: name[0] }],
    });
    const speakers = [tier('anna - words', 1), tier('anna - phones', 1), tier('bob - words', 0), tier('bob - phones', 0)];
    expect(chooseTier(speakers, 'phones', 'x').intervals.map(({ label }) => label)).toEqual(['b', 'a']);
    expect(chooseTier(speakers, 'bob - phones', 'x').intervals).toHaveLength(1);
    speakers[1].intervals[0].start = 0.5;
    expect(() => chooseTier(speakers, 'phones', 'x')).toThrow('overlap');
  });

  it('refuses points and tiers that are not there, saying what there is', () => {
    expect(() => chooseTier(tiers, 'tones', 'x')).toThrow(
      'x: the tier "tones" holds points, which label no stretch of time; choose a tier of intervals: "words", "phones".',
    );
    expect(() => chooseTier(tiers, 'syllables', 'x')).toThrow(
      'x has no tier "syllables"; it has "words", "phones", "tones" (points): choose one by its name or number.',
    );
  });
});

/** What a table says of all its files. */
const everything = (table: ReturnType<typeof parseCtm>) => table.names.map((name) => table.get(name));
const intervals = (table: ReturnType<typeof parseCtm>, file: string) => table.get(file)!.tiers[0].intervals;

describe('parseCtm', () => {
  it('reads times, tokens and files, in any order', () => {
    const table = parseCtm(utf8(';; a comment\nb 1 0.00 0.10 x\na A 0.52 0.2 world 0.98\na A 0.2 0.325 hello\n\n'), 'x.ctm');
    expect(table.names).toEqual(['b', 'a']);
    // 0.2 + 0.325 reaches 5 ms into the next word: rounding to hundredths.
    expect(intervals(table, 'a')).toEqual([
      { start: 0.2, end: 0.52, label: 'hello' },
      { start: 0.52, end: 0.72, label: 'world' },
    ]);
  });
  it.each([
    ['a 1 0 0.1\n', 'corrupt', 'x.ctm, line 1 has 4 fields; a CTM line has file, channel, start, duration and token.'],
    ['a 1 0 abc x\n', 'corrupt', 'x.ctm, line 1: the duration is "abc", which is no number.'],
    ['a 1 0 -0.1 x\n', 'corrupt', 'x.ctm, line 1: the duration is -0.1 s, below 0.'],
    [
      'a 1 0 0.5 x\na 1 0.4 0.2 y\n',
      'invalid-data',
      'x.ctm, file a: the intervals "x" (0.000 to 0.500 s) and "y" (from 0.400 s) overlap',
    ],
    ['a 1 -1 0.5 x\n', 'invalid-data', 'starts at -1.000 s, before 0'],
  ])('refuses %j', (text, code, message) => {
    expect(() => everything(parseCtm(utf8(text), 'x.ctm'))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});

describe('parseRttm', () => {
  it('labels by speaker and leaves out where several speak', () => {
    const lines = [
      'SPKR-INFO rec 1 <NA> <NA> <NA> unknown anna <NA> <NA>',
      'SPEAKER rec 1 0.0 2.0 <NA> <NA> anna <NA> <NA>',
      'SPEAKER rec 1 1.5 1.5 <NA> <NA> bob <NA> <NA>',
      'SPEAKER rec 1 1.0 1.0 <NA> <NA> anna <NA> <NA>',
    ];
    const table = parseRttm(utf8(lines.join('\n')), 'x.rttm');
    expect(intervals(table, 'rec')).toEqual([
      { start: 0, end: 1.5, label: 'anna' },
      { start: 2, end: 3, label: 'bob' },
    ]);
    expect(table.get('rec')!.notes).toEqual(['0.50 s in which several speak have no single label and are left out']);
  });
  it.each([
    ['SPEAKER rec 1 0.0 2.0\n', 'corrupt', 'x.rttm, line 1 has 5 fields'],
    ['hello world\n', 'corrupt', 'x.rttm, line 1 begins with none of the types of RTTM'],
    [
      'SPEAKER rec 1 2.0 -1.0 <NA> <NA> a <NA> <NA>\n',
      'invalid-data',
      'x.rttm, line 1: the interval "a" ends at 1.000 s, before',
    ],
  ])('refuses %j', (text, code, message) => {
    expect(() => everything(parseRttm(utf8(text), 'x.rttm'))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
  it('cuts overlaps of three', () => {
    const turn = (start: number, end: number, label: string) => ({ start, end, label });
    expect(cutOverlaps([turn(0, 4, 'a'), turn(1, 3, 'b'), turn(2, 5, 'c')])).toEqual({
      intervals: [turn(0, 1, 'a'), turn(4, 5, 'c')],
      overlapSeconds: 3,
    });
  });
});

describe('parseTimit', () => {
  it('counts samples at 16 kHz', () => {
    const {
      tiers: [tier],
    } = parseTimit(utf8('0 3050 h#\n3050 4559 sh\n4559 5723 ix\n'), 'SA1.PHN', 'phones');
    expect(tier).toEqual({
      name: 'phones',
      kind: 'intervals',
      intervals: [
        { start: 0, end: 0.190625, label: 'h#' },
        { start: 0.190625, end: 0.2849375, label: 'sh' },
        { start: 0.2849375, end: 0.3576875, label: 'ix' },
      ],
    });
  });
  it.each([
    ['0 h#\n', 'SA1.PHN, line 1 has 2 fields'],
    ['0 16000 h#\n8000 20000 sh\n', 'overlap'],
    ['16000 0 h#\n', 'ends at 0.000 s, before it starts (1.000 s)'],
  ])('refuses %j', (text, message) => {
    expect(() => parseTimit(utf8(text), 'SA1.PHN', 'phones')).toThrow(message);
  });
});

describe('foldPhone', () => {
  // All 61 as TIMIT's documentation (phoncode.doc) lists them.
  const stops = 'b d g p t k dx q bcl dcl gcl pcl tcl kcl jh ch';
  const others = 's sh z zh f th v dh m n ng em en eng nx l r w y hh hv el pau epi h#';
  const vowels = 'iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h';
  const phones = `${stops} ${others} ${vowels}`.split(' ');
  const fold = (set: '48' | '39') => new Set(phones.map((phone) => foldPhone(phone, set, 'x')).filter((phone) => phone !== ''));

  it('folds 61 phones to 48 and 39 and leaves the glottal stop out', () => {
    expect(phones).toHaveLength(61);
    expect(fold('48').size).toBe(48);
    expect(fold('39').size).toBe(39);
    expect(foldPhone('q', '39', 'x')).toBe('');
    expect(phones.filter((phone) => phone !== 'q').every((phone) => timitPhones.includes(phone))).toBe(true);
  });

  it('merges what Lee & Hon merge', () => {
    const groups = ['aa ao', 'ah ax ax-h', 'er axr', 'hh hv', 'ih ix', 'l el', 'm em', 'n en nx', 'ng eng', 'sh zh', 'uw ux'];
    for (const group of groups) {
      const members = group.split(' ').map((phone) => foldPhone(phone, '39', 'x'));
      expect(new Set(members)).toEqual(new Set([members[0]]));
    }
    const silence = 'pcl tcl kcl bcl dcl gcl h# pau epi'.split(' ');
    expect(new Set(silence.map((phone) => foldPhone(phone, '39', 'x')))).toEqual(new Set(['sil']));
    expect(silence.map((phone) => foldPhone(phone, '48', 'x'))).toEqual('cl cl cl vcl vcl vcl sil sil epi'.split(' '));
  });

  it('folds twice as once, and 48 as 61', () => {
    for (const phone of phones.filter((name) => name !== 'q')) {
      const once = foldPhone(phone, '39', 'x');
      expect(foldPhone(once, '39', 'x')).toBe(once);
      expect(foldPhone(foldPhone(phone, '48', 'x'), '39', 'x')).toBe(once);
    }
  });

  it('refuses other phone sets', () => {
    expect(() => foldPhone('AH0', '39', 'a.TextGrid')).toThrow('a.TextGrid: "AH0" is none of TIMIT\'s 61 phones');
  });
});

describe('parseAlignmentCsv', () => {
  it('reads our own, tiers included', () => {
    const table = parseAlignmentCsv(
      utf8('file,start,end,label,tier\na.wav,0,0.5,hello,words\na.wav,0,0.1,"h,",chars\nb.wav,1,2,x,words\n'),
      'x.csv',
    );
    expect(table.get('a.wav')!.tiers).toEqual([
      { name: 'words', kind: 'intervals', intervals: [{ start: 0, end: 0.5, label: 'hello' }] },
      { name: 'chars', kind: 'intervals', intervals: [{ start: 0, end: 0.1, label: 'h,' }] },
    ]);
    expect(table.get('b.wav')!.tiers).toHaveLength(1);
  });

  it("reads the Montreal Forced Aligner's, one file each", () => {
    const table = parseAlignmentCsv(utf8('Begin,End,Label,Type,Speaker\n0.0,0.3,yes,words,s0\n0.0,0.1,Y,phones,s0\n'), 'x.csv');
    expect(table.get('')!.tiers.map(({ name }) => name)).toEqual(['words', 'phones']);
  });

  it.each([
    ['file,start,label\na,0,x\n', 'invalid-data', 'x.csv has no column end; an alignment table has file, start, end and label'],
    ['file,start,end,label\na,0,x,y\n', 'corrupt', 'x.csv, line 2: the end is "x", which is no number.'],
    ['file,start,end,label\na,0\n', 'corrupt', 'x.csv, line 2: has 2 fields where the header has 4.'],
    [
      'file,start,end,label\na,2,1,y\n',
      'invalid-data',
      'x.csv, file a: the interval "y" ends at 1.000 s, before it starts (2.000 s).',
    ],
    ['file,start,end,label\na,0,1,y\na,0.5,1.5,z\n', 'invalid-data', 'overlap'],
  ])('refuses %j', (text, code, message) => {
    expect(() => everything(parseAlignmentCsv(utf8(text), 'x.csv'))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});
