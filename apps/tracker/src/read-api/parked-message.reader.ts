import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Page } from '#api/pages.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import { ParkedMessageRow } from '../rows/parked-message.entity.js';
import { pageOf } from './page.js';
import type { ParkedMessagesQuery } from './queries.dto.js';

/** Reads the messages that a consumer could not decode. */
@Injectable()
export class ParkedMessageReader {
  constructor(private readonly database: DataSource) {}

  /** Newest first; messages parked at the same moment by their place. */
  async list({ cursor, limit }: ParkedMessagesQuery): Promise<Page<ParkedMessageView>> {
    const query = this.database
      .getRepository(ParkedMessageRow)
      .createQueryBuilder('parked')
      .orderBy('parked.parkedAt', 'DESC')
      .addOrderBy('parked.topic', 'DESC')
      .addOrderBy('parked.partition', 'DESC')
      .addOrderBy('parked.offset', 'DESC')
      .limit(limit + 1);
    if (cursor !== undefined) {
      const [topic, partition, offset] = cursor.split('/');
      query.where(
        `(parked.parked_at, parked.topic, parked.partition, parked."offset") <
           (SELECT parked_at, topic, partition, "offset" FROM sluice.parked_message
             WHERE topic = :topic AND partition = :partition AND "offset" = :offset)`,
        { topic, partition, offset },
      );
    }
    const rows = await query.getMany();
    return pageOf(
      rows.map(parkedView),
      limit,
      ({ topic, partition, offset }) => `${topic}/${partition}/${offset}`,
    );
  }
}

export function parkedView(row: ParkedMessageRow): ParkedMessageView {
  const { topic, partition, offset, reason, state, note } = row;
  return {
    ...{ topic, partition, offset, reason, state, note },
    parkedAt: row.parkedAt.toISOString(),
    decidedAt: row.decidedAt?.toISOString() ?? null,
  };
}
