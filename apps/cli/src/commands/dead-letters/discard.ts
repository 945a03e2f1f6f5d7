import type { DeadLettersDiscarded, DiscardDeadLetters } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { counted } from '../../render/format.js';
import { confirm } from '../confirm.js';
import { type CliContext, interruptible, write } from '../context.js';
import type { ActionOptions } from './action-options.js';
import { userName } from '#common/access/user-name.js';
import { chosenBy } from './choose.js';

/** `dead-letters discard`: gives records up, with a reason. */
export async function discard(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const { reason, dryRun = false } = options;
  if (reason === undefined)
    throw new SluiceError(
      'USAGE_INVALID',
      '`dead-letters discard` needs --reason: why nothing is lost by it.',
    );
  const chosen = await chosenBy(context, client, ids, options);
  const request = { ...chosen, reason, by: userName() };
  const answer = dryRun
    ? await client.discardDeadLetters({ ...request, dryRun })
    : await confirmed(context, client, request, options);
  await write(context.stdout, options.json === true ? successJson(answer) : discardedText(answer));
  return 'success';
}

/** Named one by one they are meant; of a group or a filter the number is shown first. */
async function confirmed(
  context: CliContext,
  client: SluiceClient,
  request: DiscardDeadLetters,
  { yes = false }: ActionOptions,
): Promise<DeadLettersDiscarded> {
  if (!yes && request.ids === undefined) {
    const { discarded } = await client.discardDeadLetters({ ...request, dryRun: true });
    const what = `${counted(discarded, 'refused record')} would be discarded`;
    await interruptible(context, (signal) =>
      confirm(
        context,
        {
          question: `${what}: they are kept, and never loaded. `,
          withoutTerminal: `${what}; confirm with --yes, or look with --dry-run.`,
        },
        signal,
      ),
    );
  }
  return client.discardDeadLetters(request);
}

function discardedText({ dryRun, discarded, decided, unknown }: DeadLettersDiscarded): string {
  const done = dryRun ? 'would be discarded' : discarded === 1 ? 'is discarded' : 'are discarded';
  return [
    `${counted(discarded, 'refused record')} ${done}.\n`,
    decided === 0 ? '' : `${counted(decided, 'refused record')} had been decided about before.\n`,
    ...unknown.map((id) => `No dead letter has the id ${id}.\n`),
  ].join('');
}
