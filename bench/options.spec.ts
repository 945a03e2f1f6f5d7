import { describe, expect, it } from '@jest/globals';
import type { BenchCase } from './bench-case.js';
import { parseOptions } from './options.js';

const CASES = ['whole-way', 'stages', 'upsert'].map((name): BenchCase => {
  return { name, about: '', defaultRows: 10, run: () => Promise.reject(new RangeError('not here')) };
});
const parse = (...args: string[]) => parseOptions(args, CASES);
const namesOf = (...args: string[]) => parse(...args).cases.map(({ name }) => name);

describe('options of npm run bench', () => {
  it('are all cases, each with its own rows, three times, unless an option says otherwise', () => {
    expect(parse()).toMatchObject({ cases: CASES, rows: undefined, rounds: 3, isProfiled: false });
    expect(parse('--rows', '2000', '--rounds', '1')).toMatchObject({ rows: 2000, rounds: 1 });
  });

  it('take cases by name, in the order of the list', () => {
    expect(namesOf('--only', 'upsert', '--only', 'whole-way')).toEqual(['whole-way', 'upsert']);
    expect(namesOf('--only', 'upsert,stages')).toEqual(['stages', 'upsert']);
  });

  it('profile one case, one round', () => {
    const options = parse('--profile', 'stages', '--rows', '500');
    expect(options).toMatchObject({ rounds: 1, rows: 500, isProfiled: true });
    expect(options.cases.map(({ name }) => name)).toEqual(['stages']);
  });

  it.each([
    [['--row', '5'], "Unknown option '--row'."],
    [['whole-way'], "Unexpected argument 'whole-way'."],
    [['--rows'], 'argument missing'],
    [['--rows', '0'], '--rows takes a whole number from 1 on, not "0"'],
    [['--rows', '1.5'], '--rows takes a whole number'],
    [['--rows', '1e6'], '--rows takes a whole number'],
    [['--rounds', 'many'], '--rounds takes a whole number from 1 on, not "many"'],
    [
      ['--only', 'upsrt'],
      'there is no case "upsrt". Did you mean "upsert"? There are: whole-way, stages, upsert',
    ],
    [['--only', 'stages,'], 'there is no case ""'],
    [['--profile', 'x', '--rows', 'y'], 'there is no case "x"'],
    [['--profile', 'stages', '--rounds', '2'], '--profile is one round'],
    [['--profile', 'stages', '--only', 'upsert'], '--profile names its case'],
    [['--profile', 'stages', '--compare', 'x.json'], '--profile compares nothing'],
    [['--show', 'x.json', '--rows', '5'], 'measure nothing'],
  ])('%j are refused', (args, reason) => {
    expect(() => parse(...args)).toThrow(reason);
  });

  it('are refused all at once', () => {
    expect(() => parse('--rows', 'x', '--only', 'y')).toThrow(/no case "y".*--rows takes/);
  });
});
