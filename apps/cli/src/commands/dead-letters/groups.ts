import type { DeadLetterGroupView, DeadLetterState } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { counted, formatCount } from '../../render/format.js';
import { PROGRAM } from '../../render/program-name.js';
import { renderTable, type TableColumn } from '../../render/table.js';
import { type CliContext, widthOf, write } from '../context.js';
import { shortId } from '../job-id.js';
import type { ActionOptions } from './action-options.js';

const SHOWN_GROUPS = 20;

/** `dead-letters groups`: refused records by reason and look of the value, the largest group first. */
export async function groups(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  if (ids.length > 0)
    throw new SluiceError(
      'USAGE_INVALID',
      '`dead-letters groups` takes no ids; narrow it by --dataset or --code.',
    );
  const { dataset, code, state = 'open', limit = SHOWN_GROUPS, json } = options;
  const found: DeadLetterGroupView[] = [];
  let isMore = false;
  for await (const group of client.deadLetterGroups({ dataset, code, state })) {
    isMore = found.length === limit;
    if (isMore) break;
    found.push(group);
  }
  const ungrouped = await client.ungroupedDeadLetters();
  if (json === true) {
    await write(context.stdout, successJson({ groups: found, more: isMore, ungrouped }));
    return 'success';
  }
  const table = renderTable(found, groupColumns(state), widthOf(context.stdout));
  const parts = [
    found.length === 0 ? `No refused records are ${state}.\n` : table,
    isMore ? '… and more. See them by --limit\n' : '',
    ungrouped === 0 ? '' : `${counted(ungrouped, 'dead letter')} of an older build have no group yet.\n`,
    found.length === 0
      ? ''
      : `See the records of one: ${PROGRAM} dead-letters --group ${shortId(found[0]?.id ?? '')}\n`,
  ];
  await write(context.stdout, parts.join(''));
  return 'success';
}

function groupColumns(state: DeadLetterState): readonly TableColumn<DeadLetterGroupView>[] {
  const key = state === 'refused-again' ? 'refusedAgain' : state;
  return [
    { title: 'group', value: ({ id }) => shortId(id) },
    { title: state, value: ({ counts }) => formatCount(counts[key]), align: 'right' },
    { title: 'dataset', value: ({ dataset }) => plainText(dataset), leaveOut: 2 },
    { title: 'code', value: ({ code }) => plainText(code) },
    { title: 'example', value: ({ example }) => shortLetterId(example), leaveOut: 1 },
    { title: 'field', value: ({ field }) => plainText(field ?? '–'), shortenTo: 12 },
    { title: 'value looks like', value: ({ shape }) => plainText(shape), shortenTo: 12 },
  ];
}

function shortLetterId(id: string | null): string {
  const [job = '', record = ''] = id?.split(':') ?? [];
  return id === null ? '–' : `${shortId(job)}:${record}`;
}
