/**
 * Prometheus' own programs, from Debian's packages, which are unpacked without being installed.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { checkoutFolder } from '#local/folders.js';
import { fetched, orLeftOut, runFetch } from '../support/fetched-program.js';

const FOLDER = join(checkoutFolder(), '.sluice', 'test-tools');

/** @returns the path of promtool; null: left out */
export function promtool(): Promise<string | null> {
  return orLeftOut('promtool', () => packaged('prometheus', 'usr/bin/promtool'));
}

/** @returns the path of the server; null: left out */
export function prometheusProgram(): Promise<string | null> {
  return orLeftOut('Prometheus', () => packaged('prometheus', 'usr/bin/prometheus'));
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
    const placed = '/usr/share/prometheus/alertmanager';
    const original = await packaged('prometheus-alertmanager', 'usr/bin/prometheus-alertmanager');
    const program = `${original}-relative`;
    if (!existsSync(program)) {
      const code = readFileSync(original, 'latin1');
      if (!code.includes(placed)) throw new Error(`it does not name ${placed}`);
      const relative = `.${'templates'.padStart(placed.length - 1, '/')}`;
      const partial = `${program}.partial-${randomUUID()}`;
      writeFileSync(partial, code.replaceAll(placed, relative), { encoding: 'latin1', mode: 0o755 });
      await rename(partial, program);
    }
    return { program, templates: await packaged('prometheus-alertmanager', placed.slice(1)) };
  });
}

/** @returns the path of a file or folder of the package */
async function packaged(name: string, path: string): Promise<string> {
  const folder = await fetched(join(FOLDER, name), async (partial) => {
    await runFetch('apt-get', ['download', name], { cwd: partial });
    const [file = ''] = readdirSync(partial).filter((found) => found.endsWith('.deb'));
    await runFetch('dpkg', ['-x', file, 'root'], { cwd: partial });
    return join(partial, 'root');
  });
  return join(folder, path);
}
