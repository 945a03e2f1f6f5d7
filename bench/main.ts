/**
 * `npm run bench`: measures Sluice and psql in turns, prints and stores what it finds (bench/README.md). Exits 1 when a
 * case broke off or, with `--compare`, a ratio got worse; 2 for a wrong command line; 130 after Ctrl-C.
 */
import { writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '#local/folders.js';
import { runBench } from './bench-run.js';
import { CASES } from './cases.js';
import { type BenchOptions, USAGE, parseOptions } from './options.js';
import { Profiling, readProfile } from './profile/profiling.js';
import { selfTimeText, selfTimesOf } from './profile/self-time.js';
import { compareRatios, whyNotComparable } from './report/compare.js';
import { README_CASE, RESULTS_FOLDER, readmeWithFigures } from './report/readme-block.js';
import { fileNameOf, readResult, storeResult } from './report/result-store.js';
import type { BenchResult, CaseResult } from './report/result.js';
import { clientVersions, commitOf, machine, serviceSettings } from './report/surroundings.js';
import { caseText, comparisonText, headText, resultText } from './report/tables.js';

const ROOT = checkoutFolder();
const RESULTS = join(ROOT, RESULTS_FOLDER);
const PROFILES = join(ROOT, 'bench', 'profiles');
const STOPPED = 130;

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2), CASES);
    if (options.helps) return print(USAGE);
    if (options.lists) return print(listText());
    if (options.writesReadme) return await writeReadme();
    if (options.show !== undefined) return show(resolve(options.show), options);
    return await measure(options);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    say(error.message);
    if (error.code !== 'USAGE_INVALID') return 1;
    say('`npm run bench -- --help` says what it takes.');
    return 2;
  }
}

async function measure(options: BenchOptions): Promise<number> {
  const before = options.compare === undefined ? undefined : readResult(resolve(options.compare));
  refuseUnlessComparable(
    options.cases.map(({ name, defaultRows }) => ({ name, rows: options.rows ?? defaultRows })),
    before,
  );
  const at = new Date().toISOString();
  const facts = {
    ...{ version: 1 as const, at, machine: machine(), versions: await clientVersions() },
    ...(await commitOf(ROOT)),
    settings: serviceSettings(),
  };
  const file = fileOf(options, at);
  const profiling = options.isProfiled
    ? new Profiling(options.out === undefined ? PROFILES : resolve(options.out))
    : undefined;
  print(headText({ ...facts, settings: {}, cases: [] }));
  const stop = stopOnSignals();
  const onCase = (result: BenchResult, newest: CaseResult): void => {
    print(caseText(newest));
    if (profiling === undefined) storeResult(file, result);
  };
  try {
    profiling?.beginOwn();
    const outcome = await runBench(facts, {
      ...{ cases: options.cases, rows: options.rows, rounds: options.rounds },
      ...(profiling && { profiling }),
      ...{ signal: stop, say, onCase },
    });
    profiling?.endOwn();
    printProfiles(profiling);
    if (profiling === undefined && outcome.result.cases.length > 0) {
      print(`\nstored in ${relative(process.cwd(), file)}\n`);
    }
    if (file === join(RESULTS, fileNameOf(at)) && profiling === undefined) await writeReadme();
    const isWorse = compare(outcome.result.cases, before);
    for (const failure of outcome.failures) say(`broke off: ${failure}`);
    return isWorse || outcome.failures.length > 0 ? 1 : 0;
  } catch (error) {
    if (!stop.aborted) throw error;
    say('Stopped before the end; everything was ended, and what was measured is stored.');
    // Whatever the broken-off case still waits for.
    process.exit(STOPPED);
  }
}

function show(file: string, { compare: other }: BenchOptions): number {
  const result = readResult(file);
  const before = other === undefined ? undefined : readResult(resolve(other));
  refuseUnlessComparable(result.cases, before);
  print(resultText(result));
  return compare(result.cases, before) ? 1 : 0;
}

/** @throws SluiceError USAGE_INVALID, before anything is measured */
function refuseUnlessComparable(
  cases: readonly Pick<CaseResult, 'name' | 'rows'>[],
  before: BenchResult | undefined,
): void {
  const reasons = before === undefined ? [] : whyNotComparable(cases, before);
  if (reasons.length > 0) {
    throw new SluiceError('USAGE_INVALID', `That result cannot be compared with. ${reasons.join(' ')}`);
  }
}

/** @returns whether a ratio got worse */
function compare(cases: readonly CaseResult[], before: BenchResult | undefined): boolean {
  if (before === undefined) return false;
  const compared = compareRatios(cases, before);
  print(`\ncompared with ${before.at}, commit ${before.commit.slice(0, 7)}\n${comparisonText(compared)}`);
  return compared.some(({ isWorse }) => isWorse);
}

/** Runs with other rows than the cases' own say nothing about the targets: Git ignores where they go. */
function fileOf({ out, rows }: BenchOptions, at: string): string {
  if (out !== undefined) return resolve(out);
  return rows === undefined ? join(RESULTS, fileNameOf(at)) : join(RESULTS, 'local', fileNameOf(at));
}

async function writeReadme(): Promise<number> {
  const rows = CASES.find(({ name }) => name === README_CASE)?.defaultRows ?? NaN;
  writeFileSync(join(ROOT, 'README.md'), await readmeWithFigures(ROOT, rows));
  return print('README.md has the figures of the newest stored result.\n');
}

function printProfiles(profiling: Profiling | undefined): void {
  for (const { name, file } of profiling?.files ?? []) {
    print(`\n${selfTimeText(name, selfTimesOf(readProfile(file), ROOT))}${relative(process.cwd(), file)}\n`);
  }
}

function listText(): string {
  const width = Math.max(...CASES.map(({ name }) => name.length));
  const line = ({ name, defaultRows, about }: (typeof CASES)[number]): string =>
    `${name.padEnd(width)}  ${defaultRows.toLocaleString('en-US').padStart(9)} rows  ${about}\n`;
  return CASES.map(line).join('');
}

function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.abort(new RangeError(`stopped by ${signal}`));
    });
  }
  return stop.signal;
}

function print(text: string): 0 {
  process.stdout.write(text);
  return 0;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
