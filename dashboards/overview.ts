import { ALERT_STATES, FIRING_ALERTS, alertStates } from './alerts.js';
import type { Page } from './frame.js';
import { graph, stat, states, table } from './panels.js';
import { RANGE, answering, highest, orZero, rate, rise, series, state } from './queries.js';

const SERVICES = ['ingestor', 'validator', 'loader', 'tracker'] as const;
const UNDER_WAY = { state: '=~"queued|running|finalizing"' } as const;

/** @param root the top folder, for the names of the alerts */
export function overview(root: string): Page {
  return {
    uid: 'sluice-overview',
    title: 'Overview',
    description: 'Is everything in, and does anything need a person?',
    variables: [],
    rows: [
      {
        title: 'Now',
        panels: [
          stat({
            title: 'Alerts firing',
            description:
              'Alerts of alerts/sluice.rules.yml that fire. Without a value Prometheus does not evaluate these rules.',
            unit: 'none',
            queries: [{ expr: FIRING_ALERTS, legend: 'firing' }],
            redFrom: 1,
          }),
          stat({
            title: 'Processes that answer',
            description: 'Processes of each service whose metrics Prometheus reads. 0: the service is away.',
            unit: 'none',
            queries: SERVICES.map((service) => ({ expr: answering(service), legend: service })),
            redBelow: 1,
            width: 8,
            runbook: 'SluiceServiceMissing',
          }),
          stat({
            title: 'Jobs under way',
            description:
              'Jobs that wait, run or are finalized. Without a value the tracker, or its database, is away.',
            unit: 'none',
            queries: [{ expr: state('sluice_jobs', [], UNDER_WAY), legend: 'jobs' }],
          }),
          stat({
            title: 'Paused jobs',
            description: 'None of them continues before an operator decides.',
            unit: 'none',
            queries: [{ expr: orZero(state('sluice_paused_jobs'), 'sluice_jobs'), legend: 'paused' }],
            orangeFrom: 1,
            runbook: 'SluiceJobPaused',
          }),
          stat({
            title: 'Parked messages',
            description:
              'Messages that cannot be read or handled. A job whose batch is among them does not end.',
            unit: 'none',
            queries: [{ expr: highest('sluice_parked_messages'), legend: 'parked' }],
            redFrom: 1,
            runbook: 'SluiceMessageParked',
          }),
        ],
      },
      {
        title: 'Jobs and records',
        panels: [
          graph({
            title: 'Errors in 5 minutes',
            description: 'Log lines with the level error or fatal. From 5 on SluiceErrors fires.',
            unit: 'none',
            queries: [
              {
                expr: orZero(
                  rise('sluice_log_lines_total', '5m', ['service'], { level: '=~"error|fatal"' }),
                  'sluice_build_info',
                  'service',
                ),
                legend: '{{service}}',
              },
            ],
            redFrom: 5,
            runbook: 'SluiceErrors',
          }),
          graph({
            title: 'Ends of jobs in an hour',
            description: 'What became of the jobs that ended in the hour before. A resumed job ends again.',
            unit: 'none',
            queries: [{ expr: rise('sluice_jobs_ended_total', '1h', ['state']), legend: '{{state}}' }],
          }),
          graph({
            title: 'Records per second',
            description:
              'Records that each stage has handled, whatever became of them. A stage whose line is lower than the one before it falls behind.',
            unit: 'suffix: records/s',
            queries: [{ expr: rate('sluice_records_total', ['stage']), legend: '{{stage}}' }],
          }),
          stat({
            title: 'Records processed',
            description: 'Records that each stage has handled in the time range; each record counts once.',
            unit: 'short',
            queries: [{ expr: rise('sluice_records_total', RANGE, ['stage']), legend: '{{stage}}' }],
            width: 12,
          }),
          stat({
            title: 'Open dead letters',
            description: 'Refused records that were neither resubmitted nor discarded.',
            unit: 'short',
            queries: [{ expr: state('sluice_open_dead_letters'), legend: 'open' }],
          }),
          stat({
            title: 'Oldest open dead letter',
            description: 'Time since the start of the oldest job that has open dead letters; 0 without any.',
            unit: 's',
            queries: [{ expr: highest('sluice_oldest_open_dead_letter_seconds'), legend: 'age' }],
            redFrom: 7 * 86_400,
            runbook: 'SluiceDeadLettersOld',
          }),
          stat({
            title: 'Failed jobs',
            description: 'Jobs that have failed and were neither resumed nor discarded.',
            unit: 'none',
            queries: [{ expr: state('sluice_jobs', [], { state: '="failed"' }), legend: 'failed' }],
            orangeFrom: 1,
            runbook: 'SluiceJobFailed',
          }),
        ],
      },
      {
        title: 'What needs a person',
        panels: [
          states(
            {
              title: 'Alert states',
              description:
                'Every alert of Sluice. One that Prometheus does not know is missing here, rather than quiet.',
              unit: 'none',
              queries: [{ expr: alertStates(root), legend: '{{alertname}}' }],
              height: 14,
            },
            ALERT_STATES,
          ),
          table(
            {
              title: 'Recent failures',
              description: 'Jobs that failed in the time range, by dataset.',
              unit: 'none',
              queries: [
                {
                  expr: rise('sluice_jobs_ended_total', RANGE, ['dataset'], { state: '="failed"' }),
                  legend: '{{dataset}}',
                },
              ],
              redFrom: 1,
              width: 4,
              height: 14,
              runbook: 'SluiceJobFailed',
            },
            'failed jobs',
          ),
          table(
            {
              title: 'Recent dead letters',
              description:
                'Records that were refused in the time range, by dataset and reason: the ten most frequent.',
              unit: 'short',
              queries: [
                {
                  expr: `topk(10, ${orZero(rise('sluice_refused_records_total', RANGE, ['dataset', 'code']), 'sluice_jobs', 'code')})`,
                  legend: '{{dataset}} {{code}}',
                },
              ],
              width: 8,
              height: 14,
            },
            'records',
          ),
        ],
      },
      {
        title: 'Is anything late?',
        panels: [
          graph({
            title: 'Lag of the stages',
            description:
              'Age of the message that each consumer group handles, at its partition that is furthest behind. From 5 minutes on, when it grows, SluiceLagGrowing fires.',
            unit: 's',
            queries: [{ expr: highest('sluice_consumer_lag_seconds', ['group']), legend: '{{group}}' }],
            redFrom: 300,
            runbook: 'SluiceLagGrowing',
          }),
          graph({
            title: 'Lag of the streams',
            description:
              'Age of the oldest message of each stream that is not visible yet; 0 while no stream runs. From 60 s on SluiceStreamLatency fires.',
            unit: 's',
            queries: [
              {
                expr: orZero(
                  highest('sluice_stream_lag_seconds', ['dataset']),
                  'sluice_replays_open',
                  'dataset',
                ),
                legend: '{{dataset}}',
              },
            ],
            redFrom: 60,
            runbook: 'SluiceStreamLatency',
          }),
          graph({
            title: 'Time since the last success',
            description: 'Of each dataset that has ever succeeded. From 26 hours on SluiceNoSuccess fires.',
            unit: 's',
            queries: [
              {
                expr: `time() - max by (dataset) (${series('sluice_last_success_timestamp_seconds')})`,
                legend: '{{dataset}}',
              },
            ],
            redFrom: 26 * 3_600,
            runbook: 'SluiceNoSuccess',
          }),
        ],
      },
    ],
  };
}
