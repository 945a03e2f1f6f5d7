import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { StagingTarget } from './staging-targets.js';

/** A column that took no value at all of what was COPYed into it. */
export interface UnfitColumn {
  readonly target: StagingTarget;
  readonly column: string;
  readonly records: number;
}

/**
 * What a column of another type refuses of every record is a matter of the table: a text of a contract may be whatever
 * its rules make of it, so only its values tell (varchar → uuid). Once the job has loaded a record, the column takes
 * some values, and what it refuses is a record's fault again.
 * @param client in the transaction that has COPYed the batches
 * @returns why the job has to fail, or null
 */
export async function unfitColumnFault(
  client: pg.PoolClient,
  unfit: UnfitColumn | null,
  batches: readonly CleanMessage[],
): Promise<SluiceError | null> {
  const [first] = batches;
  if (unfit === null || first === undefined) return null;
  const { target, column, records } = unfit;
  const { rows } = await client.query<{ type: string; hasLoaded: boolean }>(
    `SELECT format_type(a.atttypid, a.atttypmod) AS type,
       EXISTS (SELECT FROM sluice.ledger WHERE job = $3 AND batch <> ALL($4::bigint[])
               AND accepted > jsonb_array_length(load_refusals)) AS "hasLoaded"
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'sluice_staging'::regnamespace AND c.relname = $1 AND a.attname = $2`,
    [target.stagingName, column, first.job, batches.map(({ batch }) => batch)],
  );
  const [found] = rows;
  if (found === undefined || found.hasLoaded) return null;
  return new SluiceError(
    'TARGET_DOES_NOT_FIT',
    `Column ${column} of ${target.table} is ${found.type}, and PostgreSQL could read none of the values that the first ` +
      `${records} records have for it.`,
    { job: first.job, dataset: first.dataset },
  );
}
