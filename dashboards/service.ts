import type { Page } from './frame.js';
import { graph, table } from './panels.js';
import { CHOSEN_PROCESS, RANGE, ofProcess, rate, rise, series } from './queries.js';

const PROCESS = '{{service}} {{instance}}';
const MIB = 1024 * 1024;

export const service: Page = {
  uid: 'sluice-service',
  title: 'Service',
  description: 'How are the processes: builds, restarts, processor, memory, event loop, log?',
  variables: ['service', 'instance'],
  rows: [
    {
      title: 'Which processes?',
      panels: [
        table(
          {
            title: 'Builds',
            description:
              'Which build each process runs. Two builds: an upgrade is under way, or has left out a service.',
            unit: 'none',
            queries: [
              {
                expr: `count by (service, instance, build) (${series('sluice_build_info', CHOSEN_PROCESS)})`,
                legend: PROCESS,
              },
            ],
          },
          'processes',
        ),
        graph({
          title: 'Time since the start',
          description: 'A line that falls to zero is a restart.',
          unit: 's',
          queries: [{ expr: `time() - ${ofProcess('process_start_time_seconds')}`, legend: PROCESS }],
        }),
        graph({
          title: 'Restarts in an hour',
          description: 'Of processes that kept their address.',
          unit: 'none',
          queries: [
            {
              expr: `sum by (service) (changes(${ofProcess('process_start_time_seconds')}[1h]))`,
              legend: '{{service}}',
            },
          ],
          orangeFrom: 1,
          runbook: 'SluiceServiceMissing',
        }),
      ],
    },
    {
      title: 'Processor and event loop',
      panels: [
        graph({
          title: 'Processor',
          description: 'Cores that each process uses.',
          unit: 'suffix: cores',
          queries: [
            { expr: `rate(${ofProcess('process_cpu_seconds_total')}[$__rate_interval])`, legend: PROCESS },
          ],
        }),
        graph({
          title: 'Delay of the event loop',
          description:
            '99 of 100 looks, one every 250 ms, came at most this late. Above 1 s health checks and sessions are at risk.',
          unit: 's',
          queries: [
            // Node reports the time between two looks (EVENT_LOOP_LOOKS_MS in libs/common/src/lifecycle): 250 ms of it are no delay.
            {
              expr: `clamp_min(${ofProcess('nodejs_eventloop_lag_p99_seconds')} - 0.25, 0)`,
              legend: PROCESS,
            },
          ],
          redFrom: 1,
        }),
        graph({
          title: 'Garbage collection',
          description: 'Share of the time in which JavaScript stood still for it.',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (service, instance) (rate(${ofProcess('nodejs_gc_duration_seconds_sum')}[$__rate_interval]))`,
              legend: PROCESS,
            },
          ],
          orangeFrom: 0.1,
        }),
      ],
    },
    {
      title: 'Memory and descriptors',
      panels: [
        graph({
          title: 'Resident memory',
          description: 'Promised is at most 256 MB for each process, whatever the size of the source (G9).',
          unit: 'bytes',
          queries: [{ expr: ofProcess('process_resident_memory_bytes'), legend: PROCESS }],
          redFrom: 256 * MIB,
        }),
        graph({
          title: 'Heap and buffers',
          description: 'What JavaScript uses of its heap, and memory outside of it, such as batches.',
          unit: 'bytes',
          queries: [
            { expr: ofProcess('nodejs_heap_size_used_bytes'), legend: `${PROCESS} heap` },
            { expr: ofProcess('nodejs_external_memory_bytes'), legend: `${PROCESS} outside` },
          ],
        }),
        graph({
          title: 'Share of open file descriptors',
          description: 'Of those that the process may have. At 1 no connection and no file can be opened.',
          unit: 'percentunit',
          queries: [
            { expr: `${ofProcess('process_open_fds')} / ${ofProcess('process_max_fds')}`, legend: PROCESS },
          ],
          redFrom: 0.8,
        }),
      ],
    },
    {
      title: 'Work in hand',
      panels: [
        graph({
          title: 'Batches in hand',
          description:
            'Being published by an ingestor, validated and not yet published, or in the group that a loader loads.',
          unit: 'none',
          queries: [{ expr: series('sluice_in_flight_batches', CHOSEN_PROCESS), legend: PROCESS }],
        }),
        graph({
          title: 'Memory of batches in hand',
          description: 'A validator that is at its limit takes nothing more until it has published.',
          unit: 'bytes',
          queries: [
            { expr: series('sluice_in_flight_bytes', CHOSEN_PROCESS), legend: PROCESS },
            { expr: series('sluice_in_flight_limit_bytes', CHOSEN_PROCESS), legend: `${PROCESS} limit` },
          ],
        }),
        graph({
          title: 'Leases lost in an hour',
          description:
            'Another process took over while this one still worked: it slept, or could not reach the database.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_lost_leases_total', '1h', ['service', 'lease'], CHOSEN_PROCESS),
              legend: '{{service}} {{lease}}',
            },
          ],
          redFrom: 3,
          runbook: 'SluiceLeasesLost',
        }),
      ],
    },
    {
      title: 'Contracts and traces',
      panels: [
        table(
          {
            title: 'Contract versions',
            description:
              'How many processes have which version of the contract of a dataset. Two versions: not all of them were restarted.',
            unit: 'none',
            queries: [
              {
                expr: `count by (dataset, version) (${series('sluice_contract_info', CHOSEN_PROCESS)})`,
                legend: '{{dataset}} {{version}}',
              },
            ],
            width: 12,
          },
          'processes',
        ),
        graph({
          title: 'Spans of traces',
          description:
            'Exported, or dropped because their receiver was away or too slow. 0 while traces are off.',
          unit: 'suffix: spans/s',
          queries: [
            { expr: rate('sluice_trace_spans_total', ['outcome'], CHOSEN_PROCESS), legend: '{{outcome}}' },
          ],
          width: 12,
        }),
      ],
    },
    {
      title: 'Log',
      panels: [
        graph({
          title: 'Lines by level',
          description: 'An error is a line that asks for an act.',
          unit: 'suffix: lines/s',
          queries: [{ expr: rate('sluice_log_lines_total', ['level'], CHOSEN_PROCESS), legend: '{{level}}' }],
          runbook: 'SluiceErrors',
        }),
        graph({
          title: 'Errors in the time range',
          description:
            'Lines with the level error or fatal up to each moment, in a window as long as the time range.',
          unit: 'none',
          queries: [
            {
              expr: `${rise('sluice_log_lines_total', RANGE, ['service', 'instance'], { ...CHOSEN_PROCESS, level: '=~"error|fatal"' })} or sum by (service, instance) (${series('sluice_build_info', CHOSEN_PROCESS)}) * 0`,
              legend: PROCESS,
            },
          ],
          orangeFrom: 1,
          runbook: 'SluiceErrors',
        }),
        graph({
          title: 'Lines that could not be written, in an hour',
          description: 'As on a full disk. Above 0 the log has gaps.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_log_lines_dropped_total', '1h', ['service', 'instance'], CHOSEN_PROCESS),
              legend: PROCESS,
            },
          ],
          redFrom: 1,
        }),
      ],
    },
  ],
};
