/** Every program as it is started, and nothing else: what its settings do to it before it does anything. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { childEnvironment, listVariables } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';
import { settingsClassesOf } from '../support/docs/settings-classes.js';

const DIST = join(checkoutFolder(), 'dist', 'apps');

async function variablesOf(app: string): Promise<string[]> {
  const classes = await settingsClassesOf(app);
  return classes.flatMap((settings) => listVariables(settings).map(({ variable }) => variable));
}

describe('entry points', () => {
  it.each(['ingestor', 'validator', 'loader', 'tracker'])(
    '%s ends with exit code 78, naming every variable that is wrong',
    async (app) => {
      const variables = await variablesOf(app);
      const wrong = Object.fromEntries(variables.map((name) => [`${name}_FILE`, '/no/such/file']));
      const { code, stdout } = await runToEnd(process.execPath, [join(DIST, app, 'src', 'main.js')], {
        env: childEnvironment(wrong),
      });
      expect(code).toBe(78);
      expect(variables.filter((name) => !stdout.includes(`${name}_FILE`))).toEqual([]);
      expect(stdout.trim().split('\n')).toHaveLength(1);
    },
  );

  it('a program that is not ours to begin with reads every settings class, whichever it imports first', async () => {
    // As chaos and bench do: `Reflect.getMetadata` was there only for those that had imported Nest before.
    const java = pathToFileURL(join(DIST, '..', 'libs/local/src/kafka/java.js')).href;
    const script = `const { findJava } = await import(${JSON.stringify(java)}); process.stdout.write((await findJava()).command)`;
    const { code, stderr } = await runToEnd(process.execPath, ['--input-type=module', '-e', script], {
      env: childEnvironment({
        SLUICE_LOCAL_FOLDER: '/some/folder',
        SLUICE_VALIDATORS: '2',
        SLUICE_READY_TIMEOUT_MS: '5000',
      }),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('a process whose log cannot be written continues', async () => {
    // Standard output is a file that was opened for reading: every write fails, as on a full disk.
    const logger = pathToFileURL(join(checkoutFolder(), 'dist/libs/common/src/telemetry/logger.js')).href;
    const script = `
      const { createLogger } = await import(${JSON.stringify(logger)});
      const logger = createLogger('loader', 'info');
      for (let line = 0; line < 5000; line++) logger.error('cannot be written');
      process.emitWarning('neither can this');
      setTimeout(() => process.exit(7), 100);`;
    const readOnly = openSync(join(checkoutFolder(), 'package.json'), 'r');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', readOnly, readOnly],
    });
    const [code] = (await once(child, 'exit')) as [number];
    closeSync(readOnly);
    expect(code).toBe(7);
  });

  it.each([
    ['chaos', ['--plan', '--rounds', '1']],
    ['bench', ['--list']],
    ['sluice', ['env', '--settings']],
    ['demo', ['--help']],
  ])('scripts/%s.js starts under every documented variable', async (script, args) => {
    const { code, stderr } = await runToEnd(
      process.execPath,
      [join(checkoutFolder(), 'scripts', `${script}.js`), ...args],
      { env: childEnvironment({ ...DOCUMENTED, KAFKA_BROKERS: '127.0.0.1:9092' }) },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

const DOCUMENTED = {
  DATABASE_URL: 'postgres://user@127.0.0.1:5432/sluice',
  NO_COLOR: '1',
  SLUICE_INGESTOR_URL: 'http://127.0.0.1:3001',
  SLUICE_LOCAL_FOLDER: '/some/folder',
  SLUICE_LOG_LEVEL: 'warn',
  SLUICE_MAINTENANCE_WORK_MEM: '128MB',
  SLUICE_SWEEP_INTERVAL_MS: '1000',
  SLUICE_TRACKER_URL: 'http://127.0.0.1:3004',
  SLUICE_VALIDATORS: '2',
};
