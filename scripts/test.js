/**
 * `npm test`: every check and every test, on a Kafka and a PostgreSQL that it starts and ends itself.
 *
 *   npm test                      all parts
 *   npm test -- unit lint         some parts
 *   npm test -- e2e --match load  those of a part's files whose path matches
 *   npm test -- --changed         tests of what differs from the last commit, or else of the last commit
 *   npm test -- --shuffle 7       files in an order that the seed chooses, and so are the tests within unit and medium files
 *
 * The last line is `N passed, N failed`; the exit code is 0 only without failures.
 * Servers and tests end with this process, however it ends (test/support/end-with-parent.js).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Refusal, ROOT, runScript } from './refusal.js';
import { say, setup } from './setup.js';
import { run, startServers, stop, tellGuard } from './test-servers.js';

const bin = (path) => join(ROOT, 'node_modules', path);
/** Both make millions of small objects: with V8's own 16 MB, collecting them takes a tenth of their processor time. */
const LARGE_NURSERY = '--max-semi-space-size=64';
const CHECKS = {
  format: [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  lint: [LARGE_NURSERY, bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0'],
  types: [LARGE_NURSERY, bin('typescript/bin/tsc'), '--noEmit'],
};
/** Jest itself leaves one core free. */
const CORES = Math.max(2, availableParallelism());
/** Whole systems at once. Each holds 1.2 GB, and what runs beside them 3 GB. */
const SYSTEMS = totalmem() < 10 * 1024 ** 3 ? 2 : 3;
/** Of each part, Jest's projects. */
const PROJECTS = { unit: ['unit'], medium: ['medium'], e2e: ['e2e', 'e2e-alone'] };
/**
 * Heap that a Jest worker may hold between two files; beyond it, another process takes its place. Jest frees little of what a file
 * has loaded, and to collect two gigabytes again and again took a third of the unit tests' processor time.
 */
const WORKER_HEAP = '500MB';
/** How many of a part's longest files the report names. */
const LONGEST_NAMED = 4;
const PARTS = [...Object.keys(CHECKS), ...Object.keys(PROJECTS)];
const NEEDS_SERVERS = ['medium', 'e2e'];
const NOTHING = { passed: 0, failed: 0, skipped: 0, files: [] };

await runScript(async () => {
  const options = readArguments();
  const { parts } = options;
  await setup({ kafka: parts.some((part) => NEEDS_SERVERS.includes(part)) });
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  tellGuard({ remove: folder });
  const servers = [];
  const results = new Map(parts.map((part) => [part, { ...NOTHING, seconds: 0 }]));
  const measured = async (part, work) => {
    if (stop.signal.aborted) return;
    const startedAt = Date.now();
    say(part);
    const result = results.get(part);
    const { passed, failed, skipped = 0, files = [] } = await work();
    result.passed += passed;
    result.failed += failed;
    result.skipped += skipped;
    result.files = [...result.files, ...files];
    result.seconds += (Date.now() - startedAt) / 1000;
  };
  const check = (part) => measured(part, () => runCheck(CHECKS[part]));
  const jest = (part, project, workers) => measured(part, () => runJest(project, workers, folder, options));
  const checks = parts.filter((part) => part in CHECKS);
  const hasSystems = parts.includes('e2e');
  try {
    const hasManyBrokers = hasSystems && options.match === undefined && !options.changed;
    const started = parts.some((part) => NEEDS_SERVERS.includes(part))
      ? startServers(servers, hasManyBrokers ? join(folder, 'kafka-classes.jsa') : undefined)
      : undefined;
    started?.catch(() => stop.abort());
    // Whole systems wait more than they work (for Kafka's sessions, leases, servers that start): the rest runs beside them.
    const lanes = await Promise.allSettled([
      started?.then(() => hasSystems && jest('e2e', 'e2e', SYSTEMS)),
      (async () => {
        if (!hasSystems) await Promise.all(checks.map(check));
        else for (const part of checks) await check(part);
        if (parts.includes('unit')) await jest('unit', 'unit', hasSystems ? CORES - 1 : CORES);
        if (!parts.includes('medium')) return;
        await started;
        // They wait for brokers a third of their time.
        await jest('medium', 'medium', Math.min(4, CORES + 1));
      })(),
    ]);
    for (const { reason } of lanes) if (reason !== undefined) throw reason;
    // Measures memory.
    if (hasSystems) await jest('e2e', 'e2e-alone', 1);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
  failWhatIsSilent(results, options);
  report(results);
});

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        match: { type: 'string' },
        changed: { type: 'boolean', default: false },
        shuffle: { type: 'string' },
      },
    });
    const unknown = positionals.filter((part) => !PARTS.includes(part));
    if (unknown.length > 0) throw new TypeError(`There is no part ${unknown.join(', ')}`);
    if (values.shuffle !== undefined && !/^\d{1,9}$/.test(values.shuffle))
      throw new TypeError(`--shuffle takes a seed of at most nine digits, not ${values.shuffle}`);
    const parts = positionals.length === 0 ? PARTS : PARTS.filter((part) => positionals.includes(part));
    return { ...values, parts };
  } catch (error) {
    throw new Refusal(
      `${error.message}. Usage: npm test -- [${PARTS.join('|')} …] [--match PATTERN] [--changed] [--shuffle SEED]`,
    );
  }
}

