import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { Stream } from '#core/stream/stream.entity.js';
import type { StreamRepository } from '#core/stream/stream.repository.js';

/** So soon an order that another ingestor has taken is noticed. */
const LOOK_EVERY_MS = 1_000;
/** Renewals in a lease: several may fail before it runs out. */
const RENEWALS_A_LEASE = 4;

/**
 * Keeps an ingestor's lease of one stream, and its row at hand. It looks every second, and writes only when the lease has to be
 * renewed or the age of the oldest waiting message is to be shown: an idle stream writes a row every few seconds.
 */
export class StreamLease {
  private readonly lost = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private looking: Promise<void> | null = null;
  private row: Stream;
  private renewedAt = performance.now();

  /**
   * @param oldest time of the oldest message that is not visible yet, in milliseconds
   * @param onTaken called when another ingestor has the stream
   */
  constructor(
    private readonly streams: StreamRepository,
    stream: Stream,
    private readonly instance: string,
    private readonly leaseSeconds: number,
    private readonly logger: Logger,
    private readonly oldest: () => number | null,
    private readonly onTaken: () => void,
  ) {
    this.row = stream;
    this.timer = setInterval(() => {
      this.looking ??= this.lookOnce().finally(() => {
        this.looking = null;
      });
    }, LOOK_EVERY_MS);
  }

  /** As it was seen last. */
  get stream(): Stream {
    return this.row;
  }

  /** Aborted when the stream was paused or taken over, or is stopped. */
  get signal(): AbortSignal {
    return this.lost.signal;
  }

  async look(): Promise<void> {
    // The look under way may have read the row before the change.
    await this.looking;
    await this.lookOnce();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  private async lookOnce(): Promise<void> {
    try {
      const found = this.isDue() ? await this.renewed() : await this.streams.find(this.row.dataset);
      if (found !== null && found.epoch === this.row.epoch && found.owner === this.instance) this.row = found;
      else await this.lose(found);
    } catch (error) {
      this.logger.warn(`the lease of the stream could not be renewed: ${messageOf(error)}`);
    }
  }

  /** @param found the row, where it was seen */
  private async lose(found: Stream | null): Promise<void> {
    const { dataset, epoch } = this.row;
    if (this.lost.signal.aborted) return;
    this.lost.abort(new SluiceError('JOB_LOST', `The stream of ${dataset} is not ours any more.`));
    const now = found ?? (await this.streams.find(dataset));
    if (now !== null && now.owner !== null && now.epoch > epoch) this.onTaken();
  }

  private isDue(): boolean {
    const sinceMs = performance.now() - this.renewedAt;
    if (sinceMs >= (this.leaseSeconds * 1_000) / RENEWALS_A_LEASE) return true;
    const shown = this.row.oldestWaiting?.getTime() ?? null;
    return shown !== this.oldest();
  }

  private async renewed(): Promise<Stream | null> {
    const oldest = this.oldest();
    const row = await this.streams.renew(this.row, oldest === null ? null : new Date(oldest));
    this.renewedAt = performance.now();
    return row;
  }
}
