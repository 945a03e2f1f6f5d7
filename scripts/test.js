/**
 * `npm test`: every check and every test, on a Kafka and a PostgreSQL that it starts and ends itself.
 *
 *   npm test                      all parts
 *   npm test -- unit lint         some parts
 *   npm test -- e2e --match load  those of a part's files whose path matches
 *   npm test -- --changed         tests that import a file that differs from the last commit, or else of the last commit
 *
 * The last line is `N passed, N failed`; the exit code is 0 only without failures.
 * Servers and tests end with this process, however it ends (test/support/end-with-parent.js).
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Refusal, ROOT, runScript } from './refusal.js';
import { importBuilt, say, setup } from './setup.js';

const bin = (path) => join(ROOT, 'node_modules', path);
const CHECKS = {
  format: [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  lint: [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0'],
  types: [bin('typescript/bin/tsc'), '--noEmit'],
};
/** With two cores, two whole systems side by side would only wait for each other. */
const JEST_FLAGS = { unit: [], medium: [], e2e: ['--maxWorkers=1'] };
/** What holds Jest up after its last test was left open by a test, and would hold up the run for ever: a failure. */
const LONGEST_END_MS = 60_000;
const PARTS = [...Object.keys(CHECKS), ...Object.keys(JEST_FLAGS)];
const NEEDS_SERVERS = ['medium', 'e2e'];

const guard = spawn(process.execPath, [join(ROOT, 'test', 'support', 'end-with-parent.js')], {
  detached: true,
  stdio: ['pipe', 'ignore', 'ignore'],
});
guard.unref();
guard.stdin.unref();
const tellGuard = (line) => guard.stdin.write(`${JSON.stringify(line)}\n`);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort());

await runScript(async () => {
  const { parts, match, changed } = readArguments();
  const selection = [...(changed ? changedFlags() : []), ...(match ? ['--', match] : [])];
  await setup({ kafka: parts.some((part) => NEEDS_SERVERS.includes(part)) });
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  tellGuard({ remove: folder });
  const servers = [];
  const results = [];
  try {
    for (const part of parts) {
      if (stop.signal.aborted) break;
      if (NEEDS_SERVERS.includes(part) && servers.length === 0) await startServers(servers);
      const startedAt = Date.now();
      say(part);
      const counts =
        part in CHECKS ? await runCheck(CHECKS[part]) : await runJest(part, folder, selection, changed);
      results.push({ part, ...counts, seconds: (Date.now() - startedAt) / 1000 });
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
  report(results);
});

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { match: { type: 'string' }, changed: { type: 'boolean', default: false } },
    });
    const unknown = positionals.filter((part) => !PARTS.includes(part));
    if (unknown.length > 0) throw new TypeError(`There is no part ${unknown.join(', ')}`);
    return {
      parts: positionals.length === 0 ? PARTS : PARTS.filter((part) => positionals.includes(part)),
      match: values.match,
      changed: values.changed,
    };
  } catch (error) {
    throw new Refusal(
      `${error.message}. Usage: npm test -- [${PARTS.join('|')} …] [--match PATTERN] [--changed]`,
    );
  }
}

/** By what imports what; a test that only starts built services imports none of their files, and is not found. */
function changedFlags() {
  const { stdout } = spawnSync('git', ['status', '--porcelain'], { cwd: ROOT, encoding: 'utf8' });
  return [stdout === '' ? '--lastCommit' : '--onlyChanged', '--passWithNoTests'];
}

async function startServers(servers) {
  say('starting Kafka and PostgreSQL');
  const { startPostgresServer } = await importBuilt('test/support/postgres.js');
  const { startKafkaBroker } = await importBuilt('test/support/kafka.js');
  const keep = (server) => (servers.push(server), server);
  try {
    const [postgres, kafka] = await Promise.all([
      startPostgresServer().then(keep),
      startKafkaBroker().then(keep),
    ]);
    process.env.TEST_DATABASE_URL = postgres.url;
    process.env.TEST_KAFKA_BROKERS = kafka.brokers.join(',');
  } catch (error) {
    throw error.name === 'SluiceError' ? new Refusal(error.message) : error;
  }
}

/** A check counts as one. */
async function runCheck(args) {
  return (await run(args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function runJest(part, folder, selection, mayBeNone) {
  const outputFile = join(folder, `${part}.json`);
  const flags = ['--selectProjects', part, '--json', `--outputFile=${outputFile}`, ...JEST_FLAGS[part]];
  // With --json Jest prints the same JSON to standard output; what people read goes to standard error.
  const { JEST } = await import('./jest.js');
  const args = [...JEST, ...flags, ...selection];
  const code = await run(args, 'ignore', outputFile);
  let result;
  try {
    result = JSON.parse(readFileSync(outputFile, 'utf8'));
  } catch {
    return { passed: 0, failed: 1 };
  }
  // A file that could not even be read has no failed test in it.
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  const passed = result.numPassedTests;
  const isSilent = (passed + failed === 0 && !mayBeNone) || (code !== 0 && failed === 0);
  return { passed, failed: isSilent ? 1 : failed, skipped: result.numPendingTests + result.numTodoTests };
}

/** @param lastFile when this file is there, the process has LONGEST_END_MS left */
function run(args, stdout = 'inherit', lastFile = undefined) {
  return new Promise((resolve) => {
    const env = { ...process.env, SLUICE_TEST_BUILT: '1', FORCE_COLOR: process.stderr.isTTY ? '1' : '0' };
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', stdout, 'inherit'] });
    tellGuard({ watch: child.pid, signal: 'SIGTERM' });
    const end = () => child.kill('SIGTERM');
    stop.signal.addEventListener('abort', end);
    let bound;
    const watch = setInterval(() => {
      if (lastFile === undefined || bound !== undefined || !existsSync(lastFile)) return;
      bound = setTimeout(() => {
        say('Jest does not end: a test has left something open');
        end();
      }, LONGEST_END_MS);
    }, 1_000);
    child.once('exit', (code) => {
      stop.signal.removeEventListener('abort', end);
      clearInterval(watch);
      clearTimeout(bound);
      tellGuard({ unwatch: child.pid });
      resolve(code ?? 1);
    });
  });
}

function report(results) {
  process.stdout.write('\n');
  for (const { part, passed, failed, skipped, seconds } of results) {
    const mark = failed === 0 ? 'ok  ' : 'FAIL';
    const more = skipped ? `, ${skipped} skipped` : '';
    process.stdout.write(
      `${mark} ${part.padEnd(6)} ${passed} passed, ${failed} failed${more} (${seconds.toFixed(1)} s)\n`,
    );
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const wasStopped = stop.signal.aborted;
  if (wasStopped) process.stdout.write('Stopped before the end.\n');
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  process.exitCode = sum('failed') > 0 || wasStopped ? 1 : 0;
}
