import type { ErrorCode } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { WriteMode } from '../../dataset/dataset.js';
import { withEmptySearchPath } from '../inspect-targets.js';
import { type TablePlan, targetsOf } from '../table-plan.js';
import { unfilledColumns } from './drift.js';
import { type ProblemQuery, findsAny, problemsOf } from './problem-queries.js';
import { publicationsOfStaging } from './publications.js';
import { rightsQueries } from './rights.js';
import { loaderRole } from './service-role.js';
import { silentTriggers } from './triggers.js';

/**
 * Looks, before a job's first record is read, for what would stop it at its end or make it refuse every record: none of
 * it is a record's fault, and none of it is worth hours of loading.
 *
 * - TC1: each problem names the object and what to do, in the words of the statement that does it.
 * - TC2: rights are those of the role as whom the loader works, not of the one that starts the job.
 * - TC3: nothing is changed, and nothing is read but the catalogs.
 * - TC4: where nothing is wrong, two queries say so; eight of them, one by one, were six milliseconds of each small job.
 */
export interface CheckedJob {
  readonly mode: WriteMode;
  /** Rows of the main table may be deleted. */
  readonly takesDeletes?: boolean;
}

/**
 * @param client in the transaction that starts the job
 * @throws SluiceError TARGET_DOES_NOT_FIT, TARGET_PUBLISHED, TARGET_HAS_TRIGGERS, TARGET_FORBIDDEN, each naming
 *   everything of its kind
 */
export async function checkTargets(
  client: SqlClient,
  plan: readonly TablePlan[],
  { mode, takesDeletes = false }: CheckedJob,
): Promise<void> {
  const targets = targetsOf(plan);
  const checks: readonly [ErrorCode, string, readonly ProblemQuery[]][] = [
    ['TARGET_DOES_NOT_FIT', 'Every record would be refused', [unfilledColumns(plan)]],
    ['TARGET_PUBLISHED', 'Staging tables would be published', [publicationsOfStaging(targets)]],
    [
      'TARGET_HAS_TRIGGERS',
      `Mode replace puts new tables into ${targets.schema} and fires no triggers`,
      mode === 'replace' ? [silentTriggers(targets)] : [],
    ],
    [
      'TARGET_FORBIDDEN',
      'Rights are missing',
      rightsQueries(plan, { mode, takesDeletes }, await loaderRole(client)),
    ],
  ];
  const all = checks.flatMap(([, , queries]) => queries);
  if (!(await findsAny(client, all))) return;
  await withEmptySearchPath(client, async () => {
    for (const [code, what, queries] of checks) {
      const problems = await problemsOf(client, queries);
      if (problems.length > 0) throw new SluiceError(code, `${what}: ${problems.join('; ')}.`);
    }
  });
}
