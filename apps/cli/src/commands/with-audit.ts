import { AuditLog } from '#common/access/audit-log.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { createPool } from '#common/postgres/pool.js';

/**
 * Gives `work` the audit of a database, for commands that work there beside the services.
 * @throws what `work` throws; SluiceError as `databaseProblem` makes it
 */
export async function withAudit<T>(databaseUrl: string, work: (log: AuditLog) => Promise<T>): Promise<T> {
  const pool = createPool({ url: databaseUrl, applicationName: 'sluice audit', maxConnections: 1 });
  try {
    return await work(new AuditLog(pool));
  } catch (error) {
    throw databaseProblem(error) ?? error;
  } finally {
    await pool.end();
  }
}
