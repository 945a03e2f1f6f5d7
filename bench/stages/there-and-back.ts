import type { Kafka } from 'kafkajs';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { DatasetTopic } from '#core/message/topics.js';
import type { Run } from '../report/result.js';
import type { BenchSystem } from '../system/bench-system.js';
import type { StageRuns } from './stage-run.js';
import { type CountedMessage, consume, produce, withTopics } from './through-kafka.js';

/** What goes to a broker and comes back. */
export interface Freight {
  readonly messages: readonly CountedMessage[];
  /** Of the topics that the messages are for. */
  readonly kinds: readonly DatasetTopic[];
  readonly rows: number;
  /** Resolves when the broker has the message. */
  readonly send: (message: OutgoingMessage) => Promise<unknown>;
}

/** Produces into empty topics and consumes all of it again: one run each, with the labels given. */
export async function measureThereAndBack(
  system: BenchSystem,
  kafka: Kafka,
  stageRuns: StageRuns,
  round: number,
  labels: { readonly produce: string; readonly consume: string },
  { messages, kinds, rows, send }: Freight,
): Promise<Run[]> {
  return withTopics(kafka, kinds, async (topics) => {
    const produced = await system.measure(() => produce(send, messages, rows));
    const consumed = await system.measure(() => consume(kafka, topics, produced.result));
    const { seconds } = consumed.result;
    return [
      { label: labels.produce, round, ...stageRuns.runOf(labels.produce, produced) },
      { label: labels.consume, round, ...stageRuns.runOf(labels.consume, { ...consumed, seconds }) },
    ];
  });
}
