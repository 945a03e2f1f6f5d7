import { PROGRAM } from '../../render/program-name.js';
import { type CliContext, paintOf, write } from '../context.js';

/** Prints a command as a person would type it, before the demo does the same. */
export async function typed(context: CliContext, ...words: readonly string[]): Promise<void> {
  await write(
    context.stdout,
    `\n${paintOf(context)('bold', `$ ${PROGRAM} ${words.map(quoted).join(' ')}`)}\n`,
  );
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
