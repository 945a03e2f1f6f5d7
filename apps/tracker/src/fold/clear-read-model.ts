import type pg from 'pg';
import { DEAD_LETTER_STATES } from '#api/dead-letters.js';
import { countColumn } from '#core/repair/dead-letter-state.js';

const DECIDED = DEAD_LETTER_STATES.filter((state) => state !== 'open');
const countsOfStates = DECIDED.map(
  (state) => `count(*) FILTER (WHERE letter.state = '${state}')::bigint AS ${countColumn(state)}`,
).join(', ');

/**
 * Empties the read model but for dead letters that something was decided about: they stay with their groups, columns and
 * counts, which are counted again, and find themselves known when the topics are folded again (docs/decisions/0022). No tracker folds meanwhile;
 * a resubmission, which the ingestor makes, is waited for.
 * @param client in a transaction
 */
export async function clearReadModel(client: pg.PoolClient): Promise<void> {
  await client.query('LOCK TABLE sluice.dead_letter IN EXCLUSIVE MODE');
  await client.query('TRUNCATE sluice.job_batch, sluice.job_stage');
  const { rowCount } = await client.query('SELECT FROM sluice.dead_letter WHERE state = ANY($1) LIMIT 1', [
    DECIDED,
  ]);
  if (rowCount === 0) {
    await client.query('TRUNCATE sluice.dead_letter, sluice.letter_columns, sluice.dead_letter_group');
    return;
  }
  await client.query(`DELETE FROM sluice.dead_letter WHERE state = 'open'`);
  await client.query(
    `DELETE FROM sluice.letter_columns AS list
      WHERE NOT EXISTS (SELECT FROM sluice.dead_letter WHERE columns_id = list.id)`,
  );
  await client.query(
    `DELETE FROM sluice.dead_letter_group AS known
      WHERE NOT EXISTS (SELECT FROM sluice.dead_letter WHERE group_id = known.id)`,
  );
  await client.query(
    `UPDATE sluice.dead_letter_group AS known SET open = 0, ${DECIDED.map((state) => `${countColumn(state)} = kept.${countColumn(state)}`).join(', ')}
       FROM (SELECT group_id, ${countsOfStates} FROM sluice.dead_letter AS letter GROUP BY group_id) AS kept
      WHERE kept.group_id = known.id`,
  );
  await client.query(
    `INSERT INTO sluice.job_stage (job, stage, batches, records, bytes, accepted, refused, skipped, warnings,
                                   dead_letters, findings, ${DECIDED.map(countColumn).join(', ')})
     SELECT job, stage, 0, 0, 0, 0, 0, 0, 0, count(*), '{}', ${countsOfStates}
       FROM sluice.dead_letter AS letter GROUP BY job, stage`,
  );
}
