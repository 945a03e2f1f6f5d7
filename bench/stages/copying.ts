/** COPY into staging tables: the loader's way, and psql's. */
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { groupsWithin } from '#common/kafka/transport/fetched-messages.js';
import { inTransaction } from '#common/postgres/pool.js';
import { RECORD_COLUMN, quotedStagingTable } from '#core/staging/staging-names.js';
import { createStaging, dropStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { copyInto } from '../../apps/loader/src/load/copy-sections.js';
import { LOAD_GROUP } from '../../apps/loader/src/load/group-loader.js';
import { stagingTargets } from '../../apps/loader/src/load/staging-targets.js';
import { type Psql, copyFrom } from '../baselines/psql.js';
import type { CleanBatch, CleanText } from './clean-text.js';
import type { Amount } from './stage-run.js';

/** Does some work on empty staging tables, which go afterwards. @param work gets the job that they are named after */
export async function withStaging<T>(
  pool: pg.Pool,
  plan: readonly TablePlan[],
  work: (job: string) => Promise<T>,
): Promise<T> {
  const job = uuidv7();
  await inTransaction(pool, (client) => createStaging(client, plan, { id: job, mode: 'replace' }));
  try {
    return await work(job);
  } finally {
    await dropStaging(pool, { id: job });
  }
}

/** The loader's way: groups of batches, a transaction each, on several connections side by side. */
export async function copyGroups(
  pool: pg.Pool,
  text: CleanText,
  job: string,
  connections: number,
): Promise<Amount> {
  const groups = groupsWithin(text.batches, LOAD_GROUP, bytesOf);
  const targets = stagingTargets(text.plan, job);
  const load = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const batches = group;
      await inTransaction(pool, async (client) => {
        for (const [table, target] of targets.entries()) {
          await copyInto(client, target, text.read(table, batches), () => undefined);
        }
      });
    }
  };
  await Promise.all(Array.from({ length: connections }, load));
  return { rows: text.rows, bytes: text.bytes };
}

/** psql's way: the same text, one `\copy` a table, each a transaction. */
export async function copyWithPsql(psql: Psql, text: CleanText, job: string): Promise<Amount> {
  const script = text.files.map(({ plan: { table, columns }, path }) =>
    copyFrom(quotedStagingTable(table, job), [RECORD_COLUMN, ...columns], path),
  );
  await psql.run('stages-copy', script.join(''));
  return { rows: text.rows, bytes: text.bytes };
}

function bytesOf(batch: CleanBatch): number {
  return batch.reduce((sum, { bytes }) => sum + bytes, 0);
}
