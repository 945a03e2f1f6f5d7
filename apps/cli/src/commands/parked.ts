import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ParkedMessageContent, ParkedMessageView } from '#api/parked-messages.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { formatCount, formatTime } from '../render/format.js';
import { renderTable, type TableColumn } from '../render/table.js';
import { type CliContext, connect, widthOf, write } from './context.js';

export const PARKED_ACTIONS = ['show', 'retry', 'skip'] as const;
export type ParkedAction = (typeof PARKED_ACTIONS)[number];

export interface ParkedOptions {
  readonly last: number;
  readonly json?: boolean;
  /** Of `show`: where the exact bytes of its value go. */
  readonly out?: string;
  /** Of `skip`. */
  readonly reason?: string;
}

/** So much of a value is shown; all of it goes to a file. */
const SHOWN_BYTES = 2_000;

/** `sluice parked`: the messages that could not be read, newest first; or what is done about one of them. */
export async function parked(
  context: CliContext,
  action: ParkedAction | undefined,
  place: string | undefined,
  options: ParkedOptions,
): Promise<Exit> {
  if (action === undefined) return list(context, options);
  if (place === undefined || !/^[\w.-]{1,249}\/\d{1,9}\/\d{1,18}$/.test(place))
    throw new SluiceError(
      'USAGE_INVALID',
      `\`parked ${action}\` needs the place of a message: topic/partition/offset, for example sluice.customers.raw/2/11.`,
    );
  const client = await connect(context);
  if (action === 'show') return show(context, await client.parkedMessage(place), options);
  const decided = await decide(client, action, place, options);
  const text = `${plainText(decided.topic)}/${decided.partition}/${decided.offset} is ${decided.state} now.\n`;
  await write(context.stdout, options.json === true ? successJson(decided) : text);
  return 'success';
}

async function decide(
  client: SluiceClient,
  action: Exclude<ParkedAction, 'show'>,
  place: string,
  { reason }: ParkedOptions,
): Promise<ParkedMessageView> {
  if (action === 'retry') return client.retryParked(place);
  if (reason === undefined)
    throw new SluiceError('USAGE_INVALID', '`parked skip` needs --reason: why nothing is lost by it.');
  return client.skipParked(place, reason);
}

async function list(context: CliContext, options: ParkedOptions): Promise<Exit> {
  const client = await connect(context);
  const found: ParkedMessageView[] = [];
  for await (const message of client.parkedMessages()) {
    if (found.push(message) === options.last) break;
  }
  const text =
    found.length === 0 ? 'No parked messages.\n' : renderTable(found, COLUMNS, widthOf(context.stdout));
  await write(context.stdout, options.json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

async function show(
  context: CliContext,
  message: ParkedMessageContent,
  options: ParkedOptions,
): Promise<Exit> {
  const value = message.valueBase64 === null ? null : Buffer.from(message.valueBase64, 'base64');
  if (options.out !== undefined) {
    const file = resolve(context.cwd, options.out);
    // Foreign bytes may be records: for the caller alone.
    await writeFile(file, value ?? Buffer.alloc(0), { flag: 'wx', mode: 0o600 }).catch((cause: unknown) => {
      throw new SluiceError(
        'OUTPUT_UNWRITABLE',
        `${file} cannot be written (${messageOf(cause)}).`,
        {},
        { cause },
      );
    });
    const bytes = message.valueBytes;
    const text = `${formatCount(bytes)} bytes written to ${file}\n`;
    await write(context.stdout, options.json === true ? successJson({ file, bytes }) : text);
    return 'success';
  }
  await write(context.stdout, options.json === true ? successJson(message) : contentText(message, value));
  return 'success';
}

function contentText(message: ParkedMessageContent, value: Buffer | null): string {
  const { topic, partition, offset, reason, state, note, key } = message;
  const decision = note === null ? state : `${state}: ${plainText(note)}`;
  const facts = [
    ['place', `${plainText(topic)}/${partition}/${offset}`],
    ['parked (UTC)', formatTime(message.parkedAt)],
    ['why', plainText(reason)],
    ['state', decision],
    ['key', key === null ? 'none' : plainText(key)],
    ...message.headers.map(({ name, value: text }) => [
      `header ${plainText(name)}`,
      text === null ? 'none' : plainText(text),
    ]),
    ['value', value === null ? 'none' : `${formatCount(value.length)} bytes`],
  ];
  const width = Math.max(...facts.map(([name = '']) => name.length));
  const lines = facts.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}\n`).join('');
  if (value === null || value.length === 0) return lines;
  const more = value.length > SHOWN_BYTES ? '\n… and more: --out <file> writes all of it' : '';
  return `${lines}\n${plainText(value.subarray(0, SHOWN_BYTES).toString())}${more}\n`;
}

const COLUMNS: readonly TableColumn<ParkedMessageView>[] = [
  { title: 'parked (UTC)', value: ({ parkedAt }) => formatTime(parkedAt), leaveOut: 1 },
  { title: 'topic', value: ({ topic }) => plainText(topic) },
  { title: 'partition', value: ({ partition }) => String(partition), align: 'right' },
  { title: 'offset', value: ({ offset }) => offset, align: 'right' },
  { title: 'state', value: ({ state }) => state },
  { title: 'why', value: ({ reason }) => plainText(reason), shortenTo: 12 },
];
