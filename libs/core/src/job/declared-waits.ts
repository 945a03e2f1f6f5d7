import type { Logger } from 'pino';
import type { JobWait } from '#api/job-facts.js';
import type { WaitCode, WaitStage } from '#api/job-words.js';
import { messageOf } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { clearWait, declareWait } from './job-wait.js';

/**
 * What one stage's work for a job waits for, written into the job row one change after the other and beside the work:
 * the work neither waits for that nor fails with it.
 */
export class DeclaredWaits {
  private written: Promise<void> = Promise.resolve();
  /** Undefined: what an earlier process has declared for the stage may still stand there. */
  private latest: string | null | undefined;

  constructor(
    private readonly client: SqlClient,
    private readonly job: string,
    private readonly stage: WaitStage,
    private readonly logger: Logger,
    /** What the job's row has said so far. */
    before: JobWait | null,
  ) {
    this.latest = before?.stage === stage ? undefined : null;
  }

  declare(code: WaitCode, message: string): void {
    this.change(`${code} ${message}`, async () => {
      await declareWait(this.client, this.job, { stage: this.stage, code, message });
    });
  }

  clear(): void {
    this.change(null, () => clearWait(this.client, this.job, [this.stage]));
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
