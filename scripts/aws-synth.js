/**
 * `npm run aws:synth`: checks the types of deploy/aws, synthesizes its stack, compares it with the committed files and runs the
 * CDK's assertions.
 * `-- --write` writes the committed files first. It is no part of `npm test`, which checks the committed files alone
 * (test/operations/cloudwatch.spec.ts): the CDK has 300 MB and takes its time to load.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, ROOT, runScript } from './refusal.js';

const FOLDER = join(ROOT, 'deploy', 'aws');

await runScript(async () => {
  if (!existsSync(join(FOLDER, 'node_modules')))
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  if (process.argv.includes('--write')) run(process.execPath, ['write.js']);
  run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['--project', 'tsconfig.json']);
  run(process.execPath, ['--test', 'stack.test.js']);
});

function run(command, args) {
  const { error, status } = spawnSync(command, args, { cwd: FOLDER, stdio: 'inherit' });
  if (error !== undefined) throw new Refusal(`${command} cannot be run: ${error.message}.`);
  if (status !== 0) throw new Refusal(`${command} ${args.join(' ')} ended with code ${status}.`);
}
