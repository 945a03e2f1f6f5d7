import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type pg from 'pg';
import type { Logger } from 'pino';
import { pruneAudit } from '#common/access/audit-log.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { LOGGER, PG_POOL } from '#common/providers/tokens.js';
import { TrackerConfig } from '../tracker.config.js';

const EVERY_MS = 3_600_000;

/** Deletes rows of the audit that are older than `SLUICE_KEEP_AUDIT_DAYS`, once an hour. */
@Injectable()
export class AuditPruner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;

  constructor(
    @Inject(PG_POOL) pool: pg.Pool,
    { keepAuditDays }: TrackerConfig,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.loop = new BackgroundLoop({
      duty: 'delete old rows of the audit',
      turn: async () => {
        const deleted = await pruneAudit(pool, keepAuditDays);
        if (deleted > 0) logger.info({ deleted, keepAuditDays }, 'old rows of the audit are deleted');
      },
      pauseMs: () => EVERY_MS,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }
}
