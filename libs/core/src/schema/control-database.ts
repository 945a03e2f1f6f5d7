import { DataSource } from 'typeorm';
import { poolConfig } from '#common/postgres/pool.js';
import { Job } from '../job/job.entity.js';
import { LedgerRow } from '../ledger/ledger.entity.js';
import { Stream } from '../stream/stream.entity.js';
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
import { StrictJobs1700000000016 } from './migrations/0016-strict-jobs.js';
import { Lanes1700000000017 } from './migrations/0017-lanes.js';
import { MessagesOfDeadLetters1700000000018 } from './migrations/0018-messages-of-dead-letters.js';
import { Streams1700000000019 } from './migrations/0019-streams.js';
import { Repair1700000000020 } from './migrations/0020-repair.js';
import { Edits1700000000021 } from './migrations/0021-edits.js';
import { Resubmission1700000000022 } from './migrations/0022-resubmission.js';
import { Replays1700000000023 } from './migrations/0023-replays.js';
import { StreamHours1700000000024 } from './migrations/0024-stream-hours.js';
import { History1700000000025 } from './migrations/0025-history.js';
import { ResubmissionPages1700000000026 } from './migrations/0026-resubmission-pages.js';
import { AccessTokens1700000000027 } from './migrations/0027-access-tokens.js';
import { Audit1700000000028 } from './migrations/0028-audit.js';

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
  StrictJobs1700000000016,
  Lanes1700000000017,
  MessagesOfDeadLetters1700000000018,
  Streams1700000000019,
  Repair1700000000020,
  Edits1700000000021,
  Resubmission1700000000022,
  Replays1700000000023,
  StreamHours1700000000024,
  History1700000000025,
  ResubmissionPages1700000000026,
  AccessTokens1700000000027,
  Audit1700000000028,
];

export interface ControlDatabaseOptions {
  readonly url: string | (() => string);
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
    url: typeof options.url === 'string' ? options.url : options.url(),
    schema: 'sluice',
    applicationName: options.applicationName,
    poolSize: maxConnections,
    extra: poolConfig({ ...options, maxConnections }),
    entities: [Job, LedgerRow, Stream, ...moreEntities],
    migrations: CONTROL_MIGRATIONS,
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'each',
  });
}
