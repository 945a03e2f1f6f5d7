import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type pg from 'pg';
import type { Logger } from 'pino';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { inTransaction } from '#common/postgres/pool.js';
import { LOGGER, PG_POOL } from '#common/providers/tokens.js';
import { encodeHistory } from '#core/history/history-message.js';

/** One step's: a job is some kilobytes, a list of decisions 200 KB. */
const STEP_MESSAGES = 50;
const LOOK_AGAIN_MS = 1_000;
/** Any key that is ours alone. */
const PUBLISHER_LOCK = 0x51_1c_25;

/**
 * Publishes what the database alone knows to the topic `sluice.history` (docs/decisions/0028).
 *
 * - HP1: a row leaves the outbox after the brokers have acknowledged it, so nothing is lost, and some may come twice.
 * - HP2: one tracker at a time publishes, in the order of the outbox: of one key the newest state stands last. The transaction that
 *   holds the lock has no snapshot while it waits for the brokers.
 */
@Injectable()
export class HistoryPublisher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;
  private isMore = false;

  constructor(
    @Inject(PG_POOL) private readonly pool: pg.Pool,
    private readonly publisher: Publisher,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.loop = new BackgroundLoop({
      duty: 'publish the history',
      turn: async () => {
        this.isMore = (await this.step()) === STEP_MESSAGES;
      },
      pauseMs: () => (this.isMore ? 0 : LOOK_AGAIN_MS),
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  /** @returns how many it has published; 0 also while another tracker does */
  async step(): Promise<number> {
    // An idle system is asked one question, and opens no transaction.
    const { rowCount } = await this.pool.query('SELECT FROM sluice.history_outbox LIMIT 1');
    if (rowCount === 0) return 0;
    return inTransaction(this.pool, async (client) => {
      const { rows: locks } = await client.query<{ held: boolean }>(
        `SELECT pg_try_advisory_xact_lock(${PUBLISHER_LOCK}) AS held`,
      );
      if (locks[0]?.held !== true) return 0;
      const { rows } = await client.query<{ id: string; key: string; value: object }>(
        `SELECT id, key, value FROM sluice.history_outbox ORDER BY id LIMIT ${STEP_MESSAGES}`,
      );
      if (rows.length === 0) return 0;
      await this.publisher.send(rows.map(({ key, value }) => encodeHistory(key, value)));
      await client.query('DELETE FROM sluice.history_outbox WHERE id = ANY ($1::bigint[])', [
        rows.map(({ id }) => id),
      ]);
      return rows.length;
    });
  }
}
