import { IsIn, IsInt, IsString, Matches, Max, Min } from '../validation/class-validator.js';
import ipaddr from 'ipaddr.js';
import { ACCESS_MODES, type AccessMode } from '../access/access-modes.js';
import { IsFolderList, IsListenAddress, IsPostgresUrl, IsReadableFile } from './checks.js';
import { Variable } from './environment.js';
import { MessageKeyConfig } from './message-key.config.js';

/** What every service needs: Kafka, PostgreSQL, its own port, the datasets. */
export class ConnectionConfig extends MessageKeyConfig {
  @Variable('DATABASE_URL', 'postgres://user:password@host:port/database', { secret: true, reread: true })
  @IsPostgresUrl()
  databaseUrl: string = 'postgres://postgres@127.0.0.1:5432/sluice';

  @Variable(
    'SLUICE_HOST',
    'Address that the HTTP port listens on; 127.0.0.1 keeps it closed to other machines',
  )
  @IsListenAddress()
  host: string = '127.0.0.1';

  @Variable(
    'SLUICE_ACCESS',
    'local: only this machine reaches the port; token: every caller needs a token (`sluice token`); open: a proxy in front asks for a login',
  )
  @IsIn(ACCESS_MODES)
  access: AccessMode = 'local';

  @Variable('SLUICE_METRICS_OPEN', 'true: with SLUICE_ACCESS=token, /metrics needs no token')
  @Matches(/^(true|false)$/, { message: 'metricsOpen must be true or false' })
  metricsOpen: string = 'false';

  @Variable(
    'SLUICE_LOCAL_TOKEN_FILE',
    'File with the token by which callers on this machine prove themselves',
  )
  @IsReadableFile()
  localTokenFile: string = '';

  @Variable(
    'SLUICE_ALLOWED_HOSTS',
    'Host names of a proxy or cluster that requests may use, separated by commas; .example.org for all names below it',
  )
  @Matches(/^(\s*\.?[A-Za-z0-9_.:[\]-]+\s*(,|$))*$/, {
    message: 'allowedHosts must be host names or addresses without ports, separated by commas',
  })
  allowedHosts: string = '';

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

  override crossCheck(): readonly string[] {
    const problems = super.crossCheck();
    if (this.access !== 'local' || isLoopback(this.host)) return problems;
    return [
      ...problems,
      `SLUICE_HOST ${this.host} opens the port to other machines, and SLUICE_ACCESS is local: set SLUICE_ACCESS=token, and make tokens with \`sluice token create\`, or set SLUICE_ACCESS=open where a proxy in front asks for a login`,
    ];
  }

  /** Names and addresses that requests may come by, besides those of the socket (libs/common/src/http). */
  extraHosts(): string[] {
    return this.allowedHosts
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== '');
  }

  extraDatasetPaths(): string[] {
    return this.datasetPaths.split(':').filter((path) => path !== '');
  }
}

/** A name other than `localhost` may mean any address. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}
