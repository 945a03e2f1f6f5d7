import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { ParkedMessage } from '#common/kafka/transport/message-parking.js';
import { PG_POOL } from '#common/providers/tokens.js';
import { columnsOf, foldInTransaction } from './fold-transaction.js';

/**
 * Keeps what was parked, by its place. Rebuilding the read model leaves it alone: the event that reported a
 * message may have expired while the message is still in its topic.
 */
@Injectable()
export class ParkedMessageRepository {
  constructor(@Inject(PG_POOL) private readonly pool: pg.Pool) {}

  /**
   * A message that is reported again stays one row with the latest time, in any order of reports, and is open again: a
   * topic that was deleted and created again has the same offsets.
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async keep(parked: readonly ParkedMessage[]): Promise<void> {
    if (parked.length === 0) return;
    await foldInTransaction(this.pool, (client) =>
      client.query(
        `INSERT INTO sluice.parked_message AS known (topic, partition, "offset", reason, parked_at)
         SELECT DISTINCT ON (topic, partition, "offset") *
           FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::timestamptz[])
             AS parked (topic, partition, "offset", reason, parked_at)
          ORDER BY topic, partition, "offset", parked_at DESC
         ON CONFLICT (topic, partition, "offset") DO UPDATE
           SET reason = excluded.reason, parked_at = excluded.parked_at, state = 'open', decided_at = NULL, note = NULL
           WHERE excluded.parked_at > known.parked_at`,
        columnsOf(parked, [
          ({ topic }) => topic,
          ({ partition }) => partition,
          ({ offset }) => offset,
          ({ reason }) => reason,
          ({ at }) => new Date(at).toISOString(),
        ]),
      ),
    );
  }
}
