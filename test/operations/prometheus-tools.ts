/**
 * Prometheus' own programs, from Debian's packages: downloaded once into a folder that all tests of a checkout share, and
 * unpacked there without being installed.
 *
 * Where they cannot be had, the tests that need them are left out with one line; in CI that is an error.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';

const FOLDER = join(checkoutFolder(), '.sluice', 'test-tools');

/** @returns the path of promtool; null: left out */
export function promtool(): Promise<string | null> {
  return orLeftOut('promtool', () => fetched('prometheus', 'usr/bin/promtool'));
}

/** @returns the path of the server; null: left out */
export function prometheusProgram(): Promise<string | null> {
  return orLeftOut('Prometheus', () => fetched('prometheus', 'usr/bin/prometheus'));
}

export interface AlertmanagerProgram {
  readonly program: string;
  /** Copy it to `templates` of the folder in which the program is started. */
  readonly templates: string;
}

/**
 * Debian's Alertmanager reads its templates at an absolute path, where only root can put them. The copy that this returns reads
 * them in `templates` of its working folder: the path in it is replaced by one of the same length, and nothing else is.
 * @returns null: left out
 */
export function alertmanagerProgram(): Promise<AlertmanagerProgram | null> {
  return orLeftOut('Alertmanager', async () => {
    const packaged = '/usr/share/prometheus/alertmanager';
    const original = await fetched('prometheus-alertmanager', 'usr/bin/prometheus-alertmanager');
    const program = `${original}-relative`;
    if (!existsSync(program)) {
      const code = readFileSync(original, 'latin1');
      if (!code.includes(packaged)) throw new Error(`it does not name ${packaged}`);
      const relative = `.${'templates'.padStart(packaged.length - 1, '/')}`;
      const partial = `${program}.partial-${randomUUID()}`;
      writeFileSync(partial, code.replaceAll(packaged, relative), { encoding: 'latin1', mode: 0o755 });
      await rename(partial, program);
    }
    return { program, templates: await fetched('prometheus-alertmanager', packaged.slice(1)) };
  });
}

async function orLeftOut<T>(what: string, fetch: () => Promise<T>): Promise<T | null> {
  try {
    return await fetch();
  } catch (error) {
    const reason = `${what} cannot be fetched: ${messageOf(error)}`;
    if (process.env['CI'] === 'true') throw new SluiceError('REQUIREMENT_MISSING', reason);
    process.stderr.write(`Tests are left out: ${reason}\n`);
    return null;
  }
}

/** @returns the path of a file or folder of the package. Other workers may fetch the same at the same time: the first one that is done counts. */
async function fetched(name: string, path: string): Promise<string> {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return join(folder, path);
  const partial = `${folder}.partial-${randomUUID()}`;
  await mkdir(partial, { recursive: true });
  try {
    await run('apt-get', ['download', name], partial);
    const [file = ''] = readdirSync(partial).filter((found) => found.endsWith('.deb'));
    await run('dpkg', ['-x', file, 'root'], partial);
    await rename(join(partial, 'root'), folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return join(folder, path);
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, stderr } = await runToEnd(command, args, { cwd, signal: AbortSignal.timeout(240_000) });
  if (code !== 0) throw new Error(`${command} ended with code ${code ?? '?'}: ${stderr.trim().slice(-500)}`);
}
