import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { DeadLetterState } from '#api/dead-letters.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { LOGGER, PG_POOL } from '#common/providers/tokens.js';
import type { Finding } from '#core/finding/finding.js';
import { FOLD_LOCK } from '#core/job/begin-again.js';
import { addToGroups, settleGroups } from '#core/repair/dead-letter-sums.js';
import { BRIEF_LOCKS, isHeldByAnother } from './brief-locks.js';
import { DatasetGroups } from './dataset-groups.js';
import { columnsOf, foldInTransaction } from './fold-transaction.js';

/** One transaction's dead letters: tens of milliseconds … */
export const STEP_DEAD_LETTERS = 500;
/** … and the bytes of their records, findings and columns at most, but for a single larger one (G9). */
const STEP_BYTES = 4 * 1024 * 1024;
/** N times what a step took: what is folded and loaded now comes first. */
const RESTS_A_STEP = 1;
/** An older tracker beside this one writes dead letters without a group. */
const LOOK_AGAIN_MS = 60_000;
const REPORT_EVERY_MS = 10_000;

interface OlderDeadLetter {
  readonly job: string;
  readonly record: string;
  readonly dataset: string;
  readonly findings: Finding[];
  readonly columns: string[] | null;
  readonly bytes: Buffer;
}

/**
 * Gives dead letters of older builds their groups, step by step beside everything else; until then they are open, listed,
 * and in no group. How many are left is logged, and shown as `ungrouped` by `GET /dead-letters/groups`.
 *
 * - OD1: a step is one transaction under FOLD_LOCK, and counts what it has changed (GC1): ending anywhere, or several
 *   trackers at once, count nothing twice and leave nothing out. The state that counts is that of the UPDATE: the query
 *   that finds the rows may have waited for a discard, and shows the state from before it.
 * - OD2: a step waits for a dead letter that another request holds for a second at most (`brief-locks.ts`).
 */
@Injectable()
export class OlderDeadLetters implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;
  private pauseMs = 0;
  private grouped = 0;
  private reportedAt = -Infinity;

  constructor(
    @Inject(PG_POOL) private readonly pool: pg.Pool,
    private readonly groups: DatasetGroups,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.loop = new BackgroundLoop({
      duty: 'group dead letters of older builds',
      turn: () => this.turn(),
      pauseMs: () => this.pauseMs,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  /** @returns how many got their group @throws SluiceError DATABASE_UNAVAILABLE */
  async step(): Promise<number> {
    return foldInTransaction(this.pool, async (client) => {
      await client.query(FOLD_LOCK);
      await client.query(BRIEF_LOCKS);
      const letters = await ungrouped(client);
      if (letters.length === 0) return 0;
      const groups = letters.map(({ columns, ...letter }) =>
        this.groups.groupOf({ ...letter, columns: columns ?? [] }),
      );
      const settled = await settleGroups(client, groups, (group) => this.groups.othersOf(group));
      const grouped = letters.map(({ job, record }, at) => {
        const id = groups[at]?.id ?? '';
        return { job, record, group: settled.get(id) ?? id };
      });
      const { rows } = await client.query<{ group: string; state: DeadLetterState }>(
        `UPDATE sluice.dead_letter AS letter SET group_id = found.group_id
           FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS found (job, record, group_id)
          WHERE letter.job = found.job AND letter.record = found.record
          RETURNING letter.group_id AS group, letter.state`,
        columnsOf(grouped, [({ job }) => job, ({ record }) => record, ({ group }) => group]),
      );
      await addToGroups(
        client,
        rows.map(({ group, state }) => ({ group, from: null, to: state, count: 1 })),
      );
      return letters.length;
    });
  }

  private async turn(): Promise<void> {
    const beganAt = performance.now();
    const { rows } = await this.pool.query<{ left: boolean }>(
      'SELECT EXISTS (SELECT FROM sluice.dead_letter WHERE group_id IS NULL) AS left',
    );
    if (rows[0]?.left !== true) {
      if (this.grouped > 0) this.logger.info({ grouped: this.grouped }, 'all dead letters have their groups');
      this.grouped = 0;
      this.pauseMs = LOOK_AGAIN_MS;
      return;
    }
    // OD2: they come with a later step.
    this.grouped += await this.step().catch((error: unknown) => {
      if (error instanceof SluiceError && isHeldByAnother(error.cause)) return 0;
      throw error;
    });
    this.pauseMs = RESTS_A_STEP * (performance.now() - beganAt);
    if (beganAt - this.reportedAt < REPORT_EVERY_MS) return;
    this.reportedAt = beganAt;
    const left = await this.pool.query<{ left: number }>(
      'SELECT count(*)::integer AS left FROM sluice.dead_letter WHERE group_id IS NULL',
    );
    this.logger.info(
      { grouped: this.grouped, left: left.rows[0]?.left },
      'dead letters of an older build are given their groups',
    );
  }
}

/** The next ones, locked; of another tracker's step they are waited for, and left out when it has committed. */
async function ungrouped(client: pg.PoolClient): Promise<OlderDeadLetter[]> {
  const { rows } = await client.query<OlderDeadLetter>(
    `WITH next AS MATERIALIZED (
       SELECT job, record, columns_id, octet_length(bytes) + pg_column_size(findings) AS size
         FROM sluice.dead_letter WHERE group_id IS NULL
        ORDER BY job, record LIMIT ${STEP_DEAD_LETTERS} FOR UPDATE
     ), sized AS (
       SELECT job, record, size + coalesce(pg_column_size(list.names), 0) AS size
         FROM next LEFT JOIN sluice.letter_columns AS list ON list.id = next.columns_id
     ), bounded AS (
       SELECT job, record, sum(size) OVER (ORDER BY job, record) - size AS before FROM sized
     )
     SELECT letter.job, letter.record, letter.dataset, letter.findings, letter.bytes, list.names AS columns
       FROM bounded JOIN sluice.dead_letter AS letter USING (job, record)
       LEFT JOIN sluice.letter_columns AS list ON list.id = letter.columns_id
      WHERE bounded.before < ${STEP_BYTES} AND letter.group_id IS NULL`,
  );
  return rows;
}
