import { IsInt, IsOptional, IsString, IsUrl, Matches, Max, Min } from '#common/validation/class-validator.js';
import { IsBrokerList, IsFolderList, IsPostgresUrl, IsReadableFile, itemsOf } from '#common/config/checks.js';
import { Variable } from '#common/config/environment.js';
import { KafkaSecurityConfig } from '#common/config/kafka-security.config.js';

const anyHttpUrl = { require_tld: false, require_protocol: true, protocols: ['http', 'https'] };

/** What the command line itself reads from the environment; all of it may be left out. */
export class CliConfig extends KafkaSecurityConfig {
  @Variable('SLUICE_INGESTOR_URL', 'Where jobs are started; else the system that `sluice up` started here')
  @IsOptional()
  @IsUrl(anyHttpUrl, { message: 'ingestorUrl must be an http(s) address' })
  ingestorUrl?: string;

  @Variable('SLUICE_TRACKER_URL', 'Where progress is read; else the system that `sluice up` started here')
  @IsOptional()
  @IsUrl(anyHttpUrl, { message: 'trackerUrl must be an http(s) address' })
  trackerUrl?: string;

  @Variable(
    'SLUICE_LOCAL_TOKEN_FILE',
    'Token by which a caller on this machine may name any file; else .sluice/token',
  )
  @IsOptional()
  @IsString()
  localTokenFile?: string;

  @Variable(
    'SLUICE_TOKEN',
    'Token of the services, where SLUICE_ACCESS is token; made by `sluice token create`',
    {
      secret: true,
    },
  )
  @IsOptional()
  @Matches(/^[\x21-\x7e]{1,8192}$/, { message: 'token must be one word of ASCII' })
  token?: string;

  @Variable(
    'SLUICE_CONTEXT',
    'The context that commands go to, as `--context`; one that `sluice login` has made, or local',
  )
  @Matches(/^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$/, { message: 'context must be the name of a context' })
  context: string = '';

  @Variable(
    'SLUICE_CA_FILE',
    'Authorities that the certificates of SLUICE_INGESTOR_URL and SLUICE_TRACKER_URL may come from',
  )
  @IsReadableFile()
  caFile: string = '';

  @Variable(
    'XDG_CONFIG_HOME',
    'Where `sluice login` keeps contexts, in a folder sluice; else .config of the home folder',
  )
  @IsString()
  configHome: string = '';

  @Variable(
    'DATABASE_URL',
    'What `migrate`, `token` and `rebuild` work on; else the system that `sluice up` started here',
    { secret: true, reread: true },
  )
  @IsOptional()
  @IsPostgresUrl()
  databaseUrl?: string;

  @Variable(
    'KAFKA_BROKERS',
    'What `migrate`, `rebuild` and `produce` work on; else the system that `sluice up` started here',
  )
  @IsOptional()
  @IsBrokerList()
  kafkaBrokers?: string;

  @Variable('SLUICE_TOPIC_PARTITIONS', 'Partitions of the topics that `migrate` creates')
  @IsInt()
  @Min(1)
  @Max(1000)
  topicPartitions: number = 6;

  @Variable('SLUICE_TOPIC_REPLICATION', 'Replicas of the topics that `migrate` creates')
  @IsInt()
  @Min(1)
  @Max(10)
  topicReplication: number = 1;

  @Variable('SLUICE_DATASET_PATHS', 'More folders of datasets, separated by colons')
  @IsFolderList()
  datasetPaths: string = '';

  @Variable('NO_COLOR', 'Any value: no colours (no-color.org)')
  @IsString()
  noColor: string = '';

  @Variable('VISUAL', 'The editor that `dead-letters edit` opens; else EDITOR')
  @IsString()
  visual: string = '';

  @Variable('EDITOR', 'The editor that `dead-letters edit` opens where VISUAL is not set')
  @IsString()
  editor: string = '';

  extraDatasetPaths(): string[] {
    return this.datasetPaths.split(':').filter((path) => path !== '');
  }

  override crossCheck(): readonly string[] {
    return [...super.crossCheck(), ...this.plainProblems(itemsOf(this.kafkaBrokers ?? ''))];
  }
}
