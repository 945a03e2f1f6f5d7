/** What every script here shares. Only built-in modules: these files run before anything is installed. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this checkout. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Something that the user has to change; the message is a sentence that says what. */
export class Refusal extends Error {}

/** Runs a script; what the user can fix is one sentence, everything else a stack. */
export async function runScript(main) {
  try {
    await main();
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof Refusal) process.stderr.write(`${error.message}\n`);
    else if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
      process.stderr.write(`The disk is full (${error.message}): free some gigabytes, then try again.\n`);
    } else if (error.code === 'EACCES' || error.code === 'EROFS') {
      process.stderr.write(
        `${error.message}: Sluice writes to its checkout, so run it as the user who owns that.\n`,
      );
    } else process.stderr.write(`${error.stack ?? error}\n`);
  }
}
