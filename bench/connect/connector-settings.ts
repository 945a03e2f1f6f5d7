/** Settings of the worker and the sink: everything that makes them faster here, and nothing that weakens them. PURE. */

export interface SinkTarget {
  readonly topic: string;
  /** `schema.table` */
  readonly table: string;
  readonly databaseUrl: string;
  /** At most as many tasks as partitions do something. */
  readonly tasks: number;
}

/** Rows of one statement; 2,000 and 30,000 cost about the same (docs/performance.md). */
const BATCH_ROWS = 10_000;
const FETCH_BYTES = 16 * 1024 * 1024;
const PARTITION_FETCH_BYTES = 4 * 1024 * 1024;
const FETCH_MIN_BYTES = 1024 * 1024;

/** Names of `tax_registration`'s columns that a record gives, with their types in Connect. */
export const SINK_COLUMNS = {
  ban: 'string',
  headquarters_ban: 'string',
  business_name: 'string',
  business_address: 'string',
  capital_amount: 'int64',
  business_setup_date: 'string',
  setup_date: 'date',
  business_type: 'string',
  is_use_invoice: 'boolean',
  data_source_date: 'date',
} as const;

export type SinkType = (typeof SINK_COLUMNS)[keyof typeof SINK_COLUMNS];

const NOT_NULL: ReadonlySet<string> = new Set(['ban']);

/** For JsonConverter's `schema.content`: what otherwise every message would have to carry. */
export function valueSchema(): object {
  const fields = Object.entries(SINK_COLUMNS).map(([field, type]) => ({
    field,
    optional: !NOT_NULL.has(field),
    ...(type === 'date'
      ? { type: 'int32', name: 'org.apache.kafka.connect.data.Date', version: 1 }
      : { type }),
  }));
  return { type: 'struct', name: 'registration', optional: false, fields };
}

export function workerSettings(
  brokers: readonly string[],
  port: number,
  plugins: string,
  offsets: string,
): Record<string, string | number | boolean> {
  return {
    'bootstrap.servers': brokers.join(','),
    listeners: `http://127.0.0.1:${port}`,
    'plugin.path': plugins,
    'plugin.discovery': 'service_load',
    'offset.storage.file.filename': offsets,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': true,
    'connector.client.config.override.policy': 'All',
  };
}

/** @param more over these */
export function sinkSettings(
  { topic, table, databaseUrl, tasks }: SinkTarget,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const url = new URL(databaseUrl);
  return {
    'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
    'tasks.max': String(tasks),
    topics: topic,
    // KIP-1054 (Kafka 4.2): the schema stands here once, and not in each message.
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'true',
    'value.converter.schema.content': JSON.stringify(valueSchema()),
    'connection.url': `jdbc:postgresql://${url.host}${url.pathname}?reWriteBatchedInserts=true&prepareThreshold=1`,
    'connection.username': decodeURIComponent(url.username),
    'connection.password': decodeURIComponent(url.password),
    'insert.mode': 'upsert',
    'primary.key.mode': 'record_value',
    'primary.key.fields': 'ban',
    'collection.name.format': table,
    'schema.evolution': 'none',
    // One statement for a batch, `INSERT … SELECT … FROM unnest(…) ON CONFLICT`, instead of one for each record.
    'dialect.postgres.unnest.insert.enabled': 'true',
    'batch.size': String(BATCH_ROWS),
    'consumer.override.max.poll.records': String(BATCH_ROWS),
    'consumer.override.fetch.max.bytes': String(FETCH_BYTES),
    'consumer.override.max.partition.fetch.bytes': String(PARTITION_FETCH_BYTES),
    'consumer.override.fetch.min.bytes': String(FETCH_MIN_BYTES),
    'consumer.override.fetch.max.wait.ms': '200',
    'consumer.override.auto.offset.reset': 'earliest',
    ...more,
  };
}
