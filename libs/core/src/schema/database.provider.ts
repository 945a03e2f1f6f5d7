import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { messageOf } from '#common/errors/sluice-error.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import { type ControlDatabaseOptions, controlDatabase } from './control-database.js';
import { assertSchemaIsCurrent } from './migrate.js';

const RETRY_INTERVAL_MS = 1_000;

/**
 * Connects a service to the control tables, for as long as it takes the database to be there.
 * @throws SluiceError SCHEMA_OUTDATED when `migrate` has to run first
 */
export async function connectDatabase(
  options: ControlDatabaseOptions & { readonly logger: Logger },
  entities: (new () => object)[] = [],
): Promise<DataSource> {
  const database = controlDatabase(options, entities);
  for (;;) {
    try {
      await database.initialize();
      await assertSchemaIsCurrent(database);
      return database;
    } catch (error) {
      if (database.isInitialized) await database.destroy();
      if (classifyDatabaseError(error) !== 'wait') throw error;
      options.logger.warn(`waiting for the database: ${messageOf(error)}`);
      await delay(RETRY_INTERVAL_MS);
    }
  }
}
