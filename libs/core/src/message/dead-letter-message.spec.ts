import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import {
  type DeadLetter,
  decodeDeadLetter,
  encodeDeadLetter,
  encodeDeadLetters,
} from './dead-letter-message.js';
import type { Finding } from '../finding/finding.js';
import type { IncomingMessage, OutgoingMessage } from './header-reader.js';
import type { MessageFacts } from './message-facts.js';

const FINDING: Finding = { code: 'BAD', field: '統一編號', message: 'is wrong', severity: 'error' };

const MESSAGE: MessageFacts = {
  topic: 'sluice.things.inbox',
  partition: 3,
  offset: '1234567890123',
  timestamp: '2026-11-29T18:36:30.000Z',
  key: { text: '統一' },
  headers: [
    { name: 'trace', value: { base64: '/w==' } },
    { name: 'empty', value: null },
  ],
  isCut: true,
  undecodable: { firstOffset: '7', reason: 'its checksum is wrong' },
};

describe('dead letters', () => {
  it('arrive as they were sent, whatever bytes they hold', () => {
    expect(decode({})).toEqual(LETTER);
    expect(decode({}, { sqlstate: '22001' })).toEqual({ ...LETTER, sqlstate: '22001' });
  });

  it.each<[string, Record<string, string>]>([
    ['job', { job: 'x' }],
    ['dataset', { dataset: 'Tax Registration' }],
    ['stage', { stage: 'finalize' }],
    ['findings', { findings: '{}' }],
    ['findings', { findings: '[{"code":"A"}]' }],
    ['columns', { columns: '[1]' }],
    ['sqlstate', { sqlstate: '2200\0' }],
    ['record', { record: '-1' }],
    ['byte-end', { 'byte-end': '3999' }],
    ['epoch', { epoch: 'x' }],
    ['dataset', { dataset: 'others' }],
    ['columns', { columns: JSON.stringify(Array.from({ length: 400_000 }, (_, at) => `name ${at}`)) }],
    ['findings', { findings: JSON.stringify(Array.from({ length: 1_001 }, () => FINDING)) }],
    ['findings', { findings: JSON.stringify([{ ...FINDING, message: 'x'.repeat(5_000) }]) }],
    ['findings', { findings: JSON.stringify([{ ...FINDING, field: 'x'.repeat(5_000) }]) }],
    ...[
      'null',
      '[]',
      '{}',
      JSON.stringify({ ...MESSAGE, key: { text: 'a\0' } }),
      JSON.stringify({ ...MESSAGE, key: { text: 'a', base64: 'YQ==' } }),
      JSON.stringify({ ...MESSAGE, key: { base64: 'no base64' } }),
      JSON.stringify({ ...MESSAGE, offset: '-1' }),
      JSON.stringify({ ...MESSAGE, timestamp: 'yesterday' }),
      JSON.stringify({ ...MESSAGE, headers: [{ name: 'a' }] }),
      JSON.stringify({ ...MESSAGE, undecodable: {} }),
      JSON.stringify({
        ...MESSAGE,
        headers: Array.from({ length: 5_000 }, () => ({ name: 'a'.repeat(20), value: null })),
      }),
    ].map((message): [string, Record<string, string>] => ['message', { message }]),
  ])('are refused with a wrong %s', (_header, headers) => {
    expect(() => decode(headers)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });

  it('of messages arrive with what their messages said, and nothing that anyone else has added', () => {
    expect(decode({}, { message: MESSAGE })).toEqual({ ...LETTER, message: MESSAGE });
    const added = { ...MESSAGE, note: 1, headers: [{ ...MESSAGE.headers[0], more: 1 }, MESSAGE.headers[1]] };
    expect(decode({ message: JSON.stringify(added) }).message).toEqual(MESSAGE);
  });

  it('of messages name their columns each: they are no fact of the job', () => {
    const letters = [LETTER, LETTER, LETTER].map((letter) => ({ ...letter, message: MESSAGE }));
    const columns = [...encodeDeadLetters(letters)].map(
      (message) => decodeDeadLetter(received(message)).columns,
    );
    expect(columns).toEqual([LETTER.columns, LETTER.columns, LETTER.columns]);
  });

  it('of one batch name their columns once, and others none', () => {
    const other = ['c'];
    const letters = [
      LETTER,
      LETTER,
      { ...LETTER, columns: other },
      { ...LETTER, columns: other },
      { ...LETTER, columns: null },
    ];
    const columns = [...encodeDeadLetters(letters)].map(
      (message) => decodeDeadLetter(received(message)).columns,
    );
    expect(columns).toEqual([LETTER.columns, null, other, null, null]);
  });

  it('are encoded one by one, when they are asked for', () => {
    let asked = 0;
    function* letters(): Generator<DeadLetter> {
      for (;;) {
        asked += 1;
        yield LETTER;
      }
    }
    encodeDeadLetters(letters()).next();
    expect(asked).toBe(1);
  });

  it('are cut to what may be read: as many findings as there is room for, and how many more', () => {
    const many = Array.from({ length: 1_500 }, (_, at) => ({ ...FINDING, code: `C${at}` }));
    const { findings } = decode({}, { findings: many });
    expect(findings).toHaveLength(1_000);
    expect(findings.at(-1)).toEqual({
      ...FINDING,
      code: 'C999',
      field: null,
      message: '… and 501 more findings',
    });
    const long = decode({}, { findings: [{ ...FINDING, message: 'x'.repeat(2_000_000) }] }).findings;
    expect(long).toEqual([{ ...FINDING, message: `${'x'.repeat(999)}…` }]);
  });

  it('of any findings and columns can be read again', () => {
    const text = fc.string({ unit: anyCharacter, maxLength: 3_000 });
    const finding = fc.record({
      code: fc.constantFrom('A', 'B'),
      field: fc.option(text),
      message: text,
      severity: fc.constantFrom('error' as const, 'warning' as const),
    });
    fc.assert(
      fc.property(
        fc.array(finding, { maxLength: 150 }),
        fc.array(text, { maxLength: 200 }),
        (findings, columns) => {
          const read = decode({}, { findings, columns });
          expect(read.findings.length > 0).toBe(findings.length > 0);
          expect(read.findings.some(({ severity }) => severity === 'error')).toBe(
            findings.some(({ severity }) => severity === 'error'),
          );
        },
      ),
      { numRuns: 50 },
    );
  });
});

function received({ topic, headers, value }: OutgoingMessage): IncomingMessage {
  return { place: { topic, partition: 1, offset: '7' }, headers, value };
}

/** @param headers as a stranger might have written them */
function decode(headers: Record<string, string>, facts: Partial<DeadLetter> = {}): DeadLetter {
  const message = encodeDeadLetter({ ...LETTER, ...facts });
  const place = { topic: message.topic, partition: 1, offset: '7' };
  return decodeDeadLetter({ place, headers: { ...message.headers, ...headers }, value: message.value });
}

const LETTER: DeadLetter = {
  dataset: 'tax-registration',
  job: '01890000-0000-7000-8000-000000000001',
  batch: 3,
  record: 42,
  line: 45,
  byteStart: 4_000,
  byteEnd: 4_010,
  stage: 'validate',
  findings: [FINDING],
  sqlstate: null,
  attempt: 0,
  columns: ['統一編號', '營業人名稱'],
  bytes: Buffer.from([0x00, 0xff, 0x0a]),
};
