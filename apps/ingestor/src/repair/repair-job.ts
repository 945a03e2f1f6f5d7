import { contractMetadata } from '#core/dataset/contract-metadata.js';
import type { Dataset } from '#core/dataset/dataset.js';
import type { NewJob } from '#core/job/create-job.js';
import { topicOf } from '#core/message/topics.js';
import { repairMode, repairOptions } from '#core/repair/record-to-send.js';
import { SOURCE_KINDS } from '../sources/source-kinds.js';
import { topicAddress } from '../sources/topic/topic-address.js';

/** Of the repair topic, which has one. */
export const REPAIR_PARTITION = 0;

export interface RepairRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The job of a range of the repair topic.
 *
 * Whatever is good in it becomes visible, however much is refused beside it: what is refused again is a dead letter again. So
 * neither the share of refused records nor the breaker ends or pauses it; a strict dataset stays strict.
 * @param afterJob the job of the same resubmission before it; null: in the order of completion
 */
export function repairJob(
  dataset: Dataset,
  id: string,
  action: string,
  range: RepairRange,
  afterJob: string | null,
): NewJob {
  const address = topicAddress(topicOf(dataset.name, 'repair'), [{ partition: REPAIR_PARTITION, ...range }]);
  const key = contractMetadata(dataset.contract).table?.key ?? [];
  return {
    id,
    dataset: dataset.name,
    mode: repairMode(dataset, key.length > 0),
    source: SOURCE_KINDS.describe(address, { isTrusted: true }),
    secretUri: address,
    dryRun: false,
    limitRecords: null,
    strict: dataset.strict ?? false,
    maxRefusedShare: 1,
    maxShrinkShare: null,
    existingKeys: 'supersede',
    breaker: null,
    options: repairOptions(dataset),
    contractVersion: dataset.contractVersion,
    afterJob,
    repair: action,
  };
}
