/** A service that exports a metric. */
export type MetricSource = 'ingestor' | 'validator' | 'loader' | 'tracker';

/** What is promised about a metric. Its name ends with its unit, and a counter's with `_total`. */
export interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What one step of the value is: `seconds` and `bytes` are base units, anything else is counted. */
  readonly unit: string;
  readonly help: string;
  /** Bounded sets of values, never ids. The default label `service` and the scrape's `instance` come on top. */
  readonly labels: readonly string[];
  readonly from: readonly MetricSource[];
  /** Completes "look at it when …". */
  readonly lookWhen: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

const CONSUMERS = ['validator', 'loader', 'tracker'] as const;
const EVERY_SERVICE = ['ingestor', ...CONSUMERS] as const;

/**
 * Every metric of Sluice's own: `counter` and `gauge` of metrics.ts make no other. `docs/metrics.md` is written from it. Names and
 * labels are stable: dashboards and alerts of others depend on them.
 */
export const METRICS = {
  sluice_published_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Records in raw batches that the brokers have acknowledged',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'a job does not progress: it rises while a source is read',
  },
  sluice_published_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of the source that those batches cover, uncompressed',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'you compare the speed of sources',
  },
  sluice_stream_records_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Messages of the inbox that became part of a job',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'a stream seems to stand still',
  },
  sluice_stream_jobs_total: {
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs of the stream, by the bound that closed their range: records, bytes or time',
    labels: ['dataset', 'closed_by'],
    from: ['ingestor'],
    lookWhen: 'you choose the bounds of a stream',
  },
  sluice_stream_lag_records: {
    type: 'gauge',
    unit: 'messages',
    help: 'Messages of the inbox that are in no job yet; exported by the ingestor that holds the stream',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'producers send faster than the stream takes',
  },
  sluice_stream_lag_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Age of the oldest message that is not visible yet; exported by the ingestor that holds the stream',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'readers miss what producers have sent; alert on it',
  },
  sluice_stream_latency_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Per job of a stream: from the time of its oldest message until the job was visible, by the clocks of producer and database',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'readers see messages late',
    buckets: [0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 60, 300],
  },
  sluice_stream_state: {
    type: 'gauge',
    unit: 'streams',
    help: '1 for the state that the stream is in, else 0',
    labels: ['dataset', 'state'],
    from: ['ingestor'],
    lookWhen: 'a stream stops; alert on `paused`',
  },
  sluice_resubmitted_records_total: {
    type: 'counter',
    unit: 'dead letters',
    help: 'Dead letters that were sent again and have a repair job',
    labels: ['dataset'],
    from: ['ingestor'],
    lookWhen: 'you follow a repair',
  },
  sluice_replays_open: {
    type: 'gauge',
    unit: 'replays',
    help: 'Replays that have not ended',
    labels: [],
    from: ['ingestor'],
    lookWhen: 'jobs appear that no one has started',
  },
  sluice_replay_jobs_total: {
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs of replays that this ingestor has begun',
    labels: [],
    from: ['ingestor'],
    lookWhen: 'a replay does not progress',
  },
  sluice_validated_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Records validated, by verdict. Repeats after a restart count again.',
    labels: ['dataset', 'verdict'],
    from: ['validator'],
    lookWhen: 'the share of refused records changes',
  },
  sluice_findings_total: {
    type: 'counter',
    unit: 'findings',
    help: 'Findings, errors and warnings, by code. Repeats after a restart count again.',
    labels: ['dataset', 'code'],
    from: ['validator'],
    lookWhen: 'you ask why records are refused',
  },
  sluice_staged_rows_total: {
    type: 'counter',
    unit: 'rows',
    help: 'Rows copied into staging tables',
    labels: ['dataset', 'table'],
    from: ['loader'],
    lookWhen: 'validation progresses and loading does not',
  },
  sluice_clean_batches_total: {
    type: 'counter',
    unit: 'batches',
    help: 'Clean batches taken: loaded into staging, or dropped because their job had ended',
    labels: ['dataset', 'outcome'],
    from: ['loader'],
    lookWhen: 'a job was cancelled and the loader is busy with the rest of it',
  },
  sluice_merged_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Records of visible merges, by what became of them: inserted, updated, unchanged, deleted, superseded',
    labels: ['dataset', 'outcome'],
    from: ['loader'],
    lookWhen: 'a merge changes more or less than you expect',
  },
  sluice_job_faults_total: {
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs paused because an error that is not known came again and again',
    labels: ['dataset'],
    from: ['loader'],
    lookWhen: 'it rises at all; alert on any',
  },
  sluice_balance_failures_total: {
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs that failed because their ledger and their tables disagree (JOB_UNBALANCED)',
    labels: ['dataset'],
    from: ['loader'],
    lookWhen: 'it rises at all; alert on any',
  },
  sluice_jobs_ended_total: {
    type: 'counter',
    unit: 'jobs',
    help: 'Ends of jobs that the brokers have acknowledged, by state: succeeded, failed or cancelled. A resumed job ends again.',
    labels: ['dataset', 'state'],
    from: ['loader'],
    lookWhen: 'you compare how many jobs succeed and fail',
  },
  sluice_copy_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time that copying one group of clean batches into staging tables took, also where it failed',
    labels: ['dataset'],
    from: ['loader'],
    lookWhen: 'loading is slower than validation',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  sluice_finalize_step_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time that one step of a finalization took, with its waits, also where it failed. A repeated step counts again.',
    labels: ['step'],
    from: ['loader'],
    lookWhen: 'loaded jobs become visible late',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600],
  },
  sluice_announce_failures_total: {
    type: 'counter',
    unit: 'attempts',
    help: 'Attempts to announce the refusals or the end of a job that failed',
    labels: [],
    from: ['loader'],
    lookWhen: 'a job has ended and the tracker does not show it',
  },
  sluice_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Records that a stage has handled, whatever became of them; each counts once',
    labels: ['dataset', 'stage'],
    from: ['tracker'],
    lookWhen: 'you compare the stages of the path',
  },
  sluice_refused_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Refused records by reason; one with several reasons counts under each',
    labels: ['dataset', 'code'],
    from: ['tracker'],
    lookWhen: 'dead letters come in; each counts once, however often it is delivered',
  },
  sluice_repair_outcomes_total: {
    type: 'counter',
    unit: 'dead letters',
    help: 'Resubmitted dead letters by what became of them: landed, refused-again, or open again',
    labels: ['dataset', 'state'],
    from: ['tracker'],
    lookWhen: 'a correction does not help',
  },
  sluice_repair_jobs_undecided: {
    type: 'gauge',
    unit: 'jobs',
    help: 'Repair jobs that succeeded more than 5 minutes ago, and of which not all dead letters are indexed',
    labels: ['dataset'],
    from: ['tracker'],
    lookWhen: 'it is not 0: a dead letter may be parked, retry it',
  },
  sluice_dead_letter_corrections_total: {
    type: 'counter',
    unit: 'corrections',
    help: 'Corrections of dead letters that were stored or taken back, by what made them',
    labels: ['dataset', 'action'],
    from: ['tracker'],
    lookWhen: 'you ask how dead letters are repaired',
  },
  sluice_jobs: {
    type: 'gauge',
    unit: 'jobs',
    help: 'Jobs by state, as the job rows say',
    labels: ['dataset', 'state'],
    from: ['tracker'],
    lookWhen: 'a job has failed; no series while the database is unavailable',
  },
  sluice_traces_total: {
    type: 'counter',
    unit: 'traces',
    help: 'Traces that came to an answer',
    labels: ['dataset', 'verdict'],
    from: ['tracker'],
    lookWhen: 'you ask what people look for',
  },
  sluice_tracker_lag_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Time between the announcement and the folding of the newest event of the last delivery',
    labels: ['dataset'],
    from: ['tracker'],
    lookWhen: 'the progress that is shown is behind',
  },
  sluice_consumer_lag_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Age of the message that was delivered last, of the partition that is furthest behind; 0 when none is behind at its last fetch',
    labels: ['group'],
    from: CONSUMERS,
    lookWhen: 'a stage is slower than the one before it; alert on it',
  },
  sluice_consumer_lag_records: {
    type: 'gauge',
    unit: 'messages',
    help: 'Messages that are there and not handled, of the partitions that this process has fetched from, as of the last fetch of each',
    labels: ['group', 'topic'],
    from: CONSUMERS,
    lookWhen: 'you ask which dataset waits; sum it over the instances of a service',
  },
  sluice_rebalances_total: {
    type: 'counter',
    unit: 'rebalances',
    help: 'Times that this process joined its consumer group, or was given other partitions',
    labels: ['group'],
    from: CONSUMERS,
    lookWhen: 'consumers stop again and again for some seconds',
  },
  sluice_delivery_retries_total: {
    type: 'counter',
    unit: 'deliveries',
    help: 'Deliveries that failed and come again after a back-off',
    labels: ['group'],
    from: CONSUMERS,
    lookWhen: 'a stage waits for a server, or messages are about to be parked',
  },
  sluice_parked_messages_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Messages skipped because they cannot be read, decoded or handled',
    labels: ['topic'],
    from: CONSUMERS,
    lookWhen: 'it rises at all; alert on any. `npx sluice parked` lists them',
  },
  sluice_log_lines_dropped_total: {
    type: 'counter',
    unit: 'lines',
    help: 'Log lines that could not be written, as on a full disk',
    labels: [],
    from: EVERY_SERVICE,
    lookWhen: 'the log has gaps',
  },
} as const satisfies Readonly<Record<`sluice_${string}`, MetricFacts>>;

export type MetricName = keyof typeof METRICS;
