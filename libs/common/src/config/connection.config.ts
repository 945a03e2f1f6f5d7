import { IsInt, IsString, Matches, Max, Min } from '#common/validation/class-validator.js';
import { AccessConfig } from './access.config.js';
import { IsFolderList, IsPostgresUrl } from './checks.js';
import { Variable } from './environment.js';

/** What every service needs: Kafka, PostgreSQL, its own port, the datasets. */
export class ConnectionConfig extends AccessConfig {
  @Variable('DATABASE_URL', 'postgres://user:password@host:port/database', { secret: true, reread: true })
  @IsPostgresUrl()
  databaseUrl: string = 'postgres://postgres@127.0.0.1:5432/sluice';

  @Variable('SLUICE_DATASET_PATHS', 'More folders of datasets, separated by colons')
  @IsFolderList()
  datasetPaths: string = '';

  @Variable('SLUICE_LOG_LEVEL', 'trace, debug, info, warn, error or fatal')
  @Matches(/^(trace|debug|info|warn|error|fatal)$/, { message: 'logLevel must be a pino level' })
  logLevel: string = 'info';

  @Variable('SLUICE_DRAIN_TIMEOUT_MS', 'How long SIGTERM may take before the process ends anyway')
  @IsInt()
  @Min(1000)
  @Max(600_000)
  drainTimeoutMs: number = 25_000;

  @Variable(
    'SLUICE_SESSION_TIMEOUT_MS',
    'A consumer that is silent for this long loses its partitions to others (Kafka session time-out)',
  )
  @IsInt()
  // A broker refuses less than its group.min.session.timeout.ms, which is 6,000 by default.
  @Min(1_000)
  @Max(300_000)
  sessionTimeoutMs: number = 30_000;

  @Variable(
    'SLUICE_FAULT_FOLDER',
    'For tests only: a file here, named like a fault point, ends or stalls the process',
  )
  @IsString()
  faultFolder: string = '';

  extraDatasetPaths(): string[] {
    return this.datasetPaths.split(':').filter((path) => path !== '');
  }
}
