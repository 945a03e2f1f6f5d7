import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Shop } from '#test/support/record/sample-contracts.js';
import { cutMessages, messageOf } from '#test/support/record/messages.js';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import { DEFAULT_CUTTING } from '../record/raw-batch.js';
import {
  faultOf,
  isSendable,
  type KeptDeadLetter,
  MAX_ATTEMPTS,
  recordToSend,
  type RecordToSend,
  repairMode,
  type SendableDataset,
  type UnsendableReason,
} from './record-to-send.js';

const csv: SendableDataset = { name: 'shops', format: 'csv', contract: Shop, contractVersion: 3 };
const json: SendableDataset = { ...csv, format: 'ndjson' };
const JOB = { context: { day: '2026-01-01', 'sluice:source': 'x.csv' }, contractVersion: 3 };
const PLACE = { topic: 'sluice.shops.inbox', partition: 0, offset: '7', timestamp: null, key: null };

function letterOf(bytes: string | Buffer, facts: Partial<KeptDeadLetter> = {}): KeptDeadLetter {
  const kept = Buffer.from(bytes);
  return {
    bytes: kept,
    ...{ byteStart: 10, byteEnd: 10 + kept.length, columns: ['no', 'name'], codes: ['BAD'] },
    ...{ attempt: 0, message: null, ...facts },
  };
}

const reasonOf = (...args: Parameters<typeof recordToSend>): UnsendableReason | null => {
  const answer = recordToSend(...args);
  return isSendable(answer) ? null : answer.reason;
};
const sent = (...args: Parameters<typeof recordToSend>): RecordToSend => {
  const answer = recordToSend(...args);
  if (!isSendable(answer)) throw new Error(answer.reason);
  return answer;
};
const edit = (bytes: string, columns: readonly string[] | null = null) => ({
  bytes: Buffer.from(bytes),
  columns,
});

