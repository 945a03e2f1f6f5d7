import { IsInt, IsOptional, IsString, Max, Min } from '#common/validation/class-validator.js';
import { IsBrokerList, IsPostgresUrl } from '#common/config/checks.js';
import { Variable } from '#common/config/environment.js';

/** What `sluice up` reads from the environment; all of it may be left out. */
export class LocalConfig {
  @Variable('KAFKA_BROKERS', 'Brokers to use; without it `sluice up` starts its own Kafka')
  @IsOptional()
  @IsBrokerList()
  kafkaBrokers?: string;

  @Variable('DATABASE_URL', 'PostgreSQL to use; without it `sluice up` starts its own', {
    secret: true,
  })
  @IsOptional()
  @IsPostgresUrl()
  databaseUrl?: string;

  @Variable(
    'SLUICE_LOCAL_FOLDER',
    'Where a local system keeps state, logs and data; else .sluice in the checkout',
  )
  @IsOptional()
  @IsString()
  folder?: string;

  @Variable('SLUICE_INGESTORS', 'How many ingestors `sluice up` starts')
  @IsInt()
  @Min(0)
  @Max(16)
  ingestors: number = 1;

  @Variable('SLUICE_VALIDATORS', 'How many validators `sluice up` starts')
  @IsInt()
  @Min(0)
  @Max(16)
  validators: number = 1;

  @Variable('SLUICE_LOADERS', 'How many loaders `sluice up` starts')
  @IsInt()
  @Min(0)
  @Max(16)
  loaders: number = 1;

  @Variable('SLUICE_TRACKERS', 'How many trackers `sluice up` starts')
  @IsInt()
  @Min(0)
  @Max(16)
  trackers: number = 1;

  @Variable(
    'SLUICE_READY_TIMEOUT_MS',
    'How long each part may take until it is ready, when `sluice up` starts it',
  )
  @IsInt()
  @Min(1_000)
  @Max(3_600_000)
  readyTimeoutMs: number = 120_000;

  @Variable('SLUICE_DRAIN_TIMEOUT_MS', 'How long SIGTERM may take before the process ends anyway')
  @IsInt()
  @Min(1_000)
  @Max(600_000)
  drainTimeoutMs: number = 25_000;

  @Variable('SLUICE_KAFKA_HEAP_MB', 'Largest heap of the local Kafka, in MiB')
  @IsInt()
  @Min(128)
  @Max(65_536)
  kafkaHeapMb: number = 512;

  @Variable('JAVA_HOME', 'Folder of the Java that runs the local Kafka; without it the one in PATH')
  @IsOptional()
  @IsString()
  javaHome?: string;
}
