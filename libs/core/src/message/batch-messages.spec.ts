import { describe, expect, it } from '@jest/globals';
import { decodeCleanMessage, encodeCleanMessage } from './clean-message.js';
import type { IncomingMessage, OutgoingMessage } from './header-reader.js';
import { type RawMessage, decodeRawMessage, encodeRawMessage } from './raw-message.js';
import { MAX_MESSAGE_BYTES, correctedSettings, inboxOf, inboxesOf, planTopics } from './topics.js';

const JOB = '01890a5d-ac96-774b-bcce-b302099a8057';

/** As if it had travelled: headers come back as bytes. */
function received(
  message: OutgoingMessage,
  change: { value?: Buffer | null; headers?: object } = {},
): IncomingMessage {
  return {
    place: { topic: message.topic, partition: message.partition ?? 0, offset: '7' },
    headers: {
      ...Object.fromEntries(
        Object.entries(message.headers).map(([name, value]) => [name, Buffer.from(value)]),
      ),
      ...change.headers,
    },
    value: change.value === undefined ? message.value : change.value,
  };
}

const raw: Omit<RawMessage, 'crc32c'> = {
  dataset: 'things',
  job: JOB,
  epoch: 2,
  batch: {
    batch: 8,
    firstRecord: 800,
    firstLine: 803,
    records: 2,
    lines: 2,
    byteStart: 1_000,
    byteEnd: 1_010,
    bytes: Buffer.from([0x61, 0x2c, 0xff, 0x0a, 0x62, 0x2c, 0x00, 0x0a]),
    unreadable: [{ index: 1, offset: 4, keptBytes: 4, bytes: 6, lines: 1 }],
  },
  format: 'csv',
  columns: ['統一編號', 'b'],
  context: { date: '2026-09-01' },
  contractVersion: 3,
  options: { checksum: 'warn' },
  attempt: 0,
};

describe('raw batches', () => {
  it('come back as they were sent, byte for byte, on the partition of their number', () => {
    const message = encodeRawMessage(raw, 3);
    expect(message).toMatchObject({ topic: 'sluice.things.raw', partition: 8 % 3, key: `${JOB}:8` });
    const { crc32c: _, ...decoded } = decodeRawMessage(received(message));
    expect(decoded).toEqual(raw);
  });

  it('of messages come back with what their messages said, and with the job’s own context before theirs', () => {
    const batch = {
      ...raw.batch,
      unreadable: [
        { index: 1, offset: 4, keptBytes: 4, bytes: 4, lines: 1, code: 'NOT_ONE_RECORD' as const },
      ],
      head: { columns: ['b'], context: { date: '2026-11-29', shop: 'north' } },
      messages: Buffer.from([0x01, 0xff, 0x00]),
    };
    const { head: _, ...travelled } = batch;
    const decoded = decodeRawMessage(received(encodeRawMessage({ ...raw, batch }, 3)));
    expect(decoded).toMatchObject({ columns: ['b'], context: { date: '2026-09-01', shop: 'north' } });
    expect(decoded.batch).toEqual(travelled);
  });

  it.each([
    ['an unknown version', { headers: { v: Buffer.from('2') } }],
    ['a missing header', { headers: { batch: undefined } }],
    ['a header that is no count', { headers: { records: Buffer.from('-1') } }],
    ['a truncated value', { value: raw.batch.bytes.subarray(0, 5) }],
    ['no value', { value: null }],
    ['another dataset’s name', { headers: { dataset: Buffer.from('others') } }],
    ['a job that is no UUID', { headers: { job: Buffer.from('1; DROP TABLE') } }],
    ['an unknown format', { headers: { format: Buffer.from('xml') } }],
    ['columns that are no list', { headers: { columns: Buffer.from('{}') } }],
    ['a context that is no object of texts', { headers: { context: Buffer.from('{"date":1}') } }],
    ['a malformed list of unreadable records', { headers: { oversized: Buffer.from('[{"index":0}]') } }],
    [
      'an unreadable record of an unknown code',
      {
        headers: {
          oversized: Buffer.from(
            '[{"index":0,"offset":0,"keptBytes":1,"bytes":1,"lines":1,"code":"toString"}]',
          ),
        },
      },
    ],
    ['several tables of messages', { headers: { messages: [Buffer.from('a'), Buffer.from('b')] } }],
  ])('with %s are refused with their place', (_, change) => {
    expect(() => decodeRawMessage(received(encodeRawMessage(raw, 3), change))).toThrow(
      expect.objectContaining({
        code: 'MESSAGE_INVALID',
        message: expect.stringContaining('sluice.things.raw/2/7'),
      }),
    );
  });
});

