import type { CleanMessage } from '#core/message/clean-message.js';

/** Clean batches of one job that are loaded in one transaction, in batch order as they came. */
export interface BatchGroup {
  readonly dataset: string;
  readonly job: string;
  readonly batches: readonly CleanMessage[];
}

/** Splits a delivery into runs of consecutive messages of one job. */
export function groupByJob(messages: readonly CleanMessage[]): BatchGroup[] {
  const groups: { dataset: string; job: string; batches: CleanMessage[] }[] = [];
  for (const message of messages) {
    const open = groups.at(-1);
    if (open?.job === message.job) open.batches.push(message);
    else groups.push({ dataset: message.dataset, job: message.job, batches: [message] });
  }
  return groups;
}
