import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { deadLetterText } from '../../render/dead-letter-text.js';
import { successJson } from '../../render/envelope.js';
import { type CliContext, paintOf, write } from '../context.js';
import { shortId } from '../job-id.js';
import type { ActionOptions } from './action-options.js';
import { ID_FORMS, letterKey } from './choose.js';

/** `dead-letters show`: one dead letter, whole. */
export async function show(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const [id, another] = ids;
  if (id === undefined || another !== undefined)
    throw new SluiceError('USAGE_INVALID', `\`dead-letters show\` needs one id. ${ID_FORMS}`);
  const { job, record } = await letterKey(context, client, id, options.dataset);
  const letter = await client.deadLetter(job, record);
  if (options.json === true) {
    await write(context.stdout, successJson(letter));
    return 'success';
  }
  const { state = 'open', reason, group, predecessor, successor } = letter;
  const because = reason === null || reason === undefined ? '' : `: ${plainText(reason)}`;
  const facts = [
    `state     ${state}${because}\n`,
    group === null || group === undefined ? '' : `group     ${shortId(group)}\n`,
    predecessor === null || predecessor === undefined ? '' : `before    ${predecessor}\n`,
    successor === null || successor === undefined ? '' : `after     ${successor}\n`,
  ].map((line) => (line === '' ? '' : `  ${line}`));
  const columns = letter.columns.length === 0 ? '' : `  columns   ${plainText(letter.columns.join(', '))}\n`;
  const record_ = `\n${plainText(letter.text)}\n`;
  await write(
    context.stdout,
    deadLetterText({ ...letter, text: '' }, paintOf(context)).replace(/ *\n$/, '') +
      facts.join('') +
      columns +
      record_,
  );
  return 'success';
}
