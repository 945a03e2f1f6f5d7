import { describe, expect, it } from '@jest/globals';
import { crc32c } from '@node-rs/crc32';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import type { UnannouncedBatch } from '#core/ledger/ledger.repository.js';
import type { RawMessage } from '#core/message/raw-message.js';
import { INBOX, cutMessages, messageOf } from '#test/support/record/messages.js';
import { lettersOf } from './refusal-letters.js';

const JOB = '01890000-0000-7000-8000-000000000001';

describe('dead letters of records that came as messages', () => {
  const [batch] = cutMessages(
    [[messageOf(3, '1,"a\nb"\n', { key: Buffer.from('k') }), messageOf(4, null), messageOf(9, '2,c')]],
    {
      ...{ format: 'csv', topic: INBOX, columns: ['id', 'name'], accepts: () => true, limitRecords: null },
      ...{ maxBatchBytes: 1_000, maxBatchRecords: 10, maxRecordBytes: 100 },
    },
  );
  if (batch === undefined) throw new Error('no batch was cut');
  const raw: RawMessage = {
    ...{ dataset: 'things', job: JOB, epoch: 1, format: 'csv', columns: ['id', 'name'], context: {} },
    ...{ contractVersion: 1, options: {}, attempt: 0, crc32c: crc32c(batch.bytes), batch },
  };
  const unannounced = { dataset: 'things', job: JOB, batch: 0, epoch: 1 } as UnannouncedBatch;
  const refusals: LoadRefusal[] = [0, 2].map((record) => ({
    record,
    findings: [{ code: 'REFUSED_BY_DATABASE', field: null, message: 'no', severity: 'error' }],
    sqlstate: '23514',
  }));

  it('say at load, too, where the message stood and what it said; each is one line', () => {
    const letters = [...lettersOf(unannounced, refusals, raw, undefined)];
    expect(letters.map(({ record, line, bytes, message }) => [record, line, String(bytes), message])).toEqual(
      [
        [0, 1, '1,"a\nb"', expect.objectContaining({ topic: INBOX, offset: '3', key: { text: 'k' } })],
        [2, 3, '2,c', expect.objectContaining({ topic: INBOX, offset: '9', key: null })],
      ],
    );
  });

  it('go out without it when the table of the messages cannot be read', () => {
    const damaged = { ...raw, batch: { ...batch, messages: Buffer.from('x') } };
    const letters = [...lettersOf(unannounced, refusals, damaged, undefined)];
    expect(letters.map(({ record, message }) => [record, message])).toEqual([
      [0, undefined],
      [2, undefined],
    ]);
  });
});
