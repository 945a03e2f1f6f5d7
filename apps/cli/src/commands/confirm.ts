import { SluiceError } from '#common/errors/sluice-error.js';
import { ask } from '../render/prompt.js';
import type { CliContext } from './context.js';

/**
 * Asks before something cannot be taken back; only "yes" continues.
 * @param texts what would happen, and what to say without a terminal
 * @throws SluiceError QUESTION_DECLINED; USAGE_INVALID without a terminal
 */
export async function confirm(
  context: CliContext,
  texts: { readonly question: string; readonly withoutTerminal: string },
  signal: AbortSignal,
): Promise<void> {
  if (context.stdin.isTTY !== true) throw new SluiceError('USAGE_INVALID', texts.withoutTerminal);
  const question = `${texts.question}Type "yes" to continue: `;
  const answer = await ask(question, { input: context.stdin, output: context.stderr }, signal);
  if (answer !== 'yes') throw new SluiceError('QUESTION_DECLINED', 'Cancelled: the answer was not "yes".');
}
