/** Runs Jest with the flag that native ES modules need (jestjs.io/docs/ecmascript-modules). */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Node's arguments, before Jest's own. */
export const JEST = [
  '--experimental-vm-modules',
  '--no-warnings=ExperimentalWarning',
  createRequire(import.meta.url).resolve('jest/bin/jest'),
];

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const result = spawnSync(process.execPath, [...JEST, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = result.status ?? 1;
}