describe('clean batches', () => {
  const place = { topic: 'sluice.things.raw', partition: 2, offset: '41' };
  const verdict = {
    sections: [
      { table: 'thing', text: Buffer.from('800\ta\n'), rows: 1 },
      { table: 'part', text: Buffer.alloc(0), rows: 0 },
    ],
    counts: { records: 2, accepted: 1, refused: 1, skipped: 0, warnings: 3 },
    findings: { MALFORMED_ROW: 1 },
    refused: { heldBytes: 0, *[Symbol.iterator]() {} },
  };
  const message = encodeCleanMessage({ ...raw, crc32c: 5 }, place, { verdict, plan: 'a plan' }, 3);

  it('go to the partition of their number, of as many as their own topic has, and keep their sections apart', () => {
    expect(message.partition).toBe(8 % 3);
    const outcome = { verdict, plan: 'a plan' };
    expect(encodeCleanMessage({ ...raw, crc32c: 5 }, place, outcome, 5).partition).toBe(8 % 5);
    expect(decodeCleanMessage(received(message))).toMatchObject({
      job: JOB,
      batch: 8,
      raw: place,
      counts: verdict.counts,
      findings: verdict.findings,
      sections: verdict.sections,
      fault: null,
      contractVersion: 3,
      plan: 'a plan',
    });
  });

  it('of a raw batch that could not be validated say why, and hold nothing', () => {
    const fault = { code: 'CONTRACT_MISMATCH', message: `its words\0 ${'x'.repeat(2_000)}` };
    const decoded = decodeCleanMessage(
      received(encodeCleanMessage({ ...raw, crc32c: 5 }, place, { fault }, 3)),
    );
    expect(decoded).toMatchObject({
      ...{ batch: 8, raw: place, sections: [], plan: null, contractVersion: 3, findings: {} },
      fault: { code: 'CONTRACT_MISMATCH', message: expect.stringMatching(/^its words\u{FFFD} x{900,}…$/u) },
    });
  });

  it('of an older build, which says neither version nor plan, are still read', () => {
    const older = received(message, { headers: { contract: undefined, plan: undefined } });
    expect(decodeCleanMessage(older)).toMatchObject({ contractVersion: null, plan: null, fault: null });
  });

  it.each([
    ['sections', '[{"table":"thing"}]'],
    ['counts', '{"records":2}'],
    ['counts', '{"records":3e9,"accepted":0,"refused":0,"skipped":0,"warnings":0}'],
    ['findings', '[]'],
    ['findings', '{"\\u0000":1}'],
    ['findings', '{"two words":1}'],
    ['findings', JSON.stringify(Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`C${at}`, 1])))],
    ['raw', '{"topic":"sluice.things.raw","partition":0,"offset":"-1"}'],
    ['raw', '{"topic":"sluice.things.raw","partition":3e9,"offset":"1"}'],
    ['raw', '{"topic":"sluice.others.raw","partition":0,"offset":"1"}'],
    ['raw', '{"topic":"a\\u0000","partition":0,"offset":"1"}'],
    ['crc32c', '4294967296'],
    ['byte-end', '0'],
    ['fault', '{"code":"X"}'],
    ['fault', '{"code":"X","message":"\\u0000"}'],
    ['fault', '{"code":"X","message":"\\ud800"}'],
    ['contract', '-1'],
  ])('with malformed %s are refused', (header, value) => {
    const headers = { [header]: Buffer.from(value) };
    expect(() => decodeCleanMessage(received(message, { headers }))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    );
  });

  it('whose sections do not fill the value are refused', () => {
    expect(() => decodeCleanMessage(received(message, { value: Buffer.from('800') }))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    );
  });
});

describe('the plan of topics', () => {
  it('keeps dead letters and the history for ever, and everything else for two weeks', () => {
    const plan = new Map(planTopics(['things'], 6).map((topic) => [topic.topic, topic]));
    expect([...plan.keys()]).toEqual([
      'sluice.status',
      'sluice.history',
      'sluice.things.raw',
      'sluice.things.clean',
      'sluice.things.dead',
      'sluice.things.repair',
    ]);
    expect(plan.get('sluice.things.repair')).toMatchObject({
      partitions: 1,
      config: { 'retention.ms': '1209600000' },
    });
    expect(plan.get('sluice.things.dead')?.config['retention.ms']).toBe('-1');
    expect(plan.get('sluice.history')).toMatchObject({
      partitions: 1,
      config: { 'retention.ms': '-1', 'cleanup.policy': 'compact' },
    });
    expect(plan.get('sluice.things.raw')).toMatchObject({
      partitions: 6,
      config: { 'retention.ms': '1209600000', 'max.message.bytes': String(MAX_MESSAGE_BYTES) },
    });
  });

  it('has an inbox for the datasets that declare one, as its producers compress, and changes none that is there', () => {
    const inboxes = inboxesOf([
      { name: 'things' },
      { name: 'events', inbox: {} },
      { name: 'calls', inbox: { partitions: 24 } },
    ]);
    const plan = planTopics(['things', 'events', 'calls'], 6, inboxes).filter(({ topic }) =>
      topic.endsWith('.inbox'),
    );
    expect(plan.map(({ topic, partitions }) => [topic, partitions])).toEqual([
      ['sluice.events.inbox', 6],
      ['sluice.calls.inbox', 24],
    ]);
    for (const each of plan) {
      expect(each.config).toEqual({
        'retention.ms': '1209600000',
        'max.message.bytes': String(MAX_MESSAGE_BYTES),
        'cleanup.policy': 'delete',
      });
      expect(correctedSettings(each)).toEqual({ topic: each.topic, config: {} });
    }
    expect(inboxOf({ name: 'events', inbox: {} })).toBe('sluice.events.inbox');
    expect(() => inboxOf({ name: 'things' })).toThrow(
      expect.objectContaining({ code: 'NO_INBOX', message: 'Dataset things has no inbox.' }),
    );
  });
});
