import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { csvHead } from '#core/dataset/heads.js';
import { int64 } from '#core/dataset/kinds.js';
import { Required } from '#core/dataset/rules.js';
import { chunksOf, judgeChunks } from './judge-file.js';
import { judgeMessages } from './judge-messages.js';
import type { FileVerdict, PlacedFinding } from './verdict-sums.js';

@Table({ name: 'customer', key: ['number', 'name'] })
class Customer {
  @Column({ source: 'number' })
  @Required({ code: 'NO_NUMBER' })
  number!: string;

  @Column({ source: 'name' })
  name!: string | null;

  @Column({ source: 'age', kind: int64(), ifInvalid: { code: 'BAD_AGE', severity: 'warning' } })
  age!: string | null;
}

const HEADER = 'number,name,age\n';

const customers: Dataset = {
  name: 'customers',
  title: 'Customers',
  contractVersion: 1,
  format: 'csv',
  contract: Customer,
  writeModes: ['replace'],
  keepOfDuplicates: 'first',
  maxRefusedShare: 0.05,
  maxShrinkShare: 0.2,
  options: {},
  prologue(head, complete) {
    const end = head.indexOf('\n') + 1;
    if (end === 0 && !complete) return undefined;
    const isRight = head.subarray(0, end).toString() === HEADER;
    const wrong = {
      code: 'WRONG_HEADER',
      field: null,
      message: 'the header is another',
      severity: 'error',
    } as const;
    const findings = isRight ? [] : [wrong];
    return { columns: ['number', 'name', 'age'], context: {}, dataStart: end, firstLine: 2, findings };
  },
};

