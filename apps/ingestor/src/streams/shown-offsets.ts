import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '#common/errors/sluice-error.js';
import type { GroupOffsets } from '#common/kafka/transport/group-offsets.js';
import type { StreamPosition } from '#core/stream/position.js';

const COMMIT_EVERY_MS = 5_000;
/** Brokers forget the offsets of a group without members after some days. */
const REPEAT_EVERY_MS = 3_600_000;
/** What ends the stream does not wait longer for the last commit. */
const LAST_COMMIT_MS = 1_000;

/** The group whose offsets tools show for the stream of a dataset. */
export const streamGroup = (dataset: string): string => `sluice-stream-${dataset}`;

/**
 * Commits how far a stream has come, so that tools that know consumer groups show its lag. Sluice itself never reads it.
 *
 * - SO1: nothing waits for a commit and nothing fails by one: it is tried again, and said once.
 */
export class ShownOffsets {
  private committed = '';
  private triedAt = -Infinity;
  private committedAt = -Infinity;
  private committing: Promise<void> | null = null;
  private isTrouble = false;

  constructor(
    private readonly offsets: GroupOffsets,
    private readonly dataset: string,
    private readonly topic: string,
    private readonly logger: Logger,
  ) {}

  /** Begins a commit when one is due. */
  follow(position: StreamPosition): void {
    const now = performance.now();
    if (this.committing !== null || now - this.triedAt < COMMIT_EVERY_MS) return;
    if (Object.keys(position).length === 0) return;
    if (keyOf(position) === this.committed && now - this.committedAt < REPEAT_EVERY_MS) return;
    void this.begin(position);
  }

  /** The stream ends here. */
  async end(position: StreamPosition): Promise<void> {
    const settled = new AbortController();
    const waited = delay(LAST_COMMIT_MS, undefined, { signal: settled.signal }).catch(() => undefined);
    const last = (async () => {
      await this.committing;
      if (Object.keys(position).length > 0 && keyOf(position) !== this.committed) await this.begin(position);
    })();
    await Promise.race([last, waited]);
    settled.abort();
    // Not awaited: kafkajs may ask for half a minute while brokers are away.
    void last.then(() => this.offsets.close());
  }

  private begin(position: StreamPosition): Promise<void> {
    this.triedAt = performance.now();
    this.committing = this.commit(position).finally(() => {
      this.committing = null;
    });
    return this.committing;
  }

  private async commit(position: StreamPosition): Promise<void> {
    const next = Object.entries(position).map(([partition, { next }]) => [Number(partition), next] as const);
    try {
      await this.offsets.commit(streamGroup(this.dataset), this.topic, new Map(next));
      this.committed = keyOf(position);
      this.committedAt = performance.now();
      this.isTrouble = false;
    } catch (error) {
      const text = `${messageOf(error)} Tools do not see the stream's lag; the stream itself does not need this.`;
      if (this.isTrouble) this.logger.debug(text);
      else this.logger.warn(text);
      this.isTrouble = true;
    }
  }
}

function keyOf(position: StreamPosition): string {
  return JSON.stringify(Object.entries(position).map(([partition, { next }]) => [partition, next]));
}
