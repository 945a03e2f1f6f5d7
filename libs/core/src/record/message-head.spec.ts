import { describe, expect, it } from '@jest/globals';
import type { RawHeaders } from '#common/kafka/message.js';
import { MessageHeads } from './message-head.js';
import type { MessageHead } from './raw-batch.js';

const texts = (headers: Record<string, string>): RawHeaders =>
  Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]));

describe('the head of a message', () => {
  const asked: MessageHead[] = [];
  const csv = new MessageHeads({
    format: 'csv',
    columns: ['id', 'name'],
    accepts: (head) => {
      asked.push(head);
      return head.columns.includes('id');
    },
  });
  const json = new MessageHeads({ format: 'ndjson', columns: [], accepts: () => true });

  it.each<[string, Record<string, string>, string[], Record<string, string>]>([
    ['nothing', {}, ['id', 'name'], {}],
    ['headers of others', { trace: 'x', contenttype: 'x' }, ['id', 'name'], {}],
    ['a list', { columns: '["id"," a "]' }, ['id', ' a '], {}],
    ['names between commas', { columns: ' id , a' }, ['id', 'a'], {}],
    ['a context', { context: '{"day":"1"}' }, ['id', 'name'], { day: '1' }],
    ['its format', { 'content-type': 'Text/CSV; header=absent; charset="UTF-8"' }, ['id', 'name'], {}],
    ['nothing of its format', { 'content-type': 'application/octet-stream' }, ['id', 'name'], {}],
  ])('says %s', (_what, headers, columns, context) => {
    expect(csv.of(texts(headers))).toMatchObject({ columns, context });
  });

  it.each<[string, Record<string, string>]>([
    ['WRONG_CONTENT_TYPE', { 'content-type': 'application/json' }],
    ['WRONG_CONTENT_TYPE', { 'content-type': 'text/csv; charset=big5' }],
    ['WRONG_CONTENT_TYPE', { 'content-type': '' }],
    ['BAD_MESSAGE_HEADER', { columns: '' }],
    ['BAD_MESSAGE_HEADER', { columns: 'id,' }],
    ['BAD_MESSAGE_HEADER', { columns: 'id,id' }],
    ['BAD_MESSAGE_HEADER', { columns: '[1]' }],
    ['BAD_MESSAGE_HEADER', { columns: '["id"' }],
    ['BAD_MESSAGE_HEADER', { columns: `["id","${'x'.repeat(70_000)}"]` }],
    ['BAD_MESSAGE_HEADER', { columns: 'name' }],
    ['BAD_MESSAGE_HEADER', { context: '{"day":1}' }],
    ['BAD_MESSAGE_HEADER', { context: '[]' }],
    ['BAD_MESSAGE_HEADER', { context: '{"sluice:job":"1"}' }],
    ['BAD_MESSAGE_HEADER', { context: 'null' }],
    ['BAD_MESSAGE_HEADER', { context: '{"day":"\\u0000"}' }],
    ['BAD_MESSAGE_HEADER', { context: JSON.stringify({ day: 'x'.repeat(1_024) }) }],
  ])('is refused: %s of %j', (code, headers) => {
    expect(csv.of(texts(headers))).toBe(code);
  });

  it('is refused when it is no UTF-8', () => {
    expect(csv.of({ columns: Buffer.from([0x69, 0x64, 0x2c, 0xff]) })).toBe('BAD_MESSAGE_HEADER');
  });

  it('of several values of one header is the last one’s', () => {
    const columns = [Buffer.from('x'), Buffer.from('id')];
    expect(csv.of({ columns })).toMatchObject({ columns: ['id'] });
  });

  it.each([
    'application/json',
    'application/vnd.orders+json',
    'application/x-ndjson; charset=utf-8',
    'text/plain',
  ])('of JSON may say %s, and columns mean nothing', (contentType) => {
    expect(json.of(texts({ 'content-type': contentType, columns: ',' }))).toMatchObject({ columns: [] });
  });

  it('is understood once, and asked about once, for all messages that say the same', () => {
    asked.length = 0;
    const heads = ['a', 'b', 'a', 'b'].map((name) => csv.of(texts({ columns: `id,${name}1` })));
    expect(asked.map(({ columns }) => columns)).toEqual([
      ['id', 'a1'],
      ['id', 'b1'],
    ]);
    expect(heads[0]).toBe(heads[2]);
  });
});
