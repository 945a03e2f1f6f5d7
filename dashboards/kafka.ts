import type { Page } from './frame.js';
import { graph, stat } from './panels.js';
import { highest, orZero, rate, rise, sum } from './queries.js';

export const kafka: Page = {
  uid: 'sluice-kafka',
  title: 'Kafka',
  description:
    'Do the consumers keep up, do they stay in their groups, and is any message unreadable? As the services see it.',
  variables: [],
  rows: [
    {
      title: 'Do consumers keep up?',
      panels: [
        graph({
          title: 'Messages that wait, by topic',
          description: 'Messages that are there and not handled, as of the last fetch of each partition.',
          unit: 'short',
          queries: [{ expr: sum('sluice_consumer_lag_records', ['topic']), legend: '{{topic}}' }],
          width: 12,
        }),
        graph({
          title: 'Messages that wait, by group',
          description:
            'Summed over the topics of each consumer group. SluiceLagGrowing compares it with 15 minutes before.',
          unit: 'short',
          queries: [{ expr: sum('sluice_consumer_lag_records', ['group']), legend: '{{group}}' }],
          width: 12,
          runbook: 'SluiceLagGrowing',
        }),
        graph({
          title: 'Age of what is handled, by group',
          description: 'At the partition that is furthest behind; 0 when none is behind.',
          unit: 's',
          queries: [{ expr: highest('sluice_consumer_lag_seconds', ['group']), legend: '{{group}}' }],
          redFrom: 300,
          width: 12,
          runbook: 'SluiceLagGrowing',
        }),
        graph({
          title: 'Age of what is handled, by process',
          description:
            'One line that is higher than the others of its service: that process is slow, or its partitions are larger.',
          unit: 's',
          queries: [
            {
              expr: highest('sluice_consumer_lag_seconds', ['service', 'instance']),
              legend: '{{service}} {{instance}}',
            },
          ],
          width: 12,
        }),
      ],
    },
    {
      title: 'Do they stay in their groups?',
      panels: [
        graph({
          title: 'Rebalances in 15 minutes',
          description:
            'Times that processes joined their group or were given other partitions. Some for each start; steady ones stop consumers for seconds each.',
          unit: 'none',
          queries: [{ expr: rise('sluice_rebalances_total', '15m', ['group']), legend: '{{group}}' }],
          width: 12,
        }),
        graph({
          title: 'Deliveries that failed, in 5 minutes',
          description: 'By error code. They come again after a back-off.',
          unit: 'none',
          queries: [
            {
              expr: rise('sluice_delivery_retries_total', '5m', ['group', 'reason']),
              legend: '{{group}} {{reason}}',
            },
          ],
          width: 12,
        }),
      ],
    },
    {
      title: 'What comes in, and what cannot be read',
      panels: [
        graph({
          title: 'Published to raw topics',
          description: 'Bytes of the sources, uncompressed, in batches that the brokers have acknowledged.',
          unit: 'Bps',
          queries: [{ expr: rate('sluice_published_bytes_total', ['dataset']), legend: '{{dataset}}' }],
          width: 12,
        }),
        graph({
          title: 'Messages parked in an hour',
          description: 'Skipped because they cannot be read, decoded or handled.',
          unit: 'none',
          queries: [
            {
              expr: orZero(
                rise('sluice_parked_messages_total', '1h', ['topic']),
                'sluice_rebalances_total',
                'topic',
              ),
              legend: '{{topic}}',
            },
          ],
          redFrom: 1,
          runbook: 'SluiceMessageParked',
        }),
        stat({
          title: 'Parked messages',
          description: 'They wait for the decision of an operator.',
          unit: 'none',
          queries: [{ expr: highest('sluice_parked_messages'), legend: 'parked' }],
          redFrom: 1,
          height: 8,
          runbook: 'SluiceMessageParked',
        }),
      ],
    },
  ],
};
