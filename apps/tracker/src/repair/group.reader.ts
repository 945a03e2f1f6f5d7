import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  type DeadLetterGroupPage,
  type DeadLetterGroupView,
  type DeadLetterState,
  MAX_SHOWN_UNGROUPED,
  type RepairActionView,
} from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import { countColumn } from '#core/repair/dead-letter-state.js';
import { pageOf } from '../read-api/page.js';
import { DeadLetterGroupRow } from '../rows/dead-letter-group.entity.js';
import { RepairActionRow } from '../rows/repair-action.entity.js';
import type { GroupsQuery, RepairActionsQuery } from './repair.dto.js';

/** Reads groups of dead letters, and what was done about them. */
@Injectable()
export class GroupReader {
  constructor(private readonly database: DataSource) {}

  /** The largest first, by the dead letters of the state that was asked for, or by the open ones. Groups without any are left out. */
  async list({ dataset, code, state, cursor, limit }: GroupsQuery): Promise<DeadLetterGroupPage> {
    const size = sizeOf(state);
    const query = this.database
      .getRepository(DeadLetterGroupRow)
      .createQueryBuilder('known')
      .select('known.*')
      .addSelect(size, 'size')
      // Backwards through the index: the newest job.
      .addSelect(
        `(SELECT letter.job || ':' || letter.record FROM sluice.dead_letter AS letter
           WHERE letter.group_id = known.id ORDER BY letter.job DESC, letter.record DESC LIMIT 1)`,
        'example',
      )
      .where(`${state === undefined ? EVER : size} > 0`)
      .orderBy('size', 'DESC')
      .addOrderBy('known.id')
      .limit(limit + 1);
    if (dataset !== undefined) query.andWhere('known.dataset = :dataset', { dataset });
    if (code !== undefined) query.andWhere('known.code = :code', { code });
    const [count, id] = cursor?.split(':') ?? [];
    if (count !== undefined)
      query.andWhere(
        `(${size} < CAST(:count AS bigint) OR (${size} = CAST(:count AS bigint) AND known.id > CAST(:id AS uuid)))`,
        { count, id },
      );
    const rows = await query.getRawMany<GroupRow>();
    const page = pageOf(rows, limit, (row) => `${row.size}:${row.id}`);
    return { items: page.items.map(viewOf), next: page.next, ungrouped: await this.ungrouped() };
  }

  /** Newest first. */
  async actions({ cursor, limit }: RepairActionsQuery): Promise<Page<RepairActionView>> {
    const query = this.database
      .getRepository(RepairActionRow)
      .createQueryBuilder('done')
      .orderBy('done.id', 'DESC')
      .limit(limit + 1);
    if (cursor !== undefined) query.where('done.id < :cursor', { cursor });
    const rows = await query.getMany();
    return pageOf(
      rows.map(({ at, finishedAt, ...row }) => ({
        ...row,
        at: at.toISOString(),
        finishedAt: finishedAt?.toISOString() ?? null,
      })),
      limit,
      ({ id }) => id,
    );
  }

  private async ungrouped(): Promise<number> {
    const [row] = await this.database.query<{ count: number }[]>(
      `SELECT count(*)::integer AS count FROM (
         SELECT FROM sluice.dead_letter WHERE group_id IS NULL LIMIT ${MAX_SHOWN_UNGROUPED}) AS ungrouped`,
    );
    return row?.count ?? 0;
  }
}

const EVER = 'known.open + known.resubmitted + known.landed + known.refused_again + known.discarded';

function sizeOf(state: DeadLetterState = 'open'): string {
  return `known.${countColumn(state)}`;
}

interface GroupRow {
  readonly id: string;
  readonly dataset: string;
  readonly code: string;
  readonly field: string | null;
  readonly shape: string;
  readonly open: string;
  readonly resubmitted: string;
  readonly landed: string;
  readonly refused_again: string;
  readonly discarded: string;
  readonly size: string;
  readonly example: string | null;
}

function viewOf(row: GroupRow): DeadLetterGroupView {
  const { id, dataset, code, field, shape, example } = row;
  return {
    ...{ id, dataset, code, field, shape, example },
    counts: {
      open: Number(row.open),
      resubmitted: Number(row.resubmitted),
      landed: Number(row.landed),
      refusedAgain: Number(row.refused_again),
      discarded: Number(row.discarded),
    },
  };
}
