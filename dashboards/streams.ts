import type { StreamState } from '#api/stream-words.js';
import type { Page } from './frame.js';
import { type StateWord, graph, states } from './panels.js';
import { CHOSEN_DATASET, highest, quantile, rate, rise, series } from './queries.js';

const STATES = Object.entries({
  running: 'green',
  draining: 'blue',
  stopped: 'text',
  paused: 'red',
} satisfies Record<StreamState, string>).map(([text, color], index): StateWord => ({
  value: index + 1,
  text,
  color,
}));

/** Of each stream, the value of the state that it is in. */
const currentState = `max by (dataset) (${STATES.map(
  ({ value, text }) =>
    `${series('sluice_stream_state', { ...CHOSEN_DATASET, state: `="${text}"` })} * ${value}`,
).join(' or ')})`;

export const streams: Page = {
  uid: 'sluice-streams',
  title: 'Streams',
  description: 'Do readers see what producers send, and how late?',
  variables: ['dataset'],
  rows: [
    {
      title: 'Do they run?',
      panels: [
        states(
          {
            title: 'States of the streams',
            description: 'Nothing of the inbox of a paused stream becomes visible until it is resumed.',
            unit: 'none',
            queries: [{ expr: currentState, legend: '{{dataset}}' }],
            height: 8,
            runbook: 'SluiceStreamPaused',
          },
          STATES,
        ),
        graph({
          title: 'Messages taken',
          description: 'Messages of the inbox that became part of a job.',
          unit: 'suffix: messages/s',
          queries: [
            { expr: rate('sluice_stream_records_total', ['dataset'], CHOSEN_DATASET), legend: '{{dataset}}' },
          ],
          width: 12,
        }),
      ],
    },
    {
      title: 'How late?',
      panels: [
        graph({
          title: 'Age of the oldest message that is not visible',
          description: 'No line: no ingestor holds the stream. From 60 s on SluiceStreamLatency fires.',
          unit: 's',
          queries: [
            {
              expr: highest('sluice_stream_lag_seconds', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
          redFrom: 60,
          runbook: 'SluiceStreamLatency',
        }),
        graph({
          title: 'Messages in no job',
          description:
            'Messages of the inbox that no job has taken. When it rises, producers send faster than the stream takes.',
          unit: 'short',
          queries: [
            {
              expr: highest('sluice_stream_lag_records', ['dataset'], CHOSEN_DATASET),
              legend: '{{dataset}}',
            },
          ],
        }),
        graph({
          title: 'From sent to visible',
          description:
            'Half, and 95 of 100, of the jobs made their oldest message visible within this time, by the clocks of producer and database. A gap: no job became visible.',
          unit: 's',
          queries: [0.5, 0.95].map((q) => ({
            expr: quantile(q, 'sluice_stream_latency_seconds', ['dataset'], CHOSEN_DATASET),
            legend: `{{dataset}} ${q * 100} %`,
          })),
          redFrom: 60,
          runbook: 'SluiceStreamLatency',
        }),
      ],
    },
    {
      title: 'Which bound closes their jobs?',
      panels: [
        graph({
          title: 'Jobs of streams in 5 minutes',
          description:
            'By the bound that closed their range. Time: the stream keeps up. Records or bytes: there is more in the inbox than one job takes.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_stream_jobs_total', '5m', ['dataset', 'closed_by'], CHOSEN_DATASET),
              legend: '{{dataset}} {{closed_by}}',
            },
          ],
          width: 24,
        }),
      ],
    },
  ],
};
