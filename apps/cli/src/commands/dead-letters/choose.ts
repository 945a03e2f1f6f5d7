import type { DeadLetterFilter, DeadLetterGroupView, DeadLetterSelection } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../../client.js';
import { PROGRAM } from '../../render/program-name.js';
import type { CliContext } from '../context.js';
import { jobId } from '../job-id.js';
import type { ActionOptions } from './action-options.js';

/** How a command line names dead letters. */
const LEAST_CHARACTERS = 4;

/** @throws SluiceError USAGE_INVALID unless exactly one way of choosing is taken */
export async function chosenBy(
  context: CliContext,
  client: SluiceClient,
  given: readonly string[],
  { job, code, dataset, group, state }: ActionOptions,
): Promise<DeadLetterSelection> {
  if (state !== undefined && state !== 'open')
    throw new SluiceError('USAGE_INVALID', 'Only open dead letters can be worked on; leave --state out.');
  const hasFilter = job !== undefined || code !== undefined || (dataset !== undefined && group === undefined);
  const isById = given.length > 0;
  if (
    [isById, group !== undefined, hasFilter && !isById].filter(Boolean).length !== 1 ||
    (isById && (job ?? code) !== undefined)
  )
    throw new SluiceError(
      'USAGE_INVALID',
      'Name the dead letters in one way: by ids, by --group, or by --job, --code and --dataset.',
    );
  if (isById) {
    const ids: string[] = [];
    for (const id of given) {
      const key = await letterKey(context, client, id, dataset);
      ids.push(`${key.job}:${key.record}`);
    }
    return { ids };
  }
  if (group !== undefined) return { group: await groupId(client, group) };
  const filter: DeadLetterFilter = {
    ...(dataset === undefined ? {} : { dataset }),
    ...(code === undefined ? {} : { code }),
    ...(job === undefined ? {} : { job: await jobId(context, client, { given: job, dataset }) }),
  };
  return { filter };
}

export const ID_FORMS =
  'It is <job>:<record>, as lists show it; of the job four characters of its id will do.';

/** @throws SluiceError USAGE_INVALID; JOB_UNKNOWN */
export async function letterKey(
  context: CliContext,
  client: SluiceClient,
  id: string,
  dataset: string | undefined,
): Promise<{ readonly job: string; readonly record: number }> {
  const [, given, record] = /^([0-9a-f-]+|last):(\d{1,15})$/i.exec(id) ?? [];
  if (given === undefined)
    throw new SluiceError('USAGE_INVALID', `"${plainText(id)}" is no id of a dead letter. ${ID_FORMS}`);
  return { job: await jobId(context, client, { given, dataset }), record: Number(record) };
}

/**
 * The whole id of a group: a short form means one only when exactly one group has it.
 * @throws SluiceError USAGE_INVALID
 */
export async function groupId(client: SluiceClient, given: string): Promise<string> {
  const part = given.toLowerCase();
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(part)) return part;
  const found: DeadLetterGroupView[] = [];
  const isShort = /^[0-9a-f-]+$/.test(part) && part.length >= LEAST_CHARACTERS;
  if (isShort)
    for await (const group of client.deadLetterGroups({}))
      if (group.id.startsWith(part) || group.id.endsWith(part)) found.push(group);
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first.id;
  const problem =
    first === undefined
      ? `No group of dead letters has an id that begins or ends with "${plainText(given)}"; ${PROGRAM} dead-letters groups lists them.`
      : `More than one group has an id that begins or ends with ${given}:${found.map(({ id }) => `\n  ${id}`).join('')}`;
  throw new SluiceError('USAGE_INVALID', problem);
}
