import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { poolConfig } from '#common/postgres/pool.js';
import { Job } from '../job/job.entity.js';
import { LedgerRow } from '../ledger/ledger.entity.js';
import { ControlTables1700000000001 } from './migrations/0001-control-tables.js';
import { TrackerTables1700000000002 } from './migrations/0002-tracker-tables.js';
import { LetterColumns1700000000003 } from './migrations/0003-letter-columns.js';
import { GoingOn1700000000004 } from './migrations/0004-going-on.js';
import { ForeignMessages1700000000005 } from './migrations/0005-foreign-messages.js';
import { DeclaredWaits1700000000006 } from './migrations/0006-declared-waits.js';
import { RemovedRows1700000000007 } from './migrations/0007-removed-rows.js';
import { ServiceRoles1700000000008 } from './migrations/0008-service-roles.js';
import { SourceCredentials1700000000009 } from './migrations/0009-source-credentials.js';
import { ParkedStates1700000000010 } from './migrations/0010-parked-states.js';
import { AnnounceLease1700000000013 } from './migrations/0013-announce-lease.js';
import { BatchSets1700000000014 } from './migrations/0014-batch-sets.js';
import { UnknownMembers1700000000015 } from './migrations/0015-unknown-members.js';

/** Every migration of the control tables, oldest first; the last one's name is the schema that services need. */
export const CONTROL_MIGRATIONS = [
  ControlTables1700000000001,
  TrackerTables1700000000002,
  LetterColumns1700000000003,
  GoingOn1700000000004,
  ForeignMessages1700000000005,
  DeclaredWaits1700000000006,
  RemovedRows1700000000007,
  ServiceRoles1700000000008,
  SourceCredentials1700000000009,
  ParkedStates1700000000010,
  AnnounceLease1700000000013,
  BatchSets1700000000014,
  UnknownMembers1700000000015,
];

export interface ControlDatabaseOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections?: number;
}

/** TypeORM's DataSource over the schema `sluice`; not yet initialized. Synchronizing is never used. */
export function controlDatabase(
  options: ControlDatabaseOptions,
  moreEntities: (new () => object)[] = [],
): DataSource {
  const maxConnections = options.maxConnections ?? 4;
  return new DataSource({
    type: 'postgres',
    url: options.url,
    schema: 'sluice',
    applicationName: options.applicationName,
    poolSize: maxConnections,
    extra: poolConfig({ ...options, maxConnections }),
    entities: [Job, LedgerRow, ...moreEntities],
    migrations: CONTROL_MIGRATIONS,
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'each',
  });
}

/**
 * The pool beneath TypeORM, for plain SQL on the same connections.
 * @param database initialized
 */
export function poolOf(database: DataSource): Pool {
  return (database.driver as PostgresDriver).master as Pool;
}
