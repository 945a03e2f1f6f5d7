import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { messageOf } from '#common/errors/sluice-error.js';
import { type WaitCode, clearWait, declareWait } from '#core/job/job-wait.js';

/**
 * What a finalization waits for, written into the job row one change after the other and beside the work: the work
 * neither waits for that nor fails with it.
 */
export class FinalizeWaits {
  private written: Promise<void> = Promise.resolve();
  private latest: string | null = null;

  constructor(
    private readonly pool: Pool,
    private readonly job: string,
    private readonly logger: Logger,
  ) {}

  declare(code: WaitCode, message: string): void {
    this.change(`${code} ${message}`, async () => {
      await declareWait(this.pool, this.job, { stage: 'finalize', code, message });
    });
  }

  clear(): void {
    this.change(null, () => clearWait(this.pool, this.job, ['finalize']));
  }

  /** When everything is written that was declared so far. */
  settled(): Promise<void> {
    return this.written;
  }

  private change(latest: string | null, write: () => Promise<void>): void {
    if (latest === this.latest) return;
    this.latest = latest;
    this.written = this.written.then(write).catch((error: unknown) => {
      this.logger.warn({ job: this.job }, `what the job waits for cannot be written: ${messageOf(error)}`);
    });
  }
}
