/**
 * Files that are written in another way than RFC 4180 and UTF-8: datasets say so in words (`csv`, `encoding`), and the
 * rows are those that a person reads in the file. Everything on one running system, dead letters of both stages included.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, it } from '@jest/globals';
import { query } from '../../support/expect-tables.js';
import { clientOf, lettersOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

interface Writing {
  readonly name: string;
  /** Column names of table and file; the first is the key. The last one of `optional` datasets may be missing. */
  readonly columns: readonly string[];
  /** `csv` and `encoding` as they stand in dataset.js. */
  readonly says: string;
  readonly optional?: string;
  readonly file: Buffer;
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  /** Line, stage, codes and bytes of each refused record. */
  readonly refused: readonly (readonly [line: number, stage: string, code: string, text: string])[];
  readonly skipped: number;
}

const BIG5: Readonly<Record<string, readonly number[]>> = {
  ...{
    統: [0xb2, 0xce],
    編: [0xbd, 0x73],
    名: [0xa6, 0x57],
    稱: [0xba, 0xd9],
    許: [0xb3, 0x5c],
    功: [0xa5, 0x5c],
  },
  蓋: [0xbb, 0x5c],
};
const big5 = (text: string): Buffer =>
  Buffer.from(Array.from(text).flatMap((letter) => BIG5[letter] ?? [letter.charCodeAt(0)]));

const WRITINGS: readonly Writing[] = [
  {
    name: 'semicolons-latin',
    columns: ['id', 'straße', 'betrag'],
    says: `csv: { delimiter: ';' }, encoding: 'latin1'`,
    file: gzipSync(
      Buffer.from(
        'straße;id;mehr;betrag\r\n"Am Café; 1";1;x;5,00\r\nÜber;2;;\r\nDoppelt;1;;7\r\nx;y\r\n',
        'latin1',
      ),
    ),
    rows: [
      { id: '1', straße: 'Am Café; 1', betrag: '5,00' },
      { id: '2', straße: 'Über', betrag: null },
    ],
    // A record's bytes are those of the decoded text.
    refused: [
      [4, 'load', 'DUPLICATE', 'Doppelt;1;;7'],
      [5, 'validate', 'MALFORMED_ROW', 'x;y'],
    ],
    skipped: 0,
  },
  {
    name: 'big-five',
    columns: ['統編', '名稱'],
    says: `encoding: 'big5'`,
    // The second byte of three of these characters is a backslash.
    file: Buffer.concat([
      big5('統編,名稱\n1,許功蓋\n'),
      Buffer.from([0x32, 0x2c, 0xff, 0x0a]),
      big5('3,"名,稱"\n'),
    ]),
    rows: [
      { 統編: '1', 名稱: '許功蓋' },
      { 統編: '3', 名稱: '名,稱' },
    ],
    refused: [[3, 'validate', 'MALFORMED_ROW', '2,\ufffd']],
    skipped: 0,
  },
  {
    name: 'headerless-tabs',
    columns: ['id', 'text', 'more'],
    says: String.raw`csv: { delimiter: '\t', quote: null, escape: 'backslash', columns: ['id', 'text', 'more'] }`,
    file: Buffer.from('1\ta\\tb\\\nc\t\\N\n2\t"q"\t\\\\N\n1\tagain\\\n\tx\n'),
    rows: [
      { id: '1', text: 'a\tb\nc', more: null },
      { id: '2', text: '"q"', more: '\\N' },
    ],
    refused: [[4, 'load', 'DUPLICATE', '1\tagain\\\n\tx']],
    skipped: 0,
  },
  {
    name: 'with-footer',
    columns: ['id', 'amount', 'note'],
    says: `csv: { delimiter: ';', skipLinesStartingWith: ['#', 'Summe;'] }, encoding: 'utf-16le'`,
    optional: 'note',
    file: Buffer.from('\ufeff# "of today\nid;amount\n1;5\n# here, too\n2;6\n1;7\nSumme;"18\n', 'utf16le'),
    rows: [
      { id: '1', amount: '5', note: null },
      { id: '2', amount: '6', note: null },
    ],
    refused: [[6, 'load', 'DUPLICATE', '1;7']],
    skipped: 2,
  },
];

const tableOf = (name: string): string => name.replaceAll('-', '_');

function filesOf({ name, columns, says, optional }: Writing): Readonly<Record<string, string>> {
  const sql = columns.map((column, at) => `"${column}" text${at === 0 ? ' PRIMARY KEY' : ''}`).join(', ');
  const decorated = columns.map(
    (column) =>
      `Column({ source: '${column}', target: '${column}', optional: ${column === optional} })(Row.prototype, '${column}');`,
  );
  return {
    'README.md': `# ${name}\n`,
    'migrations/001-tables.sql': `CREATE TABLE public.${tableOf(name)} (${sql});\n`,
    'contract.js': `
      import { Column, Table } from '#core/dataset/columns.js';
      export class Row {}
      ${decorated.join('\n')}
      Table({ name: '${tableOf(name)}', key: ['${columns[0] ?? ''}'] })(Row);`,
    'prologue.js': 'export {};\n',
    'dataset.js': `
      import { csvHead } from '#core/dataset/heads.js';
      import { Row } from './contract.js';
      const says = { ${says} };
      export default { name: '${name}', title: '${name}', contractVersion: 1, format: 'csv', ...says, contract: Row,
        writeModes: ['append'], keepOfDuplicates: 'first', maxRefusedShare: 1, maxShrinkShare: 1, options: {},
        prologue: csvHead(says) };`,
  };
}

const FILES = Object.fromEntries(
  WRITINGS.flatMap((writing) =>
    Object.entries(filesOf(writing)).map(([file, text]) => [`${writing.name}/${file}`, text]),
  ),
);

export const writtenOtherwise = scenario('a file that is written in another way', FILES, (running) => {
  let system: System;

  beforeAll(() => {
    system = running();
  });

  it.each(WRITINGS)('loads as it reads: $name', async ({ name, columns, file, rows, refused, skipped }) => {
    const source = join(system.folder, `${name}.csv`);
    writeFileSync(source, file);
    const job = await runJob(system, { dataset: name, source });
    expect(job).toMatchObject({
      state: 'succeeded',
      counts: {
        read: rows.length + refused.length + skipped,
        loaded: rows.length,
        refused: refused.length,
        skipped,
      },
    });
    const [key = ''] = columns;
    expect(await query(system, `SELECT * FROM ${tableOf(name)} ORDER BY "${key}"`)).toEqual(rows);
    const letters = await lettersOf(system, job.id);
    const told = await Promise.all(
      letters.map(async ({ record, line, stage, codes }) => {
        const { bytesBase64 } = await clientOf(system).deadLetter(job.id, record);
        return [line, stage, codes.join(), Buffer.from(bytesBase64 ?? '', 'base64').toString()];
      }),
    );
    expect(told.sort(([one], [other]) => Number(one) - Number(other))).toEqual(refused);
  });
});
