import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BatchFacts, type MessageFacts } from '../message/message-facts.js';
import { MessageTable } from '../record/message-table.js';
import { resubmittedMessage, submissionOf } from './resubmitted-record.js';

const JOB = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';

/** As it comes back in the dead letter of a repair job. */
function through(
  topic: string,
  { key, headers }: { key: string; headers: Record<string, string> },
): MessageFacts {
  const table = new MessageTable(topic);
  table.add({
    ...{ place: { topic, partition: 0, offset: '7' }, key: Buffer.from(key), timestamp: 1, headers },
  });
  return new BatchFacts(table.take(), 0).of(0);
}

describe('a record that is sent again', () => {
  it('names its dead letter, its attempt, and what a message says of its record', () => {
    const head = { columns: ['no', 'name'], context: { day: '1' } };
    expect(resubmittedMessage({ job: JOB, record: 41 }, 0, head)).toEqual({
      key: `${JOB}:41`,
      headers: { attempt: '1', context: '{"day":"1"}', columns: '["no","name"]' },
    });
    expect(resubmittedMessage({ job: JOB, record: 0 }, 2, { columns: [], context: {} }).headers).toEqual({
      attempt: '3',
    });
  });

  it('is found again by its dead letter, however many columns and however much context it has', () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.nat(2 ** 40),
        fc.nat(1_000),
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.nat(40_000),
        (job, record, attempt, columns, length) => {
          const head = { columns: [...columns, 'x'.repeat(length)], context: { day: '1' } };
          const sent = resubmittedMessage({ job, record }, attempt, head);
          expect(submissionOf('shops', through('sluice.shops.repair', sent))).toEqual({
            predecessor: { job, record },
            attempt: attempt + 1,
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is no other message: of another topic, or one that another program has sent', () => {
    const sent = resubmittedMessage({ job: JOB, record: 1 }, 0, { columns: [], context: {} });
    const others: readonly (readonly [string, string, Record<string, string>])[] = [
      ['sluice.shops.inbox', sent.key, { ...sent.headers }],
      ['sluice.others.repair', sent.key, { ...sent.headers }],
      ['sluice.shops.repair', sent.key, {}],
      ['sluice.shops.repair', sent.key, { attempt: '-1' }],
      ['sluice.shops.repair', JOB, { ...sent.headers }],
      ['sluice.shops.repair', `${sent.key}\0`, { ...sent.headers }],
      ['sluice.shops.repair', `${JOB}:1234567890123456`, { ...sent.headers }],
    ];
    for (const [topic, key, headers] of others)
      expect(submissionOf('shops', through(topic, { key, headers }))).toBeNull();
    expect(submissionOf('shops', undefined)).toBeNull();
  });
});
