import type { FieldReplace, FieldSet, FixDeadLetters } from '#api/dead-letter-edits.js';
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
import { editedText } from './edited-text.js';

/** `dead-letters fix`: corrects fields of refused records by a rule. */
export async function fix(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const { set = [], replace = [], reason, dryRun = false, yes = false, json } = options;
  if (set.length + replace.length === 0)
    throw new SluiceError(
      'USAGE_INVALID',
      '`dead-letters fix` needs --set field=value or --replace field=/pattern/replacement/.',
    );
  const request: FixDeadLetters = {
    ...(await chosenBy(context, client, ids, options)),
    ...(set.length === 0 ? {} : { set }),
    ...(replace.length === 0 ? {} : { replace }),
    ...(reason === undefined ? {} : { reason }),
    by: userName(),
  };
  if (!dryRun && !yes && request.ids === undefined) {
    const { edited, check } = await client.fixDeadLetters({ ...request, dryRun: true });
    const what = `${counted(edited, 'refused record')} would be corrected, and ${check.passing} of them would pass`;
    await interruptible(context, (signal) =>
      confirm(
        context,
        {
          question: `${what}: the records as they came are kept. `,
          withoutTerminal: `${what}; confirm with --yes, or look with --dry-run.`,
        },
        signal,
      ),
    );
  }
  const answer = await client.fixDeadLetters({ ...request, dryRun });
  await write(context.stdout, json === true ? successJson(answer) : editedText(answer));
  return 'success';
}

/** `field=value`; the value may be empty. @throws SluiceError USAGE_INVALID */
export function parseSet(given: string): FieldSet {
  const at = given.indexOf('=');
  if (at < 1) throw new SluiceError('USAGE_INVALID', `--set "${given}" is not of the form field=value.`);
  return { field: given.slice(0, at), value: given.slice(at + 1) };
}

/** `field=/pattern/replacement/flags`; a slash inside stands behind a backslash. @throws SluiceError USAGE_INVALID */
export function parseReplace(given: string): FieldReplace {
  const match = /^([^=]+)=\/((?:[^\\/]|\\.)*)\/((?:[^\\/]|\\.)*)\/([a-z]*)$/su.exec(given);
  if (match === null)
    throw new SluiceError(
      'USAGE_INVALID',
      `--replace "${given}" is not of the form field=/pattern/replacement/, with flags of g, i, m and s behind it.`,
    );
  const [, field = '', pattern = '', replacement = '', flags = ''] = match;
  // In a pattern with the flag u an escaped slash is a slash; in a replacement a backslash means nothing.
  return {
    ...{ field, pattern, replacement: replacement.replaceAll('\\/', '/') },
    ...(flags === '' ? {} : { flags }),
  };
}
