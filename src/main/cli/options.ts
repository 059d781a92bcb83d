import { InvalidArgumentError, Option } from '@commander-js/extra-typings';

import { mergeMethodIds } from '#main/merging/registry.ts';
import { metricIds, metrics } from '#main/scoring/registry.ts';
import { type MachineSettings, machineSettingsSchema, providerSchema } from '#shared/experiment.ts';
import { type Unit, unitSchema } from '#shared/score.ts';

/** For options that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** "a,b" as a list; empty parts are refused. */
export function list(value: string): string[] {
  const parts = value.split(',').map((part) => part.trim());
  if (parts.some((part) => part === '')) throw new InvalidArgumentError('Give names separated by commas.');
  return parts;
}

export function integer(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isSafeInteger(number)) throw new InvalidArgumentError('Give a whole number.');
  return number;
}

export function count(value: string): number {
  const number = integer(value);
  if (number < 1) throw new InvalidArgumentError('Give a whole number of at least 1.');
  return number;
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError(`"${text}" is no number.`);
  return value;
}

/** A share of something, neither none nor all of it. */
export function share(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number < 1)) throw new InvalidArgumentError('Give a share between 0 and 1.');
  return number;
}

/** Merge methods, several with commas. */
export function methodNames(text: string): string[] {
  const names = list(text);
  for (const name of names)
    if (!mergeMethodIds().includes(name)) throw new InvalidArgumentError(`Allowed choices are ${mergeMethodIds().join(', ')}.`);
  return names;
}

const round6 = (value: number): number => Number(value.toFixed(6));

/** "21", evenly from 0 to 1, or "0:1:0.05", from, to and step. */
export function sweep(text: string): number[] {
  const parts = text.split(':');
  if (parts.length === 1) {
    const members = count(text);
    if (members < 2) throw new InvalidArgumentError('A sweep has at least 2 members: alpha 0 and alpha 1.');
    return Array.from({ length: members }, (_, i) => round6(i / (members - 1)));
  }
  const [from, to, step, ...rest] = parts.map(number);
  if (step === undefined || rest.length > 0 || !(step > 0) || !(to > from) || (to - from) / step > 200)
    throw new InvalidArgumentError('Give a number of members, or from:to:step such as 0:1:0.05, with at most 201 members.');
  return Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) => round6(from + i * step));
}

export function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 1e6)) throw new InvalidArgumentError('Give a number of seconds above 0, at most 1000000.');
  return number;
}

/** "all", or layer numbers and ranges such as "0,4,9-12". */
export function layers(value: string): 'all' | number[] {
  if (value === 'all') return 'all';
  const found = list(value).flatMap((part) => {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!range) throw new InvalidArgumentError('Give "all", or layer numbers such as 0,4,12 or 3-6.');
    const first = Number(range[1]);
    const last = Number(range[2] ?? range[1]);
    if (last < first || last > 1000) throw new InvalidArgumentError(`The range ${part} is not one of layers.`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [...new Set(found)].sort((a, b) => a - b);
}

/** A list of known score names. Papers spell them in many ways, so case and hyphens do not matter: H-score is hscore. */
export function metricList(value: string): string[] {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_ ]/g, '');
  const known = metricIds();
  const names = list(value).map((name) => {
    const found = known.find((id) => plain(id) === plain(name));
    if (!found) throw new InvalidArgumentError(`There is no score "${name}"; there are ${known.join(', ')}.`);
    return found;
  });
  return [...new Set(names)];
}

/** As `metricList`; "all" stands for every score that needs labels. */
export function labelMetrics(value: string): string[] {
  return value === 'all' ? metrics.filter(({ needs }) => needs !== 'two-sets').map(({ id }) => id) : metricList(value);
}

export function providers(value: string): MachineSettings['providers'] {
  return list(value).map((name) => {
    const provider = providerSchema.safeParse(name);
    if (!provider.success)
      throw new InvalidArgumentError(`There is no provider "${name}"; there are ${providerSchema.options.join(', ')}.`);
    return provider.data;
  });
}

/** Settings of the machine from the options that every running command has. */
export function machine(options: { provider?: MachineSettings['providers']; threads?: number }): MachineSettings {
  return machineSettingsSchema.parse({ providers: options.provider, threads: options.threads });
}

/** What a sample is; may be given twice. */
export function unitOption(usual: Unit) {
  return new Option(
    '--unit <unit>',
    `what counts as a sample: every frame, or the mean over an utterance; may be given twice (default: ${usual})`,
  )
    .choices(unitSchema.options)
    .argParser((value: string, previous: Unit[] | undefined): Unit[] => {
      const unit = unitSchema.safeParse(value);
      if (!unit.success) throw new InvalidArgumentError(`Give ${unitSchema.options.join(' or ')}.`);
      return [...(previous ?? []), unit.data];
    });
}

/** Where a report goes, from the options that every command with one has; nothing where none was given. */
export function reportTargets({ pdf, csv, latex, svg }: { pdf?: string; csv?: string; latex?: string; svg?: string }) {
  return [pdf, csv, latex, svg].every((target) => target === undefined) ? undefined : { pdf, csv, latex, svg };
}