describe('what a resubmission sends', () => {
  it('is the record’s own bytes, or those of its edit, with columns and context of its file (SN1, SN3)', () => {
    const letter = letterOf('1,a');
    expect(sent(csv, letter, JOB, null)).toEqual({
      value: letter.bytes,
      columns: ['no', 'name'],
      context: { day: '2026-01-01' },
    });
    expect(sent(csv, letter, JOB, edit('1,b')).value.toString()).toBe('1,b');
    expect(sent(csv, letter, JOB, edit('b,1', ['name', 'no'])).columns).toEqual(['name', 'no']);
    expect(sent(json, letterOf('{"no":1}', { columns: [] }), JOB, null)).toMatchObject({ columns: [] });
  });

  it('has columns and context of the message that the record came in (SN3)', () => {
    const headers = [
      { name: 'columns', value: { text: 'name,no' } },
      { name: 'context', value: { base64: Buffer.from('{"day":"x"}').toString('base64') } },
      { name: 'content-type', value: { text: 'application/json' } },
    ];
    const message = { ...PLACE, headers };
    expect(sent(csv, letterOf('a,1', { columns: ['name', 'no'], message }), JOB, null)).toMatchObject({
      columns: ['name', 'no'],
      context: { day: 'x' },
    });
    // Of a message that was not looked at the dead letter names the columns of its neighbours.
    const unseen = letterOf('a,1', { codes: ['WRONG_CONTENT_TYPE'], message });
    expect(sent(csv, unseen, null, null).columns).toEqual(['name', 'no']);
    const silent = { ...PLACE, headers: [] };
    const ofDefault = letterOf('a,1', { codes: ['NOT_ONE_RECORD'], message: silent });
    expect(sent({ ...csv, inbox: { columns: ['p', 'q'] } }, ofDefault, null, null).columns).toEqual([
      'p',
      'q',
    ]);
  });

  it('gives columns that no message can name names of their own, and leaves the others', () => {
    const columns = ['no', '', 'x', 'x', 'column_2', 'a\ufffd'];
    expect(sent(csv, letterOf('1,2,3,4,5,6', { columns }), JOB, null).columns).toEqual([
      'no',
      'column_2_',
      'column_3',
      'column_4',
      'column_2',
      'column_6',
    ]);
  });

  it.each<[UnsendableReason, Partial<KeptDeadLetter>, string]>([
    ['PARKED', { attempt: MAX_ATTEMPTS }, '1,a'],
    ['BYTES_CUT', { codes: ['RECORD_TOO_LARGE'], byteEnd: 1_000 }, '1,a'],
    ['BYTES_EXPIRED', { codes: ['BYTES_EXPIRED'] }, ''],
    ['NO_VALUE', { codes: ['TOMBSTONE'], message: { ...PLACE, headers: [] } }, ''],
    ['NOT_ONE_RECORD', {}, '1,a\n2,b'],
    ['NOT_ONE_RECORD', {}, ''],
    ['TOO_LARGE', {}, 'x'.repeat(DEFAULT_CUTTING.maxRecordBytes)],
    ['COLUMNS_UNKNOWN', { columns: [] }, '1,a'],
    ['COLUMNS_UNKNOWN', { columns: ['x'.repeat(65 * 1024)] }, '1,a'],
    ['CONTEXT_UNKNOWN', { message: { ...PLACE, headers: [], isCut: true } }, '1,a'],
    ['BAD_HEADERS', { message: { ...PLACE, headers: [{ name: 'context', value: { text: '[1]' } }] } }, '1,a'],
  ])('is nothing where it would not be the record: %s', (reason, facts, bytes) => {
    expect(reasonOf(csv, letterOf(bytes, facts), JOB, null)).toBe(reason);
  });

  it('needs the row of its job for a record of a file, and a contract that is not older', () => {
    expect(reasonOf(csv, letterOf('1,a'), null, null)).toBe('CONTEXT_UNKNOWN');
    expect(reasonOf(csv, letterOf('1,a'), { ...JOB, context: null }, null)).toBe('CONTEXT_UNKNOWN');
    expect(reasonOf(csv, letterOf('1,a'), { ...JOB, contractVersion: 4 }, null)).toBe('CONTRACT_NEWER');
    expect(reasonOf(csv, letterOf('1,a'), { ...JOB, contractVersion: 2 }, null)).toBeNull();
  });

  it('may be an edit where the bytes alone were the reason, and a parked one where it is forced', () => {
    const cut = letterOf('1,a', { codes: ['RECORD_TOO_LARGE'], byteEnd: 1_000 });
    expect(reasonOf(csv, cut, JOB, edit('1,b'))).toBeNull();
    const tombstone = letterOf('', { codes: ['TOMBSTONE'], message: { ...PLACE, headers: [] } });
    expect(reasonOf(csv, tombstone, null, edit('1,b'))).toBeNull();
    const parked = letterOf('1,a', { attempt: MAX_ATTEMPTS });
    expect(reasonOf(csv, parked, JOB, edit('1,b'))).toBe('PARKED');
    expect(reasonOf(csv, parked, JOB, null, { force: true })).toBeNull();
    expect(reasonOf(csv, letterOf('1,a', { attempt: MAX_ATTEMPTS - 1 }), JOB, null)).toBeNull();
  });

  it('is no record of a file in which bytes could not be decoded, as these would be stored as U+FFFD', () => {
    const big5 = { ...csv, encoding: 'big5' };
    expect(reasonOf(big5, letterOf('1,\ufffd'), JOB, null)).toBe('UNDECODED');
    expect(reasonOf(big5, letterOf('1,\ufffd'), JOB, edit('2,\ufffd'))).toBe('UNDECODED');
    expect(reasonOf(big5, letterOf('1,\ufffd'), JOB, edit('1,a'))).toBeNull();
    expect(reasonOf(csv, letterOf('1,\ufffd'), JOB, null)).toBeNull();
    expect(
      reasonOf(big5, letterOf('1,\ufffd', { message: { ...PLACE, headers: [] } }), JOB, null),
    ).toBeNull();
  });

  it('is cut to the one record that it is, whatever its bytes are (SN2)', () => {
    const piece = fc.constantFrom(
      'a',
      '1',
      ',',
      ';',
      '"',
      '""',
      '\\',
      '\n',
      '\r',
      '\r\n',
      '#',
      ' ',
      '{',
      '東',
    );
    const bytes = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join('')));
    const dialects: (CsvDialect | undefined)[] = [
      undefined,
      { delimiter: ';', escape: 'backslash' },
      { quote: null, skipLinesStartingWith: ['#'] },
    ];
    let sendable = 0;
    fc.assert(
      fc.property(bytes, fc.constantFrom(...dialects), fc.boolean(), (value, dialect, isCsv) => {
        const shape = isCsv
          ? { format: 'csv' as const, ...(dialect === undefined ? {} : { csv: dialect }) }
          : { format: 'ndjson' as const };
        const options = { ...DEFAULT_CUTTING, ...shape, topic: 't', columns: ['a'], limitRecords: null };
        const [batch] = cutMessages([[messageOf(0, value)]], { ...options, accepts: () => true });
        const isUnreadable = (batch?.unreadable.length ?? 0) > 0;
        const isSkipped = isCsv && dialect?.quote === null && value[0] === 0x23;
        const fault = faultOf(shape, value);
        if (fault === null) sendable += 1;
        return (fault === null) === !(isUnreadable || isSkipped);
      }),
      { numRuns: 2_000 },
    );
    expect(sendable).toBeGreaterThan(200);
  });

  it('merges: by the dataset’s own mode, else by key, else by adding', () => {
    expect(repairMode({ writeModes: ['append', 'upsert'] }, true)).toBe('append');
    expect(repairMode({ writeModes: ['upsert'] }, true)).toBe('upsert');
    expect(repairMode({ writeModes: ['replace', 'append'] }, true)).toBe('upsert');
    expect(repairMode({ writeModes: ['replace'] }, false)).toBe('append');
  });
});
