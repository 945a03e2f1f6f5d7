import type { Pool } from 'pg';
import {
  type AnnouncedJob,
  giveAnnouncingBack,
  markAnnounced,
  takeToAnnounce,
} from '#core/job/announce-lease.js';

/** What announcing reads and writes of the job row. */
export class AnnounceRepository {
  constructor(
    private readonly pool: Pool,
    private readonly owner: string,
  ) {}

  /** Jobs that have ended unannounced, or have refusals that are; oldest first. */
  async findUnannounced(): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job WHERE NOT announced AND state IN ('succeeded', 'failed', 'cancelled')
       UNION SELECT job FROM sluice.ledger WHERE NOT refusals_announced ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }

  /** Takes the job, unless another loader has it. */
  take(jobId: string): Promise<AnnouncedJob | null> {
    return takeToAnnounce(this.pool, jobId, this.owner);
  }

  giveBack(jobId: string): Promise<void> {
    return giveAnnouncingBack(this.pool, jobId, this.owner);
  }

  markAnnounced(jobId: string): Promise<void> {
    return markAnnounced(this.pool, jobId);
  }
}
