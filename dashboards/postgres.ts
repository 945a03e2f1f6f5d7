import type { Page } from './frame.js';
import { graph, table } from './panels.js';
import { CHOSEN_DATASET, RANGE, busy, quantile, rate, rise, spent, sum } from './queries.js';

export const postgres: Page = {
  uid: 'sluice-postgres',
  title: 'PostgreSQL',
  description:
    'How fast does the database take rows, and which of its steps take long? As the services see it.',
  variables: ['dataset'],
  rows: [
    {
      title: 'COPY',
      panels: [
        graph({
          title: 'Duration of COPY',
          description:
            'Half, 95 and 99 of 100 copies of a group of clean batches took at most this long, also where they failed. A gap: nothing was copied.',
          unit: 's',
          queries: [0.5, 0.95, 0.99].map((q) => ({
            expr: quantile(q, 'sluice_copy_seconds', [], CHOSEN_DATASET),
            legend: `${q * 100} %`,
          })),
        }),
        graph({
          title: 'Rows copied',
          description: 'Into staging tables, by dataset.',
          unit: 'suffix: rows/s',
          queries: [
            { expr: rate('sluice_staged_rows_total', ['dataset'], CHOSEN_DATASET), legend: '{{dataset}}' },
          ],
        }),
        graph({
          title: 'Copies at the same time',
          description: 'On average, by dataset: seconds of COPY in each second.',
          unit: 'none',
          queries: [
            { expr: busy('sluice_copy_seconds', ['dataset'], CHOSEN_DATASET), legend: '{{dataset}}' },
          ],
        }),
        graph({
          title: 'Duration of COMMIT',
          description:
            'Half, and 95 of 100, of the commits of a group took at most this long: what the disk of the database needs.',
          unit: 's',
          queries: [0.5, 0.95].map((q) => ({
            expr: quantile(q, 'sluice_commit_seconds', [], CHOSEN_DATASET),
            legend: `${q * 100} %`,
          })),
          width: 24,
        }),
      ],
    },
    {
      title: 'Connections',
      panels: [
        graph({
          title: 'Connections by service, pool and state',
          description: 'The pool control reads and writes control tables; direct loads, finalizes and folds.',
          unit: 'none',
          queries: [
            {
              expr: sum('sluice_pool_connections', ['service', 'pool', 'state']),
              legend: '{{service}} {{pool}} {{state}}',
            },
          ],
        }),
        graph({
          title: 'Share of busy connections',
          description: 'Of those that the pools may open. At 1 requests wait.',
          unit: 'percentunit',
          queries: [
            {
              expr: `${sum('sluice_pool_connections', ['service', 'pool'], { state: '="busy"' })} / ${sum('sluice_pool_limit_connections', ['service', 'pool'])}`,
              legend: '{{service}} {{pool}}',
            },
          ],
          orangeFrom: 0.9,
          runbook: 'SluicePoolExhausted',
        }),
        graph({
          title: 'Requests that wait for a connection',
          description: 'At each moment. When they wait for 10 minutes, SluicePoolExhausted fires.',
          unit: 'none',
          queries: [
            { expr: sum('sluice_pool_waiting', ['service', 'pool']), legend: '{{service}} {{pool}}' },
          ],
          orangeFrom: 1,
          runbook: 'SluicePoolExhausted',
        }),
        graph({
          title: 'Requests that had to wait, in 5 minutes',
          description: 'Because every connection of their pool was busy.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_pool_waits_total', '5m', ['service', 'pool']),
              legend: '{{service}} {{pool}}',
            },
          ],
          width: 24,
          runbook: 'SluicePoolExhausted',
        }),
      ],
    },
    {
      title: 'Finalization, of all datasets',
      panels: [
        graph({
          title: 'Duration of merge and swap',
          description:
            '95 of 100 took at most this long. A long swap waits for locks or snapshots of other sessions.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.95, 'sluice_finalize_step_seconds', ['step'], {
                step: '=~"merge|swap|snapshots"',
              }),
              legend: '{{step}}',
            },
          ],
        }),
        graph({
          title: 'Duration of index, vacuum, constraints, analyze',
          description: '95 of 100 took at most this long. They grow with the table.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.95, 'sluice_finalize_step_seconds', ['step'], {
                step: '=~"index|vacuum|constraints|analyze"',
              }),
              legend: '{{step}}',
            },
          ],
        }),
        table(
          {
            title: 'Time in finalization steps',
            description: 'In the time range, with waits.',
            unit: 's',
            queries: [{ expr: spent('sluice_finalize_step_seconds', RANGE, ['step']), legend: '{{step}}' }],
          },
          'time',
        ),
      ],
    },
    {
      title: 'Does it answer?',
      panels: [
        graph({
          title: 'Deliveries that failed in the loader and the tracker',
          description: 'In 5 minutes. The loader and the tracker wait like this for a database that is away.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_delivery_retries_total', '5m', ['service'], {
                service: '=~"loader|tracker"',
              }),
              legend: '{{service}}',
            },
          ],
          width: 12,
          runbook: 'SluicePostgresDisk',
        }),
        graph({
          title: 'Warnings and errors in 5 minutes',
          description: 'A database that is away makes warnings, in every service that uses it.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_log_lines_total', '5m', ['service', 'level'], {
                service: '=~"ingestor|loader|tracker"',
                level: '=~"warn|error|fatal"',
              }),
              legend: '{{service}} {{level}}',
            },
          ],
          width: 12,
          runbook: 'SluiceErrors',
        }),
      ],
    },
  ],
};
