import { ForetuneError } from '#shared/errors.ts';

import { quoted } from './alignment.ts';

/**
 * The phones of TIMIT and their classes: 61 as transcribed, 48 to train on, 39 to count errors by (Lee & Hon, Speaker-independent phone
 * recognition using hidden Markov models, IEEE Trans. ASSP 37, 1989, table I). Each line: a class of the 39, then its members
 * among the 48, each with the transcribed phones that become it. The glottal stop `q` is in no class.
 */
const table = `
aa: aa ao | ae | ah: ah ax(ax,ax-h) | aw | ay | b | ch | d | dh | dx | eh | er: er(er,axr) | ey | f | g
hh: hh(hh,hv) | ih: ih ix | iy | jh | k | l: l el | m: m(m,em) | n: n(n,nx) en | ng: ng(ng,eng) | ow | oy | p | r | s
sh: sh zh | sil: sil(h#,pau) epi cl(pcl,tcl,kcl) vcl(bcl,dcl,gcl) | t | th | uh | uw: uw(uw,ux) | v | w | y | z`;

export type PhoneSet = '48' | '39';

const folds: Record<PhoneSet, Map<string, string>> = { 39: new Map(), 48: new Map() };
for (const entry of table.split(/[|\n]/)) {
  const written = entry.trim();
  if (written === '') continue;
  const [class39, members = class39] = written.split(/:\s*/);
  for (const member of members.split(' ')) {
    const [, class48, phones = class48] = /^([a-z]+)(?:\((.*)\))?$/.exec(member)!;
    // A class is its own member, so that what has been folded already can be folded further.
    for (const phone of [class39, class48, ...phones.split(',')]) {
      if (phone !== class39 || class39 === class48) folds[48].set(phone, class48);
      folds[39].set(phone, class39);
    }
  }
}

/** All 61 transcribed phones that have a class, with those of the smaller sets. */
export const timitPhones: readonly string[] = [...folds[39].keys()];

/**
 * A TIMIT phone (of 61 or 48) in one of the smaller sets; empty for `q`, which is left out.
 *
 * @param where begins the sentence
 * @throws ForetuneError `invalid-data` for what is no TIMIT phone
 */
export function foldPhone(phone: string, set: PhoneSet, where: string): string {
  const lower = phone.toLowerCase();
  if (lower === 'q') return '';
  const folded = folds[set].get(lower);
  if (folded === undefined) {
    throw new ForetuneError(
      'invalid-data',
      `${where}: ${quoted(phone)} is none of TIMIT's 61 phones, so it cannot be folded; leave the fold out for other phone sets.`,
    );
  }
  return folded;
}
