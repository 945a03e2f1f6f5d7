import { describe, expect, it } from '@jest/globals';
import { Column, Table } from '#core/dataset/columns.js';
import { type Dataset, MAX_HEAD_BYTES, type Prologue } from '#core/dataset/dataset.js';
import { readHead } from './read-head.js';

@Table({ name: 'thing', key: ['a'] })
class Thing {
  @Column({ source: 'a' })
  a!: string | null;
}

/** A dataset whose head is its first line, which must be `a,b`. */
const dataset = {
  name: 'things',
  format: 'csv',
  contract: Thing,
  prologue(head: Buffer, complete: boolean): Prologue | undefined {
    const end = head.indexOf('\n');
    if (end < 0 && !complete) return undefined;
    const found = head.subarray(0, end).toString();
    const finding = { code: 'WRONG_HEADER', field: null, message: 'not a,b', severity: 'error' } as const;
    return {
      columns: ['a', 'b'],
      context: {},
      dataStart: end + 1,
      firstLine: 2,
      findings: found === 'a,b' ? [] : [finding],
    };
  },
} as unknown as Dataset;

/** One chunk a character, and a note whether the source was closed. */
function source(text: string): { chunks: AsyncIterable<Buffer>; isClosed: () => boolean } {
  let closed = false;
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      for (const character of text) yield await Promise.resolve(Buffer.from(character));
    } finally {
      closed = true;
    }
  }
  return { chunks: chunks(), isClosed: () => closed };
}

describe('readHead', () => {
  it('gives the head, and every byte behind it exactly once', async () => {
    const rows = '1,2\n'.repeat(MAX_HEAD_BYTES / 3);
    const { prologue, records, bytesRead } = await readHead(dataset, source(`a,b\n${rows}`).chunks, 'f');
    expect(prologue.columns).toEqual(['a', 'b']);
    const rest: Buffer[] = [];
    for await (const chunk of records) rest.push(chunk);
    expect(Buffer.concat(rest).toString()).toBe(rows);
    expect(bytesRead()).toBe(rows.length + 4);
  });

  it('names the file, and the line that a record would hide in', async () => {
    await expect(readHead(dataset, source('a,b\r1,2\n3,4\n').chunks, 'f.csv')).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      message: expect.stringMatching(/^f\.csv: LINE_ENDS_MIXED: Line 1 ends with CR alone/),
    });
  });

  it('refuses a wrong head with its reasons, and closes the source', async () => {
    const opened = source('c,d\n1,2\n');
    await expect(readHead(dataset, opened.chunks, 'f')).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      message: expect.stringContaining('WRONG_HEADER: not a,b'),
    });
    expect(opened.isClosed()).toBe(true);
  });

  it('refuses a source without bytes', async () => {
    await expect(readHead(dataset, source('').chunks, 'f')).rejects.toMatchObject({ code: 'SOURCE_EMPTY' });
  });

  it('closes the source when the records are left early', async () => {
    const opened = source('a,b\n1,2\n3,4\n');
    const { records } = await readHead(dataset, opened.chunks, 'f');
    for await (const _ of records) break;
    expect(opened.isClosed()).toBe(true);
  });
});
