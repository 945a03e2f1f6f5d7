/** What a job does with a source of messages, where it reads head and bytes of a file. */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { inboxColumns } from '#core/dataset/inbox.js';
import type { Checkpoint, Job, PinnedCutting } from '#core/job/job.entity.js';
import { compileContract } from '#core/record/compile-contract.js';
import type { SourceHead } from '#core/record/head/source-head.js';
import { type MessageCuttingOptions, createMessageCutter } from '#core/record/message-cutter.js';
import type { MessageHead } from '#core/record/raw-batch.js';
import type { BatchPublisher } from '../publish/batch-publisher.js';

/** In place of a file's head: what messages have that say nothing of themselves. */
export function headOfMessages(dataset: Dataset): SourceHead {
  const prologue = {
    columns: inboxColumns(dataset),
    context: {},
    dataStart: 0,
    firstLine: 1,
    findings: [],
  };
  return { prologue, lineEnd: 'lf', bytes: 0, lines: 0 };
}

/** @param facts `context`: what the job states of itself, which goes with every batch */
export function messageCutting(
  dataset: Dataset,
  facts: {
    readonly cutting: PinnedCutting;
    readonly job: Job;
    readonly context: Readonly<Record<string, string>>;
    readonly columns: readonly string[];
  },
): Omit<MessageCuttingOptions, 'topic'> {
  const { cutting, job, context, columns } = facts;
  const accepts = (head: MessageHead): boolean => {
    try {
      const whole = { ...head.context, ...context };
      compileContract(dataset, { columns: head.columns, context: whole, options: job.options });
      return true;
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'DATASET_INVALID') return false;
      throw error;
    }
  };
  return { ...cutting, csv: dataset.csv, columns, accepts, limitRecords: job.limitRecords };
}

/** @returns the place behind the last record, when all of it is acknowledged; null for a source without messages */
export async function cutMessagesAndPublish(
  options: Omit<MessageCuttingOptions, 'topic'>,
  portions: AsyncIterable<readonly ReadMessage[]>,
  publisher: BatchPublisher,
): Promise<Checkpoint | null> {
  let read = 0;
  let cutter: ReturnType<typeof createMessageCutter> | null = null;
  for await (const messages of portions) {
    const [first] = messages;
    if (first === undefined) continue;
    // Messages of a source are of one topic.
    cutter ??= createMessageCutter(
      { ...options, topic: first.place.topic },
      { batch: 0, record: 0, line: 1, byte: 0 },
    );
    read += messages.length;
    for (const batch of cutter.push(messages)) await publisher.publish(batch);
    if (cutter.done) break;
  }
  for (const batch of cutter?.end() ?? []) await publisher.publish(batch);
  await publisher.drain();
  const end = publisher.checkpoint;
  // Counted apart from the cutter, as the bytes of a file are (LB5).
  if (end !== null && cutter?.done !== true && end.nextRecord !== read)
    throw new SluiceError('INTERNAL', `${read} messages were read, and ${end.nextRecord} records cut.`);
  return end;
}
