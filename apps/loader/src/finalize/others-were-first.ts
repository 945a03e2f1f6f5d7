import type { PoolClient } from 'pg';
import { ARRIVING, FATE, GONE, type MergedTables, PART, SAME, equal, isStillThere } from './merge-sql.js';

/**
 * Whether another session was first where fewer rows were written than were judged: a row with a key that was new stands in
 * the table by now, a row that was to be updated has changed, or one that was to be deleted is gone. Where a trigger or a
 * policy has taken rows away, none of it is so. Rows of deletes are locked before, so no other session is first there.
 *
 * Asked when what was written is undone: a trigger may have written the row itself. A row that another session inserts and
 * removes within the same moment is not seen, so one answer decides nothing.
 */
export async function othersWereFirst(
  client: PoolClient,
  { main, children }: MergedTables,
): Promise<boolean> {
  const parts = [
    `EXISTS (SELECT FROM ${ARRIVING} AS a JOIN ${main.target} AS p ON ${equal(main.plan.key, 'p', 'a')}
       WHERE a.${FATE} = 'i')`,
    `EXISTS (SELECT FROM ${ARRIVING} AS a WHERE a.${FATE} = 'u'
       AND NOT EXISTS (SELECT FROM ${main.target} AS p WHERE ${isStillThere('p', 'a')}))`,
    ...children.map(
      ({ list, target }) => `EXISTS (SELECT FROM ${list} AS d WHERE NOT d.${SAME} AND d.${GONE} IS NOT NULL
         AND NOT EXISTS (SELECT FROM ${target} AS p WHERE p.ctid = d.${GONE} AND p.tableoid = d.${PART}))`,
    ),
  ];
  const { rows } = await client.query<{ first: boolean }>(`SELECT ${parts.join(' OR ')} AS first`);
  return rows[0]?.first === true;
}
