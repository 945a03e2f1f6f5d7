import type { Page } from './frame.js';
import { graph, stat, table } from './panels.js';
import { CHOSEN_DATASET, RANGE, highest, orZero, rise, series, state } from './queries.js';

const sinceLastSuccess = `time() - max by (dataset) (${series('sluice_last_success_timestamp_seconds', CHOSEN_DATASET)})`;

export const dataset: Page = {
  uid: 'sluice-dataset',
  title: 'Dataset',
  description: 'Is the data of a dataset fresh, what was refused of it, and what is done about that?',
  variables: ['dataset'],
  rows: [
    {
      title: 'Fresh?',
      panels: [
        stat({
          title: 'Time since the last success',
          description:
            'Readers see what the last successful job made. A dataset that never succeeded is not here.',
          unit: 's',
          queries: [{ expr: sinceLastSuccess, legend: '{{dataset}}' }],
          redFrom: 26 * 3_600,
          width: 12,
          runbook: 'SluiceNoSuccess',
        }),
        stat({
          title: 'Ends of jobs',
          description: 'What became of the jobs that ended in the time range.',
          unit: 'none',
          queries: [
            { expr: rise('sluice_jobs_ended_total', RANGE, ['state'], CHOSEN_DATASET), legend: '{{state}}' },
          ],
          width: 12,
        }),
        table(
          {
            title: 'Jobs by dataset and state',
            description: 'Jobs as their rows say, at the end of the time range.',
            unit: 'none',
            queries: [
              {
                expr: `${state('sluice_jobs', ['dataset', 'state'], CHOSEN_DATASET)} > 0`,
                legend: '{{state}}',
              },
            ],
          },
          'jobs',
        ),
        graph({
          title: 'Records handled in an hour',
          description: 'By stage; each record counts once.',
          unit: 'short',
          queries: [
            { expr: rise('sluice_records_total', '1h', ['stage'], CHOSEN_DATASET), legend: '{{stage}}' },
          ],
        }),
        table(
          {
            title: 'Rows staged, by table',
            description: 'Rows that were copied into staging tables in the time range.',
            unit: 'short',
            queries: [
              {
                expr: rise('sluice_staged_rows_total', RANGE, ['dataset', 'table'], CHOSEN_DATASET),
                legend: '{{table}}',
              },
            ],
          },
          'rows',
        ),
        graph({
          title: 'What merges changed in an hour',
          description: 'Records of visible merges by what became of them, in the hour before.',
          unit: 'short',
          queries: [
            {
              expr: rise('sluice_merged_records_total', '1h', ['outcome'], CHOSEN_DATASET),
              legend: '{{outcome}}',
            },
          ],
          width: 24,
        }),
      ],
    },
    {
      title: 'Refused',
      panels: [
        graph({
          title: 'Refused records by reason in an hour',
          description: 'A record with several reasons counts under each.',
          unit: 'short',
          queries: [
            {
              expr: orZero(
                rise('sluice_refused_records_total', '1h', ['code'], CHOSEN_DATASET),
                'sluice_jobs',
                'code',
              ),
              legend: '{{code}}',
            },
          ],
          width: 12,
        }),
        table(
          {
            title: 'Findings by code',
            description: 'Errors and warnings in the time range. Repeats after a restart count again.',
            unit: 'short',
            queries: [
              {
                expr: orZero(
                  rise('sluice_findings_total', RANGE, ['dataset', 'category', 'code'], CHOSEN_DATASET),
                  'sluice_in_flight_limit_bytes',
                  'code',
                ),
                legend: '{{code}}',
              },
            ],
            width: 12,
          },
          'findings',
        ),
      ],
    },
    {
      title: 'Repaired',
      panels: [
        graph({
          title: 'Open dead letters',
          description: 'Neither resubmitted nor discarded.',
          unit: 'short',
          queries: [
            { expr: highest('sluice_open_dead_letters', ['dataset'], CHOSEN_DATASET), legend: '{{dataset}}' },
          ],
          runbook: 'SluiceDeadLettersOld',
        }),
        graph({
          title: 'Corrections in an hour',
          description: 'Corrections of dead letters that were stored or taken back, by what made them.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_dead_letter_corrections_total', '1h', ['action'], CHOSEN_DATASET),
                'sluice_jobs',
                'action',
              ),
              legend: '{{action}}',
            },
          ],
        }),
        graph({
          title: 'Resubmitted records in an hour',
          description: 'Dead letters that were sent again and have a repair job.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_resubmitted_records_total', '1h', [], CHOSEN_DATASET),
                'sluice_replays_open',
              ),
              legend: 'resubmitted',
            },
          ],
        }),
        graph({
          title: 'What became of resubmitted records in an hour',
          description: 'Landed, refused again, or open again because the repair job came to nothing.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_repair_outcomes_total', '1h', ['state'], CHOSEN_DATASET),
                'sluice_jobs',
                'state',
              ),
              legend: '{{state}}',
            },
          ],
        }),
        graph({
          title: 'Repair jobs without an outcome',
          description:
            'They succeeded over 5 minutes ago, and not all of their dead letters are indexed: one may be parked.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                highest('sluice_repair_jobs_undecided', ['dataset'], CHOSEN_DATASET),
                'sluice_jobs',
                'dataset',
              ),
              legend: '{{dataset}}',
            },
          ],
          redFrom: 1,
          runbook: 'SluiceMessageParked',
        }),
        graph({
          title: 'Traces by verdict in an hour',
          description: 'What people who looked for a row were answered.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_traces_total', '1h', ['verdict'], CHOSEN_DATASET),
                'sluice_jobs',
                'verdict',
              ),
              legend: '{{verdict}}',
            },
          ],
        }),
      ],
    },
  ],
};
