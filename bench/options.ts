import { parseArgs } from 'node:util';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { suggestion } from '../apps/cli/src/commands/closest-name.js';
import type { BenchCase } from './bench-case.js';

export interface BenchOptions {
  /** To be run, in the order of the list. */
  readonly cases: readonly BenchCase[];
  /** Instead of each case's own. */
  readonly rows: number | undefined;
  readonly rounds: number;
  /** A stored result to compare with. */
  readonly compare: string | undefined;
  /** Where to store the result, instead of the usual place; with `isProfiled` the profiles' folder. */
  readonly out: string | undefined;
  /** One case, once, with CPU profiles. */
  readonly isProfiled: boolean;
  /** Nothing is measured: this stored result is shown again. */
  readonly show: string | undefined;
  /** Nothing is measured: the README gets the figures of the newest stored result. */
  readonly writesReadme: boolean;
  readonly lists: boolean;
  readonly helps: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only CASE      only this case; several times, or separated by commas
  --rows N         rows of every case, instead of each case's own
  --rounds N       repeats of each measurement, in turns (default 3)
  --compare FILE   with a stored result; exit code 1 when a ratio got worse by more than 15 %
  --out PATH       store the result in this file; with --profile, the profiles in this folder
  --profile CASE   one round with CPU profiles, in bench/profiles; no result is stored
  --show FILE      print a stored result (and compare it), measure nothing
  --readme         write the README's figures from the newest stored result, measure nothing
  --list           say which cases there are
  --help           this text
`;

const DEFAULT_ROUNDS = 3;

/** @throws SluiceError USAGE_INVALID with every reason that is known at once */
export function parseOptions(args: readonly string[], cases: readonly BenchCase[]): BenchOptions {
  const values = parse(args);
  const problems: string[] = [];
  const named = (names: readonly string[]): BenchCase[] => {
    const known = cases.map(({ name }) => name);
    const unknown = names.filter((name) => !known.includes(name));
    problems.push(
      ...unknown.map(
        (name) => `there is no case "${name}".${suggestion(name, known)} There are: ${known.join(', ')}`,
      ),
    );
    return cases.filter(({ name }) => names.includes(name));
  };
  const count = (flag: string, text: string | undefined): number | undefined => {
    if (text === undefined || /^[1-9]\d{0,8}$/.test(text))
      return text === undefined ? undefined : Number(text);
    problems.push(`--${flag} takes a whole number from 1 on, not "${text}"`);
    return undefined;
  };
  const only = values.only?.flatMap((names) => names.split(',')).map((name) => name.trim());
  const measuresNothing = values.show !== undefined || values.readme || values.list;
  const { profile } = values;
  if (profile !== undefined && values.compare !== undefined) {
    problems.push('--profile compares nothing, since profiles cost time');
  }
  if (profile !== undefined && only !== undefined)
    problems.push('--profile names its case, so --only has no place');
  if (profile !== undefined && values.rounds !== undefined) problems.push('--profile is one round');
  if (measuresNothing && (only ?? values.rows ?? values.rounds ?? values.out ?? profile) !== undefined) {
    problems.push('--show, --readme and --list measure nothing, so the other options have no place');
  }
  const options: BenchOptions = {
    cases: profile !== undefined ? named([profile]) : only === undefined ? cases : named(only),
    rows: count('rows', values.rows),
    rounds: profile === undefined ? (count('rounds', values.rounds) ?? DEFAULT_ROUNDS) : 1,
    compare: values.compare,
    out: values.out,
    isProfiled: profile !== undefined,
    show: values.show,
    writesReadme: values.readme,
    lists: values.list,
    helps: values.help,
  };
  if (problems.length > 0 && !options.helps)
    throw new SluiceError('USAGE_INVALID', `${problems.join('; ')}.`);
  return options;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        rows: { type: 'string' },
        rounds: { type: 'string' },
        compare: { type: 'string' },
        out: { type: 'string' },
        profile: { type: 'string' },
        show: { type: 'string' },
        readme: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    // What follows the first sentence explains how to pass a positional argument, of which there is none.
    throw new SluiceError('USAGE_INVALID', `${messageOf(error).split('. ')[0] ?? ''}.`);
  }
}
