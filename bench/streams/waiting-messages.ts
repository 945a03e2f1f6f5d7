/** The same registrations as messages for Sluice's inboxes and for Kafka Connect: raw CSV lines, cleaned JSON. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { SendableMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/transport/publisher.js';
import { SINK_COLUMNS, type SinkType } from '../connect/connector-settings.js';

export interface WaitingMessage {
  readonly key: string;
  readonly value: string;
}

/** After each N-th record comes a bad one. */
export const BAD_EVERY = 500;
const HEAD_LINES = 2;
/** Place of the address, which the contract reads behind the name. */
export const ORDER = [1, 2, 3, 0, 4, 5, 6, 7];
/** Address and name quoted, without quotes in them; then everything bare (`writePublishedForm`). */
const PUBLISHED = /"[^"]*"|[^,]+|(?<=,|^)(?=,|$)/g;

/** What a bad record is, in turns; each is refused with another reason. */
const BAD: readonly ((fields: readonly string[]) => string)[] = [
  ([number = '', ...rest]) => [number.slice(1), ...rest].join(','),
  ([, ...rest]) => ['', ...rest].join(','),
  ([number = '', head = '']) => [number, head].join(','),
  (fields) => `${fields.join(',')}\n${fields.join(',')}`,
];

/**
 * The lines of a file in the publisher's own form, their fields in the order in which the contract reads them.
 * @param withIndustries also the fields of the second table
 * @param badEvery that many good ones are followed by a bad one; 0: none
 */
export async function* inboxMessages(
  file: string,
  withIndustries: boolean,
  badEvery: number,
): AsyncGenerator<WaitingMessage> {
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file) })) {
    line += 1;
    if (line <= HEAD_LINES) continue;
    const fields = fieldsOf(text);
    const ordered = ORDER.map((at) => fields[at] ?? '');
    if (withIndustries) ordered.push(...fields.slice(ORDER.length));
    const [key = ''] = ordered;
    yield { key, value: ordered.join(',') };
    const nth = line - HEAD_LINES;
    if (badEvery === 0 || nth % badEvery !== 0) continue;
    const spoil = BAD[(nth / badEvery) % BAD.length];
    if (spoil !== undefined) yield { key, value: spoil(ordered) };
  }
}

/** Of a line in the publisher's own form, with their quotes. */
export function fieldsOf(line: string): string[] {
  return line.match(PUBLISHED) ?? [];
}

/** The rows of a cleaned file, as JSON for `valueSchema()`. @param columns of the file, in its order */
export async function* sinkMessages(
  copyFile: string,
  columns: readonly string[],
): AsyncGenerator<WaitingMessage> {
  const types = columns.map((column) => (SINK_COLUMNS as Readonly<Record<string, SinkType>>)[column]);
  for await (const line of createInterface({ input: createReadStream(copyFile) })) {
    const row = line.split('\t').map((text, at) => jsonOf(text, types[at]));
    const members = columns.map((column, at) => `"${column}":${row[at] ?? 'null'}`);
    yield { key: line.slice(0, line.indexOf('\t')), value: `{${members.join(',')}}` };
  }
}

const DAY_MS = 86_400_000;
const ESCAPED: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', b: '\b', f: '\f', v: '\v' };

/** @param text a field of COPY's text format */
export function jsonOf(text: string, type: SinkType | undefined): string {
  if (text === '\\N') return 'null';
  if (type === 'int64') return text;
  if (type === 'boolean') return text === 't' || text === 'true' ? 'true' : 'false';
  if (type === 'date') return String(Date.parse(`${text}T00:00:00Z`) / DAY_MS);
  return JSON.stringify(text.replace(/\\(.)/g, (_, mark: string) => ESCAPED[mark] ?? mark));
}

/** As many as a producer sends at once that lingers some milliseconds. */
const AT_ONCE = 2_000;

/**
 * Sends messages in turns to the partitions of a topic.
 * @returns how many there are, and the keys that stand last
 */
export async function sendWaiting(
  publisher: Publisher,
  to: { readonly topic: string; readonly partitions: number; readonly headers: SendableMessage['headers'] },
  messages: AsyncIterable<WaitingMessage>,
): Promise<{ readonly messages: number; readonly lastKeys: readonly string[] }> {
  const { topic, partitions, headers } = to;
  const last: string[] = [];
  let waiting: SendableMessage[] = [];
  let count = 0;
  for await (const { key, value } of messages) {
    last[count % partitions] = key;
    waiting.push({ topic, partition: count % partitions, key, headers, value: Buffer.from(value) });
    count += 1;
    if (waiting.length < AT_ONCE) continue;
    await publisher.send(waiting);
    waiting = [];
  }
  await publisher.send(waiting);
  return { messages: count, lastKeys: [...new Set(last)] };
}
