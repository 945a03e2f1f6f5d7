import type { Page } from './frame.js';
import { graph, table } from './panels.js';
import {
  CHOSEN_DATASET,
  CHOSEN_TOPICS,
  RANGE,
  busy,
  highest,
  orZero,
  quantile,
  rate,
  rise,
  spent,
  state,
  sum,
} from './queries.js';

const RECORDS = 'suffix: records/s';

export const jobPath: Page = {
  uid: 'sluice-job-path',
  title: 'Job path',
  description: 'How far are jobs, stage by stage, and where do they wait?',
  variables: ['dataset'],
  rows: [
    {
      title: 'The whole path',
      panels: [
        graph({
          title: 'Records by stage',
          description:
            'Records that each stage has handled. The stage that is slowest over the length of a job is the one to look at below.',
          unit: RECORDS,
          queries: [{ expr: rate('sluice_records_total', ['stage'], CHOSEN_DATASET), legend: '{{stage}}' }],
        }),
        graph({
          title: 'Records that wait, by topic',
          description:
            'Messages that are in a topic and not handled. In raw they wait for validators, in clean for loaders.',
          unit: 'short',
          queries: [
            { expr: sum('sluice_consumer_lag_records', ['topic'], CHOSEN_TOPICS), legend: '{{topic}}' },
          ],
        }),
        graph({
          title: 'Jobs by state',
          description:
            'Jobs as their rows say. What stays queued waits for an earlier job, or for an ingestor.',
          unit: 'none',
          queries: [{ expr: state('sluice_jobs', ['state'], CHOSEN_DATASET), legend: '{{state}}' }],
        }),
      ],
    },
    {
      title: 'Ingest',
      panels: [
        graph({
          title: 'Published records',
          description: 'Records in raw batches that the brokers have acknowledged.',
          unit: RECORDS,
          queries: [
            {
              expr: rate('sluice_published_records_total', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'Published bytes',
          description:
            'Bytes of the sources that these batches cover, uncompressed: how fast a source is read.',
          unit: 'Bps',
          queries: [
            {
              expr: rate('sluice_published_bytes_total', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'Published batches',
          description: 'Raw batches that the brokers have acknowledged.',
          unit: 'suffix: batches/s',
          queries: [
            {
              expr: rate('sluice_published_batches_total', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'Jobs that are read',
          description: 'By the ingestors together, of all datasets.',
          unit: 'none',
          queries: [{ expr: sum('sluice_ingesting_jobs'), legend: 'jobs' }],
          width: 12,
        }),
        graph({
          title: 'Requests to sources made again, in 5 minutes',
          description: 'By what went wrong. The job continues; steady ones make it slow.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_source_retries_total', '5m', ['reason']),
                'sluice_ingesting_jobs',
                'reason',
              ),
              legend: '{{reason}}',
            },
          ],
          width: 12,
        }),
      ],
    },
    {
      title: 'Validate',
      panels: [
        graph({
          title: 'Validated records by verdict',
          description: 'Repeats after a restart count again.',
          unit: RECORDS,
          queries: [
            {
              expr: rate('sluice_validated_records_total', ['verdict'], CHOSEN_DATASET),
              legend: '{{verdict}}',
            },
          ],
        }),
        graph({
          title: 'Share of refused records',
          description:
            'Of the records that were validated. A job whose share is above its limit fails, or is paused while it runs.',
          unit: 'percentunit',
          queries: [
            {
              expr: `${rate('sluice_validated_records_total', ['dataset'], { ...CHOSEN_DATASET, verdict: '="refused"' })} / ${rate('sluice_validated_records_total', ['dataset'], CHOSEN_DATASET)}`,
              legend: '{{dataset}}',
            },
          ],
          orangeFrom: 0.05,
        }),
        graph({
          title: 'Findings by category',
          description: 'Errors and warnings by what they are about. Repeats after a restart count again.',
          unit: 'suffix: findings/s',
          queries: [
            {
              expr: orZero(
                rate('sluice_findings_total', ['category'], CHOSEN_DATASET),
                'sluice_in_flight_limit_bytes',
                'category',
              ),
              legend: '{{category}}',
            },
          ],
        }),
        graph({
          title: 'Validated bytes',
          description: 'Bytes of the sources in raw batches that were taken.',
          unit: 'Bps',
          queries: [
            {
              expr: rate('sluice_validated_bytes_total', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'Raw batches by outcome',
          description: 'Validated, or passed on with a fault that ends or pauses their job.',
          unit: 'suffix: batches/s',
          queries: [
            {
              expr: rate('sluice_validated_batches_total', ['outcome'], CHOSEN_DATASET),
              legend: '{{outcome}}',
            },
          ],
        }),
        graph({
          title: 'Deliveries that wait for memory',
          description:
            'Of validators whose batches in hand are at their limit: they validate faster than Kafka takes.',
          unit: 'none',
          queries: [{ expr: sum('sluice_waiting_deliveries', ['instance']), legend: '{{instance}}' }],
        }),
      ],
    },
    {
      title: 'Load',
      panels: [
        graph({
          title: 'Staged rows by table',
          description: 'Rows that were copied into staging tables.',
          unit: 'suffix: rows/s',
          queries: [
            { expr: rate('sluice_staged_rows_total', ['table'], CHOSEN_DATASET), legend: '{{table}}' },
          ],
        }),
        graph({
          title: 'Clean batches by outcome',
          description: 'Batches that were loaded, or dropped because their job had ended.',
          unit: 'suffix: batches/s',
          queries: [
            { expr: rate('sluice_clean_batches_total', ['outcome'], CHOSEN_DATASET), legend: '{{outcome}}' },
          ],
        }),
        graph({
          title: 'Loaders busy with COPY',
          description:
            'How many loaders are copying at a moment, on average. As high as their number: PostgreSQL is the limit.',
          unit: 'none',
          queries: [{ expr: busy('sluice_copy_seconds', [], CHOSEN_DATASET), legend: 'busy loaders' }],
        }),
        graph({
          title: 'Groups of batches in hand',
          description: 'Loading, or waiting for the group of the same job before them.',
          unit: 'none',
          queries: [{ expr: sum('sluice_load_groups', ['state']), legend: '{{state}}' }],
          width: 24,
        }),
      ],
    },
    {
      title: 'Finalize',
      panels: [
        graph({
          title: 'Duration of finalization steps',
          description: '95 of 100 runs of a step took at most this long, with their waits. Of all datasets.',
          unit: 's',
          queries: [{ expr: quantile(0.95, 'sluice_finalize_step_seconds', ['step']), legend: '{{step}}' }],
        }),
        table(
          {
            title: 'Where finalization spent its time',
            description: 'Seconds in each step in the time range, of all datasets.',
            unit: 's',
            queries: [{ expr: spent('sluice_finalize_step_seconds', RANGE, ['step']), legend: '{{step}}' }],
          },
          'time',
        ),
        graph({
          title: 'Merged records by outcome',
          description: 'Records of visible merges, in the 5 minutes before, by what became of them.',
          unit: 'short',
          queries: [
            {
              expr: rise('sluice_merged_records_total', '5m', ['outcome'], CHOSEN_DATASET),
              legend: '{{outcome}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Where it waits',
      panels: [
        graph({
          title: 'Jobs that wait, by reason',
          description:
            'Jobs of all datasets that show what they wait for; docs/operations.md explains each code.',
          unit: 'none',
          queries: [{ expr: highest('sluice_waiting_jobs', ['reason']), legend: '{{reason}}' }],
          width: 12,
        }),
        graph({
          title: 'Oldest wait',
          description:
            'Of the oldest queued job of a dataset, or of the oldest wait that a job shows; 0 when none waits.',
          unit: 's',
          queries: [
            {
              expr: highest('sluice_oldest_waiting_job_seconds', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
          redFrom: 3_600,
          width: 12,
          runbook: 'SluiceJobWaits',
        }),
        graph({
          title: 'Deliveries that come again',
          description:
            'Deliveries that failed: their stage waits for a server, or the message is about to be parked.',
          unit: 'none',
          queries: [{ expr: rise('sluice_delivery_retries_total', '5m', ['group']), legend: '{{group}}' }],
        }),
        graph({
          title: 'Announcements that failed',
          description:
            'Attempts to announce refusals or the end of a job, in 5 minutes. Meanwhile the tracker shows the job as it was.',
          unit: 'none',
          queries: [{ expr: rise('sluice_announce_failures_total', '5m'), legend: 'attempts' }],
          orangeFrom: 1,
        }),
        graph({
          title: 'Progress that is shown is behind by',
          description: 'Time between the announcement of an event and its arrival in the read model.',
          unit: 's',
          queries: [
            {
              expr: highest('sluice_tracker_lag_seconds', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'Paused jobs by reason',
          description: 'Jobs of all datasets that are paused; none of them continues by itself.',
          unit: 'none',
          queries: [
            {
              expr: orZero(highest('sluice_paused_jobs', ['reason']), 'sluice_jobs', 'reason'),
              legend: '{{reason}}',
            },
          ],
          orangeFrom: 1,
          runbook: 'SluiceJobPaused',
        }),
        graph({
          title: 'Replays that have not ended',
          description: 'Each of them starts jobs, one after the other.',
          unit: 'none',
          queries: [{ expr: highest('sluice_replays_open'), legend: 'open' }],
        }),
        graph({
          title: 'Jobs begun by replays in an hour',
          description: 'While a replay is open and this stays 0, it waits.',
          unit: 'none',
          queries: [{ expr: rise('sluice_replay_jobs_total', '1h'), legend: 'jobs' }],
        }),
      ],
    },
    {
      title: 'Defects',
      panels: [
        graph({
          title: 'Jobs whose sums do not add up',
          description:
            'Their ledger and their tables disagreed, in the hour before. Any value above 0 needs a look.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_balance_failures_total', '1h', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
          redFrom: 1,
          width: 12,
          runbook: 'SluiceBalanceFailure',
        }),
        graph({
          title: 'Jobs paused by an unknown error',
          description: 'An error that Sluice does not know came again and again, in the hour before.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_job_faults_total', '1h', ['dataset'], CHOSEN_DATASET),
                'sluice_announce_failures_total',
                'dataset',
              ),
              legend: '{{dataset}}',
            },
          ],
          redFrom: 1,
          width: 12,
          runbook: 'SluiceJobPaused',
        }),
      ],
    },
  ],
};
