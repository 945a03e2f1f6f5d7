import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { type CliContext, write } from '../context.js';
import type { ActionOptions } from './action-options.js';
import { chosenBy } from './choose.js';
import { checkText } from './edited-text.js';

/** `dead-letters check`: what would become of open refused records, corrections included, if they were sent again now. */
export async function check(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const answer = await client.checkDeadLetters(await chosenBy(context, client, ids, options));
  const text = [
    checkText(answer.check),
    ...answer.decided.map((id) => `${id} was decided about before.\n`),
    ...answer.unknown.map((id) => `No dead letter has the id ${id}.\n`),
  ].join('');
  await write(context.stdout, options.json === true ? successJson(answer) : text);
  return 'success';
}
