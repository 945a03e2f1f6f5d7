/**
 * Prometheus' own promtool, from the Debian package: downloaded once into a folder that all tests of a checkout share, and
 * unpacked there without being installed.
 *
 * Where it cannot be had, the tests that need it are left out with one line; in CI that is an error.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';

const FOLDER = join(checkoutFolder(), '.sluice', 'test-tools', 'prometheus');

/** @returns the path of promtool; null: left out */
export async function promtool(): Promise<string | null> {
  const program = join(FOLDER, 'usr/bin/promtool');
  try {
    if (!existsSync(program)) await fetchPackage();
    return program;
  } catch (error) {
    const reason = `promtool cannot be fetched: ${messageOf(error)}`;
    if (process.env['CI'] === 'true') throw new SluiceError('REQUIREMENT_MISSING', reason);
    process.stderr.write(`Tests are left out: ${reason}\n`);
    return null;
  }
}

/** Other workers may fetch the same at the same time: the first one that is done counts. */
async function fetchPackage(): Promise<void> {
  const partial = `${FOLDER}.partial-${randomUUID()}`;
  await mkdir(partial, { recursive: true });
  try {
    await run('apt-get', ['download', 'prometheus'], partial);
    const [file = ''] = readdirSync(partial).filter((name) => name.endsWith('.deb'));
    await run('dpkg', ['-x', file, 'root'], partial);
    await rename(join(partial, 'root'), FOLDER).catch((error: unknown) => {
      if (!existsSync(FOLDER)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, stderr } = await runToEnd(command, args, { cwd, signal: AbortSignal.timeout(240_000) });
  if (code !== 0) throw new Error(`${command} ended with code ${code ?? '?'}: ${stderr.trim().slice(-500)}`);
}
