import { SluiceError } from '#common/errors/sluice-error.js';
import type { SendableMessage } from '#common/kafka/message.js';
import { requestsOf } from '#common/kafka/client/request-groups.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { inboxOf } from '#core/message/topics.js';
import { loadRegistry } from '#core/registry/registry.js';
import type { Exit } from '../../exit-codes.js';
import { errorOf, failureJson, successJson } from '../../render/envelope.js';
import { counted } from '../../render/format.js';
import { kafkaAt, knownBrokers, reachingBrokers } from '../brokers.js';
import { chunksOf } from '../check/judge-file.js';
import { type CliContext, interruptible, write } from '../context.js';
import { resolveFile } from '../option-values.js';
import { findDataset } from '../run.js';
import { type FileRecord, type RecordsOfFile, recordsOfFile } from './records-of-file.js';

export interface ProduceOptions {
  readonly json?: boolean;
}

/** What was sent, and what of the file was not. */
export interface Sent {
  readonly topic: string;
  readonly records: number;
  readonly skipped: number;
  readonly tooLarge: number;
}

/**
 * `sluice produce`: sends the records of a file to the dataset's inbox, one a message, keyed by the contract's key, and waits
 * until the brokers have acknowledged each.
 * @param file a name, or `-` for standard input
 */
export async function produce(
  context: CliContext,
  name: string,
  file: string,
  options: ProduceOptions,
): Promise<Exit> {
  const path = file === '-' ? null : resolveFile(file, context.cwd);
  const registry = await loadRegistry(context.settings().extraDatasetPaths());
  const { dataset } = findDataset(registry.entries(), name);
  const chunks = path === null ? (context.stdin as AsyncIterable<Buffer>) : chunksOf(path);
  return interruptible(context, async (signal) => {
    const sent = await sendFile(context, dataset, { chunks, name: path ?? 'standard input' }, signal);
    return report(context, sent, signal.aborted, options);
  });
}

/** What is sent, and how it is called. */
export interface ProducedFile {
  readonly chunks: AsyncIterable<Buffer>;
  readonly name: string;
  /** Of every message, beside those that the dataset needs. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Sends the records of a file to the dataset's inbox, and waits until the brokers have acknowledged each.
 * @param signal ends it between two requests
 * @throws SluiceError NO_INBOX, SYSTEM_UNREACHABLE, BROKER_UNAVAILABLE, and what `recordsOfFile` throws; its message says how many
 *   records had been sent before
 */
export async function sendFile(
  context: CliContext,
  dataset: Dataset,
  { chunks, name, headers = {} }: ProducedFile,
  signal: AbortSignal,
): Promise<Sent> {
  const topic = inboxOf(dataset);
  const brokers = await knownBrokers(context);
  const source = await recordsOfFile(dataset, chunks, name);
  const publisher = new Publisher(await kafkaAt(context, brokers, 'sluice-produce'));
  const sent = { topic, records: 0 };
  const allHeaders = { ...headersOf(source, dataset), ...headers };
  try {
    await reachingBrokers(() => sendAll(publisher, source, allHeaders, sent, signal));
    return { ...sent, ...source.counts };
  } catch (error) {
    if (sent.records === 0 || !(error instanceof SluiceError)) throw error;
    throw new SluiceError(
      error.code,
      `${error.message} ${counted(sent.records, 'record')} had been sent before.`,
      error.place,
    );
  } finally {
    await publisher.disconnect();
  }
}

function headersOf({ columns, context }: RecordsOfFile, { format }: Dataset): Record<string, string> {
  return {
    ...(format === 'csv' ? { columns: JSON.stringify(columns) } : {}),
    ...(Object.keys(context).length === 0 ? {} : { context: JSON.stringify(context) }),
  };
}

async function sendAll(
  publisher: Publisher,
  { batches }: RecordsOfFile,
  headers: Readonly<Record<string, string>>,
  sent: { readonly topic: string; records: number },
  signal: AbortSignal,
): Promise<void> {
  const { topic } = sent;
  const partitions = await publisher.partitionsOf(topic);
  // Records without a key take turns.
  let unkeyed = 0;
  const messageOf = ({ key, value }: FileRecord): SendableMessage =>
    key === null
      ? { topic, partition: unkeyed++ % partitions, key, headers, value }
      : { topic, key, headers, value };
  for await (const records of batches) {
    // One request after the other: of several at once a later one may be first.
    for (const { messages } of requestsOf(records.map(messageOf))) {
      if (signal.aborted) return;
      await publisher.send(messages.map(({ message }) => message));
      sent.records += messages.length;
    }
  }
}

async function report(
  context: CliContext,
  sent: Sent,
  isInterrupted: boolean,
  { json }: ProduceOptions,
): Promise<Exit> {
  const { topic, records, skipped, tooLarge } = sent;
  const rest = [
    ...(skipped > 0 ? [`${counted(skipped, 'line')} held no record`] : []),
    ...(tooLarge > 0 ? [`${counted(tooLarge, 'record')} too large to send`] : []),
  ];
  const text = `${counted(records, 'record')} sent to ${topic}${rest.length === 0 ? '' : `; ${rest.join(', ')}`}.\n`;
  const failure = isInterrupted
    ? errorOf('DETACHED', `Interrupted: ${text.trim()}`)
    : tooLarge > 0
      ? errorOf(
          'MESSAGE_TOO_LARGE',
          `${counted(tooLarge, 'record')} of the file above the limit of a record.`,
        )
      : null;
  if (json === true)
    await write(context.stdout, failure === null ? successJson(sent) : failureJson(failure, sent));
  else {
    await write(context.stdout, text);
    if (failure !== null) context.stderr.write(`${failure.message} [${failure.code}]\n`);
  }
  return isInterrupted ? 'detached' : failure === null ? 'success' : 'failed';
}
