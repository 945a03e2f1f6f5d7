/**
 * Programs of others for tests: fetched once, into a folder that all tests of a checkout share.
 *
 * Where one cannot be fetched, the tests that need it are left out with one line; in CI that is an error.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { runToEnd } from '#local/start-process.js';

/** A registry that does not answer for so long is as good as none. */
const FETCH_TIMEOUT_MS = 240_000;

/**
 * @param folder where the program is, or will be. Other workers may fetch the same at the same time: the first one that is done counts.
 * @param fetch writes it into the folder that it is given, and returns the one of it that counts; nothing: all of it
 */
export async function fetched(
  folder: string,
  fetch: (partial: string) => Promise<string | undefined>,
): Promise<string> {
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial-${randomUUID()}`;
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(partial);
  try {
    await rename((await fetch(partial)) ?? partial, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

/** @returns null: left out */
export async function orLeftOut<T>(what: string, fetch: () => Promise<T>): Promise<T | null> {
  try {
    return await fetch();
  } catch (error) {
    const reason = `${what} cannot be fetched: ${messageOf(error)}`;
    if (process.env['CI'] === 'true') throw new SluiceError('REQUIREMENT_MISSING', reason);
    process.stderr.write(`Tests are left out: ${reason}\n`);
    return null;
  }
}

/** @returns what the command writes to standard output @throws when it fails, with the end of what it says */
export async function runFetch(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const { code, stdout, stderr } = await runToEnd(command, args, { ...options, signal });
  if (code === 0) return stdout;
  const said = `${stderr}\n${stdout}`.trim().slice(-500);
  throw new Error(`${command} ended with code ${code ?? '?'}: ${said}`);
}
