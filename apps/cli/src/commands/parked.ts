import type { ParkedMessageView } from '#core/job/job-view.js';
import type { Exit } from '../exit-codes.js';
import { formatTime } from '../render/format.js';
import { plainText } from '../render/plain-text.js';
import { renderTable, type TableColumn } from '../render/table.js';
import { type CliContext, connect, write } from './context.js';

/** `sluice parked`: the messages that nobody could read, newest first. */
export async function parked(
  context: CliContext,
  options: { readonly last: number; readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const found: ParkedMessageView[] = [];
  for await (const message of client.parkedMessages()) {
    if (found.push(message) === options.last) break;
  }
  const text = found.length === 0 ? 'No parked messages.\n' : renderTable(found, COLUMNS);
  await write(context.stdout, options.json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

const COLUMNS: readonly TableColumn<ParkedMessageView>[] = [
  { title: 'parked (UTC)', value: ({ parkedAt }) => formatTime(parkedAt) },
  { title: 'topic', value: ({ topic }) => plainText(topic) },
  { title: 'partition', value: ({ partition }) => String(partition), align: 'right' },
  { title: 'offset', value: ({ offset }) => offset, align: 'right' },
  { title: 'why', value: ({ reason }) => plainText(reason) },
];
