import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { Page } from '#api/pages.js';
import type { ReplayJobView, ReplayView, ReplayWait } from '#api/replays.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { unknownReplay } from './unknown-replay.js';

const COUNTED = ['read', 'refused', 'inserted', 'updated', 'unchanged', 'deleted', 'superseded'] as const;

/**
 * SQL: what has come of a replay so far, as one jsonb. Kept in its row when it has ended.
 * @param replay SQL of its id
 */
export function outcomeOf(replay: string): string {
  const jobs = `'waiting', (SELECT count(*) FROM sluice.replay_job WHERE replay_job.replay = ${replay} AND job IS NULL),
    'active', count(*) FILTER (WHERE job.state IN ('queued', 'running', 'paused', 'finalizing')),
    'succeeded', count(*) FILTER (WHERE job.state = 'succeeded'),
    'failed', count(*) FILTER (WHERE job.state = 'failed'),
    'cancelled', count(*) FILTER (WHERE job.state = 'cancelled')`;
  const counts = COUNTED.map(
    (name) =>
      `'${name}', coalesce(sum((job.counts->>'${name}')::bigint) FILTER (WHERE job.state = 'succeeded'), 0)`,
  );
  const changes = ['inserted', 'updated', 'deleted'].map(
    (name) => `coalesce((job.counts->>'${name}')::bigint, 0) > 0`,
  );
  const changed = `CASE WHEN bool_or(job.mode = 'replace' AND job.state = 'succeeded') THEN NULL
    ELSE coalesce(bool_or(job.state = 'succeeded' AND (${changes.join(' OR ')})), false) END`;
  return `(SELECT jsonb_build_object('jobs', jsonb_build_object(${jobs}), 'counts', jsonb_build_object(${counts.join(', ')}),
    'changed', ${changed}) FROM sluice.job WHERE job.replay = ${replay})`;
}

interface Row extends Omit<ReplayView, 'createdAt' | 'finishedAt' | 'jobs' | 'counts' | 'changed' | 'wait'> {
  readonly wait: ReplayWait | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
  readonly outcome: Pick<ReplayView, 'jobs' | 'counts' | 'changed'>;
}

const SELECT = `SELECT id, dataset, state, selection, which AS only, mode, at_once AS "atOnce", covered AS covers, deleted,
  left_out AS "leftOut", wait, by_whom AS by, created_at AS "createdAt", finished_at AS "finishedAt",
  coalesce(outcome, ${outcomeOf('replay.id')}) AS outcome FROM sluice.replay`;

/** Replays as clients see them. */
export class ReplayReader {
  private readonly pool: Pool;

  /** @param database initialized */
  constructor(database: DataSource) {
    this.pool = poolOf(database);
  }

  /** Newest first. @param cursor of the page before */
  async list(dataset: string | null, cursor: string | null, limit: number): Promise<Page<ReplayView>> {
    const { rows } = await this.pool.query<Row>(
      `${SELECT} WHERE ($1::text IS NULL OR dataset = $1) AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      [dataset, cursor, limit + 1],
    );
    const items = rows.slice(0, limit).map(viewOf);
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  /** @throws SluiceError REPLAY_UNKNOWN */
  async show(id: string): Promise<ReplayView> {
    const { rows } = await this.pool.query<Row>(`${SELECT} WHERE id = $1`, [id]);
    const [row] = rows;
    if (row === undefined) throw unknownReplay(id);
    return viewOf(row);
  }

  /** Its jobs in their order. @param cursor of the page before @throws SluiceError REPLAY_UNKNOWN */
  async jobs(id: string, cursor: number | null, limit: number): Promise<Page<ReplayJobView>> {
    const { rows } = await this.pool.query<
      Omit<ReplayJobView, 'batches' | 'records'> & { readonly batches: string; readonly records: string }
    >(
      `SELECT position, origin, replay_job.batches, replay_job.records, replay_job.job, job.state, job.contract_version AS "contractVersion"
       FROM sluice.replay_job LEFT JOIN sluice.job ON job.id = replay_job.job
       WHERE replay_job.replay = $1 AND position > $2 ORDER BY position LIMIT $3`,
      [id, cursor ?? -1, limit + 1],
    );
    if (rows.length === 0) await this.show(id);
    const items = rows.slice(0, limit).map(({ batches, records, ...row }) => ({
      ...row,
      batches: Number(batches),
      records: Number(records),
    }));
    return { items, next: rows.length > limit ? String(items.at(-1)?.position) : null };
  }
}

function viewOf({ outcome, createdAt, finishedAt, ...row }: Row): ReplayView {
  return {
    ...row,
    ...outcome,
    createdAt: createdAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}
