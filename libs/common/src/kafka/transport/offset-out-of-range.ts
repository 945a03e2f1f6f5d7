import { SluiceError } from '../../errors/sluice-error.js';

/** What a partition has: [low, high). */
export interface PartitionEnds {
  readonly low: bigint;
  /** Behind the last message that can be read; before the first one of a transaction that is still open. */
  readonly high: bigint;
}

/**
 * A place that was to be read is not in its partition: it was deleted (`wanted` below `low`), or it has never been there,
 * so that the topic was deleted and created again, or cut off (`wanted` above `high`).
 */
export class OffsetOutOfRange extends SluiceError {
  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly wanted: bigint,
    readonly ends: PartitionEnds,
  ) {
    super(
      'MESSAGE_EXPIRED',
      wanted < ends.low
        ? `Messages ${wanted} to ${ends.low - 1n} of ${topic}/${partition} are deleted: the partition begins at ${ends.low}.`
        : `Message ${wanted} of ${topic}/${partition} is not there: the partition ends at ${ends.high}. The topic was deleted and created again, or has lost its end.`,
    );
  }

  /** Messages that were to be read and are deleted. */
  get lost(): bigint {
    return this.wanted < this.ends.low ? this.ends.low - this.wanted : 0n;
  }
}
