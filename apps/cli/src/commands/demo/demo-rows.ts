import type { Kafka } from 'kafkajs';
import type { JobSummary } from '#api/jobs.js';
import { type OffsetRange, readRanges } from '#common/kafka/transport/read-ranges.js';
import { OffsetOutOfRange } from '#common/kafka/transport/offset-out-of-range.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { topicOf } from '#core/message/topics.js';
import type { SluiceClient } from '../../client.js';
import { kafkaAt, knownBrokers } from '../brokers.js';
import type { CliContext } from '../context.js';

/** Part of the address that a demo's file is served at. */
export const DEMO_PATH = '/sluice-demo/';
/** Every message that a demo sends to an inbox has it. */
export const DEMO_HEADER = 'sluice-demo';
/** A demo makes a handful of jobs after its file. */
const MOST_JOBS_AFTER = 50;

/**
 * Whether the tables hold what demos have loaded, and nothing else: every job that succeeded since the newest demo file,
 * that one included, is a demo's.
 *
 * - A job of a file is by its address.
 * - A job of the stream is when each message of its range has the demo's header. The range is read again: who else has sent into
 *   the inbox is known from the messages alone.
 * - A repair job is when each of its records is a dead letter of such a job: the message's key names it.
 * - Any other job is not, and what cannot be read any more is not either: the demo asks then.
 */
export async function holdsDemoRows(
  context: CliContext,
  client: SluiceClient,
  dataset: string,
): Promise<boolean> {
  const jobs = await jobsSinceDemoFile(client, dataset);
  const [file, ...others] = jobs;
  if (file === undefined) return false;
  if (others.length === 0) return true;
  const kafka = await kafkaAt(context, await knownBrokers(context), 'sluice-demo');
  const own = new Set([file.id]);
  for (const job of others) {
    if (!(await isOwn(kafka, job, own))) return false;
    own.add(job.id);
  }
  return true;
}

/** From the newest demo file on, the oldest first; none when there is no such file, or too much has happened since. */
async function jobsSinceDemoFile(client: SluiceClient, dataset: string): Promise<JobSummary[]> {
  const since: JobSummary[] = [];
  for await (const job of client.jobs({ dataset, state: 'succeeded' })) {
    if (job.dryRun) continue;
    since.unshift(job);
    if (job.source.includes(DEMO_PATH)) return since;
    if (since.length > MOST_JOBS_AFTER) break;
  }
  return [];
}

async function isOwn(
  kafka: Kafka,
  { dataset, source }: JobSummary,
  own: ReadonlySet<string>,
): Promise<boolean> {
  const [, topic = '', query = ''] = /^topic:\/\/([^?]+)\?(.*)$/.exec(source) ?? [];
  const isOwnMessage = {
    [topicOf(dataset, 'inbox')]: ({ headers }: ReadMessage) => headers[DEMO_HEADER] !== undefined,
    [topicOf(dataset, 'repair')]: ({ key }: ReadMessage) => own.has(String(key).split(':')[0] ?? ''),
  }[topic];
  const ranges = [...query.matchAll(/(\d+)=(\d+)-(\d+)/g)].map(([, partition, from, to]): OffsetRange => {
    return { partition: Number(partition), from: Number(from), to: Number(to) };
  });
  return isOwnMessage !== undefined && (await holdsFor(kafka, topic, ranges, isOwnMessage));
}

/** Whether all messages of the ranges are there, and the test holds for each. */
async function holdsFor(
  kafka: Kafka,
  topic: string,
  ranges: readonly OffsetRange[],
  test: (message: ReadMessage) => boolean,
): Promise<boolean> {
  let missing = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  const reader = await TopicReader.open(kafka, topic, new Map()).catch((error: unknown) => {
    if (error instanceof SluiceError) return null;
    throw error;
  });
  if (reader === null) return false;
  try {
    for await (const messages of readRanges(reader, ranges, new AbortController().signal)) {
      if (!messages.every(test)) return false;
      missing -= messages.length;
    }
    return missing === 0;
  } catch (error) {
    if (error instanceof OffsetOutOfRange || error instanceof SluiceError) return false;
    throw error;
  } finally {
    await reader.close();
  }
}
