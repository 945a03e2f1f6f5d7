/**
 * Which test files a change touches, for `npm test -- --changed`. Jest follows imports; what a test reads, or starts as a
 * process, it does not see, so that is listed here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { JEST } from './jest.js';
import { ROOT } from './refusal.js';

/** What is changed → the test files, by their path, that read or start it. */
const READ_BY = [
  [/\.md$|^docker-compose\.yml$|^Dockerfile$/, /^test\/docs\//],
  [/^(k8s|alerts)\/|^docker-compose\.yml$|^docs\/(kubernetes|operations)\.md$/, /^test\/kubernetes\//],
  [/^deploy\/aws\//, /^test\/operations\/cloudwatch/],
  [/^(alerts|dashboards)\/|^docs\/runbooks\.md$/, /^(dashboards|test\/operations)\//],
  [/^package(-lock)?\.json$|^(jest|eslint)\.config\.js$|^tsconfig.*\.json$/, /./],
  [/^scripts\//, /^test\/(scripts|docs)\//],
  [/^scripts\/(build|setup|refusal)\.js$/, /\.e2e-spec\.ts$/],
  [/^scripts\/bench\.js$|^bench\//, /bench[^/]*spec\.ts$/],
  [/^test\/support\/.*\.js$/, /\.(medium|e2e)-spec\.ts$/],
  [/^test\/fixtures\/old-databases\//, /^test\/upgrade\//],
  [/^(libs\/datasets\/src|test\/fixtures\/datasets)\/[^/]+\//, /^libs\/datasets\/src\/|^test\/parity\//],
  [/^libs\/core\/src\/schema\/migrations\//, /^test\/upgrade\/|schema-drift|\/migrate\.medium/],
  // Whole services run in these; no import leads to what they run.
  [/^(apps|libs)\/.*(?<!spec)\.ts$/, /\.e2e-spec\.ts$/],
];

/** Paths from the top folder that differ from the last commit; without any, those of the last commit. */
export function changedFiles() {
  const status = git('status', '--porcelain', '--untracked-files=all', '-z');
  if (status === '') return lines(git('diff', '--name-only', '-z', 'HEAD~1', 'HEAD'));
  const entries = lines(status);
  // A rename is two entries, of which the second is the old path alone.
  return entries.map((entry) => (/^[ MADRCU?!]{2} /.test(entry) ? entry.slice(3) : entry));
}

/**
 * @param project one of jest.config.js
 * @returns paths of the test files of the project that the changed files touch
 */
export function testsOf(project, changed) {
  const byReading = readersOf(changed, listTests(project));
  const sources = changed.filter((path) => /\.[jt]s$/.test(path) && existsSync(join(ROOT, path)));
  const byImport = sources.length === 0 ? [] : listTests(project, ['--findRelatedTests', ...sources]);
  return [...new Set([...byImport, ...byReading])].sort();
}

/** Those of the tests that read one of the changed files, or start it as a process. */
export function readersOf(changed, tests) {
  return tests.filter((test) =>
    READ_BY.some(([file, reader]) => reader.test(test) && changed.some((path) => file.test(path))),
  );
}

function listTests(project, more = []) {
  const args = [...JEST, '--selectProjects', project, '--listTests', '--json', '--passWithNoTests', ...more];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`Jest could not list its tests:\n${stderr}`);
  // Before the list stands which projects are run.
  const paths = JSON.parse(stdout.slice(stdout.indexOf('[')));
  return paths.map((path) => resolve(path).slice(ROOT.length + 1));
}

function git(...args) {
  const { stdout, stderr, status } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`);
  return stdout;
}

function lines(text) {
  return text.split('\0').filter((line) => line !== '');
}
