import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { messageOf } from '#common/errors/sluice-error.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { assertDatabaseFits, assertSchemaIsCurrent } from './check-database.js';
import { type ControlDatabaseOptions, controlDatabase } from './control-database.js';

const RETRY_INTERVAL_MS = 1_000;

/**
 * Connects a service to the control tables, for as long as it takes the database to be there.
 * @throws SluiceError SCHEMA_OUTDATED when `migrate` has to run first; SCHEMA_NEWER; DATABASE_UNSUITABLE;
 *   DATABASE_REFUSED
 */
export async function connectDatabase(
  options: ControlDatabaseOptions & {
    readonly logger: Logger;
    /** Called once, with the pool beneath. */
    readonly onConnected?: (pool: Pool) => void;
  },
  entities: (new () => object)[] = [],
): Promise<DataSource> {
  const database = controlDatabase(options, entities);
  await untilThere(options.logger, async () => {
    try {
      await database.initialize();
      await assertFits(clientOf(database));
    } catch (error) {
      if (database.isInitialized) await database.destroy();
      throw error;
    }
  });
  options.onConnected?.(poolOf(database));
  return database;
}

/**
 * The same for a service that has a plain pool only.
 * @param work more to be done before the service begins, on the database that fits
 * @throws as {@link connectDatabase}
 */
export async function checkDatabase(
  pool: Pool,
  logger: Logger,
  work: (client: SqlClient) => Promise<void>,
): Promise<void> {
  await untilThere(logger, async () => {
    await assertFits(pool);
    await work(pool);
  });
}

async function assertFits(client: SqlClient): Promise<void> {
  await assertDatabaseFits(client);
  await assertSchemaIsCurrent(client);
}

/** Waits for the database as long as it is merely away. */
async function untilThere(logger: Logger, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const problem = databaseProblem(error) ?? error;
      if (classifyDatabaseError(error) !== 'wait') throw problem;
      logger.warn(`waiting for the database: ${messageOf(problem)}`);
      await delay(RETRY_INTERVAL_MS);
    }
  }
}

/** TypeORM answers the rows alone. */
function clientOf(database: DataSource): SqlClient {
  return {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the interface's signature
    query: async <R>(sql: string, parameters?: unknown[]) => {
      const rows = await database.query<R[]>(sql, parameters);
      return { rows, rowCount: rows.length };
    },
  };
}