/** A check counts as one. */
async function runCheck(args) {
  return (await run(args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** A part in which nothing could fail has failed, unless nothing has changed. */
function failWhatIsSilent(results, { changed }) {
  if (changed || stop.signal.aborted) return;
  for (const result of results.values()) if (result.passed + result.failed === 0) result.failed = 1;
}

async function runJest(project, workers, folder, { match, changed, shuffle }) {
  const { JEST } = await import('./jest.js');
  const outputFile = join(folder, `${project}.json`);
  const hasFewFiles = PROJECTS.e2e.includes(project);
  const selection = changed ? await changedSelection(project, match) : match ? ['--', match] : [];
  if (selection === null) return NOTHING;
  const args = [
    ...[...JEST, '--selectProjects', project, '--json', `--outputFile=${outputFile}`],
    ...[`--maxWorkers=${workers}`, '--passWithNoTests'],
    ...(hasFewFiles ? [] : [`--workerIdleMemoryLimit=${WORKER_HEAP}`]),
    // A file of whole systems is one story, whose tests build on each other.
    ...(shuffle === undefined || hasFewFiles ? [] : ['--randomize', `--seed=${shuffle}`]),
    ...selection,
  ];
  const env = shuffle === undefined ? {} : { SLUICE_TEST_SEED: shuffle };
  // With --json Jest prints the same JSON to standard output; what people read goes to standard error.
  const code = await run(args, { stdout: 'ignore', lastFile: outputFile, env });
  let result;
  try {
    result = JSON.parse(readFileSync(outputFile, 'utf8'));
  } catch {
    return { ...NOTHING, failed: 1 };
  }
  // A file that could not even be read has no failed test in it.
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return {
    passed: result.numPassedTests,
    failed: code !== 0 && failed === 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
    files: result.testResults.map(({ name, startTime, endTime }) => ({
      file: relative(ROOT, name),
      seconds: (endTime - startTime) / 1000,
    })),
  };
}

/** @returns Jest's arguments; null when nothing of the project is touched */
async function changedSelection(project, match) {
  const { changedFiles, testsOf } = await import('./changed-tests.js');
  const pattern = new RegExp(match ?? '');
  const tests = testsOf(project, changedFiles()).filter((path) => pattern.test(path));
  return tests.length === 0 ? null : ['--runTestsByPath', ...tests];
}

function report(results) {
  process.stdout.write('\n');
  for (const [part, { passed, failed, skipped, seconds, files }] of results) {
    const mark = failed === 0 ? 'ok  ' : 'FAIL';
    const more = skipped ? `, ${skipped} skipped` : '';
    process.stdout.write(
      `${mark} ${part.padEnd(6)} ${passed} passed, ${failed} failed${more} (${seconds.toFixed(1)} s)\n`,
    );
    const longest = files.sort((a, b) => b.seconds - a.seconds).slice(0, LONGEST_NAMED);
    const texts = longest.map((each) => `${each.file} ${each.seconds.toFixed(0)} s`);
    if (texts.length > 0) process.stdout.write(`            longest: ${texts.join(', ')}\n`);
  }
  const sum = (key) => [...results.values()].reduce((total, result) => total + result[key], 0);
  const wasStopped = stop.signal.aborted;
  if (wasStopped) process.stdout.write('Stopped before the end.\n');
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  process.exitCode = sum('failed') > 0 || wasStopped ? 1 : 0;
}