describe('judging a file without the services', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-check-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  async function judge(
    content: string | Buffer,
    dataset = customers,
  ): Promise<{ verdict: FileVerdict; told: PlacedFinding[] }> {
    const file = join(folder, 'customers.csv');
    writeFileSync(file, content);
    const told: PlacedFinding[] = [];
    const verdict = await judgeChunks(
      dataset,
      {},
      dataset.writeModes[0] ?? 'replace',
      chunksOf(file),
      file,
      (findings) => {
        told.push(...findings);
        return Promise.resolve();
      },
    );
    return { verdict, told };
  }

  const placesOf = (told: readonly PlacedFinding[]): string[] =>
    told.map(({ line, code }) => `${line} ${code}`);

  it('reports every finding with its line, those of accepted records too', async () => {
    const rows = '1,"a\nb",x\n,c,1\n\n2,d\n3,e,7\n';
    const { verdict, told } = await judge(HEADER + rows);
    expect(placesOf(told)).toEqual(['2 BAD_AGE', '4 NO_NUMBER', '6 MALFORMED_ROW']);
    expect(verdict).toEqual({
      fileRefused: false,
      read: 5,
      accepted: 2,
      refused: 2,
      skipped: 1,
      warnings: 1,
      superseded: 0,
      deletes: 0,
      findings: { BAD_AGE: 1, NO_NUMBER: 1, MALFORMED_ROW: 1 },
      unknownMembers: {},
      duplicatesIncomplete: false,
    });
  });

  it('finds repeats of a key by all of its columns, among accepted records only', async () => {
    const rows = '1,a,1\n2,a,1\n1,b,1\n,a,1\n1,a,2\n12,,1\n1,2,1\n1,a,3\n';
    const { verdict, told } = await judge(HEADER + rows);
    expect(placesOf(told)).toEqual(['5 NO_NUMBER', '6 DUPLICATE', '9 DUPLICATE']);
    expect(told[1]?.message).toContain('line 2');
    expect(verdict).toMatchObject({ read: 8, accepted: 5, refused: 3 });
  });

  it('counts deletes, and records of one key with them, in the one mode that takes them', async () => {
    const deletes = { marker: { source: 'age', values: ['99'] } };
    const rows = '1,a,1\n1,a,99\n2,b,99\n2,c,1\n,x,99\n2,b,99\n';
    const { verdict, told } = await judge(HEADER + rows, { ...customers, writeModes: ['upsert'], deletes });
    expect(placesOf(told)).toEqual(['6 NO_NUMBER']);
    expect(verdict).toMatchObject({ read: 6, accepted: 5, refused: 1, superseded: 2, deletes: 3 });
    const other = await judge(HEADER + rows, { ...customers, writeModes: ['append'], deletes });
    expect(other.verdict).toMatchObject({
      accepted: 2,
      refused: 4,
      deletes: 0,
      findings: { DELETE_REFUSED: 4 },
    });
  });

  it('where the last record is kept, the earlier ones are the duplicates', async () => {
    const { told } = await judge(`${HEADER}1,a,1\n1,a,2\n1,a,3\n`, {
      ...customers,
      keepOfDuplicates: 'last',
    });
    expect(told.map(({ line, message }) => [line, /line \d+/.exec(message)?.[0]])).toEqual([
      [2, 'line 3'],
      [3, 'line 4'],
    ]);
  });

  it('finds repeats and lines across batches', async () => {
    const rows = Array.from({ length: 50_000 }, (_, i) => `${i},${'n'.repeat(30)},1\n`).join('');
    const { verdict, told } = await judge(`${HEADER}${rows}7,${'n'.repeat(30)},1\n`);
    expect(placesOf(told)).toEqual(['50002 DUPLICATE']);
    expect(verdict).toMatchObject({ read: 50_001, accepted: 50_000, refused: 1 });
  });

  it('looks at no record of a file with a wrong head', async () => {
    const { verdict, told } = await judge('name;number\n1,a,1\n');
    expect(placesOf(told)).toEqual(['1 WRONG_HEADER']);
    expect(verdict).toMatchObject({ fileRefused: true, read: 0 });
  });

  it('ends with the class, the property, the record and the line where code of the dataset throws', async () => {
    const accepts = (value: string): boolean => {
      if (value === 'SECRET') throw new TypeError(value);
      return true;
    };
    @Table({ name: 'customer', key: ['number'] })
    class Broken {
      @Column({ source: 'number', kind: { name: 'own', message: 'x', accepts } }) number!: string;
    }
    const judging = judge(`${HEADER}1,"a\nb",1\nSECRET,b,1\n`, { ...customers, contract: Broken });
    await expect(judging).rejects.toMatchObject({
      code: 'DATASET_CODE_FAILED',
      message: expect.stringMatching(
        /^Dataset customers, class Broken, property number, .* it threw TypeError at \S+ on record 1, line 4\.$/,
      ),
    });
  });

  it('reads a file as its dataset says that it is written', async () => {
    const csv = { delimiter: ';', skipLinesStartingWith: ['Total'] };
    const prologue = csvHead({ csv, encoding: 'utf-16le' });
    const dataset: Dataset = { ...customers, csv, encoding: 'utf-16le', prologue };
    const text = '\ufeffage;name;number\r\n5;"ü;""";1\r\nx;\ud800;2\r\n6;"ü;""";1\r\nTotal "11\r\n';
    const { verdict, told } = await judge(Buffer.from(text, 'utf16le'), dataset);
    expect(placesOf(told)).toEqual(['3 MALFORMED_ROW', '4 DUPLICATE']);
    expect(told[0]?.message).toBe('the record holds bytes that are not UTF-16LE');
    expect(verdict).toMatchObject({ read: 4, accepted: 1, refused: 2, skipped: 1 });
  });

  it('says that a packed file has to be unpacked', async () => {
    await expect(judge(gzipSync(HEADER))).rejects.toThrow('is packed (gzip)');
    const decoded = { ...customers, encoding: 'big5' };
    await expect(judge(gzipSync(HEADER), decoded)).rejects.toThrow('is packed (gzip)');
  });

  it('judges messages of a dataset with an inbox alone', async () => {
    const lines = Readable.from([Buffer.from('1,one,2')]);
    const judged = judgeMessages(customers, {}, 'append', { lines, name: 'x', headers: {} }, async () => {});
    await expect(judged).rejects.toMatchObject({ code: 'NO_INBOX' });
  });
});
