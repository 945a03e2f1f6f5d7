/**
 * How a dead letter's record travels through the repair topic, and how its next dead letter finds it again. PURE.
 *
 * The message's key is the id of the dead letter, `<job>:<record>`, its header `attempt` the number of the submission: 1 for
 * the first. Both stand in what the message said of itself, which travels with every batch to the dead letter
 * (`../message/message-facts.ts`). The key, because it differs from message to message: equal headers cost nothing there.
 */
import type { MessageFacts } from '../message/message-facts.js';
import { topicOf } from '../message/topics.js';
import type { MessageHead } from '../record/raw-batch.js';
import type { DeadLetterKey } from './dead-letter-sums.js';

/** The submission that a record came by. */
export interface Submission {
  readonly predecessor: DeadLetterKey;
  readonly attempt: number;
}

export interface ResubmittedMessage {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
}

const ID = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(\d{1,15})$/;
const ATTEMPT = /^\d{1,9}$/;

/** Headers of the dead letters before: those of one job nearly always have the same. */
let lastHeaders: {
  readonly attempt: number;
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly headers: ResubmittedMessage['headers'];
} | null = null;

/** @param attempt of the dead letter: how often it was submitted before */
export function resubmittedMessage(
  { job, record }: DeadLetterKey,
  attempt: number,
  { columns, context }: MessageHead,
): ResubmittedMessage {
  if (lastHeaders?.attempt !== attempt || lastHeaders.columns !== columns || lastHeaders.context !== context)
    lastHeaders = { attempt, columns, context, headers: headersOf(attempt, { columns, context }) };
  return { key: `${job}:${record}`, headers: lastHeaders.headers };
}

/** In this order: what does not fit is cut at the end. */
function headersOf(attempt: number, { columns, context }: MessageHead): ResubmittedMessage['headers'] {
  return {
    attempt: String(attempt + 1),
    ...(Object.keys(context).length === 0 ? {} : { context: JSON.stringify(context) }),
    ...(columns.length === 0 ? {} : { columns: JSON.stringify(columns) }),
  };
}

/** @returns null for a message that is not of the dataset's repair topic, or not as this build writes them */
export function submissionOf(dataset: string, message: MessageFacts | undefined): Submission | null {
  if (message?.topic !== topicOf(dataset, 'repair')) return null;
  const [, job, record] = ID.exec(textOf(message.key)) ?? [];
  const attempt = textOf(message.headers.find(({ name }) => name === 'attempt')?.value ?? null);
  if (job === undefined || record === undefined || !ATTEMPT.test(attempt)) return null;
  return { predecessor: { job, record: Number(record) }, attempt: Number(attempt) };
}

function textOf(text: MessageFacts['key']): string {
  return text !== null && 'text' in text ? text.text : '';
}
