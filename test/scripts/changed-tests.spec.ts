import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from '@jest/globals';

/** What `npm test -- --changed` runs for files that no import leads to. */
const ROOT = resolve(import.meta.dirname, '../..');
const TESTS = [
  'apps/cli/src/commands/run.spec.ts',
  'libs/core/src/schema/schema-drift.medium-spec.ts',
  'libs/datasets/src/conformance.spec.ts',
  'test/docs/links.spec.ts',
  'test/e2e/bench.e2e-spec.ts',
  'test/e2e/resume.e2e-spec.ts',
  'test/scripts/build.spec.ts',
  'test/upgrade/old-database.medium-spec.ts',
];

function readersOf(changed: string): string[] {
  const script = `import('./scripts/changed-tests.js').then(({ readersOf }) =>
    console.log(JSON.stringify(readersOf(${JSON.stringify([changed])}, ${JSON.stringify(TESTS)}))))`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: ROOT, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as string[];
}

it.each<[changed: string, tests: readonly string[]]>([
  ['docs/operations.md', ['test/docs/links.spec.ts']],
  ['README.md', ['test/docs/links.spec.ts']],
  ['scripts/write-docs.js', ['test/docs/links.spec.ts', 'test/scripts/build.spec.ts']],
  [
    'scripts/setup.js',
    [
      ...['test/docs/links.spec.ts', 'test/e2e/bench.e2e-spec.ts', 'test/e2e/resume.e2e-spec.ts'],
      'test/scripts/build.spec.ts',
    ],
  ],
  ['libs/datasets/src/tax-registration/fixtures/input.csv', ['libs/datasets/src/conformance.spec.ts']],
  ['test/fixtures/old-databases/ab34a7e.sql', ['test/upgrade/old-database.medium-spec.ts']],
  ['bench/baselines/sql/upsert.sql', ['test/e2e/bench.e2e-spec.ts']],
  ['apps/loader/src/main.ts', ['test/e2e/bench.e2e-spec.ts', 'test/e2e/resume.e2e-spec.ts']],
  ['apps/loader/src/finalize/swap.medium-spec.ts', []],
  ['package.json', TESTS],
])('%s touches the tests that read or start it', (changed, tests) => {
  expect(readersOf(changed)).toEqual(tests);
});
