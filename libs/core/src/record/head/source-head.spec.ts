import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { chunksOf } from '#test/support/record/cutting.js';
import { ORDER, SHOP } from '#test/support/record/sample-contracts.js';
import { Column, Table } from '../../dataset/columns.js';
import type { Dataset, Prologue } from '../../dataset/dataset.js';
import { bomLength, fileError, findWrongKindOfFile } from '../../dataset/file-head.js';
import {
  boundFindings,
  MAX_HEAD_FINDINGS,
  MAX_HEAD_TEXT_BYTES,
  readSourceHead,
  refusalOf,
} from './source-head.js';

@Table({ name: 'thing', key: ['k'] })
class Thing {
  @Column({ source: 'k' })
  k!: string;

  @Column({ source: 'n' })
  n!: string | null;
}

/** As a newcomer writes one: the header is what stands before the first LF, trimmed. */
function naivePrologue(head: Buffer): Prologue {
  const end = head.indexOf('\n');
  const columns = head
    .subarray(0, end < 0 ? head.length : end)
    .toString()
    .split(/[,\r]/)
    .slice(0, 2)
    .map((name) => name.trim());
  return { columns, context: {}, dataStart: end < 0 ? head.length : end + 1, firstLine: 2, findings: [] };
}

const things = {
  name: 'things',
  format: 'csv',
  contract: Thing,
  prologue: naivePrologue,
} as unknown as Dataset;
const orders = {
  ...ORDER,
  prologue: () => ({ columns: [], context: {}, dataStart: 0, firstLine: 1, findings: [] }),
} as unknown as Dataset;

const read = (text: string | Buffer, dataset = things) => readSourceHead(dataset, Buffer.from(text), true);
const codesOf = (text: string | Buffer, dataset = things): string[] =>
  read(text, dataset).prologue.findings.map(({ code }) => code);

describe('a source’s head', () => {
  it.each([
    ['LF', 'k,n\n1,a\n', 'lf', 4],
    ['CRLF', 'k,n\r\n1,a\r\n', 'lf', 5],
    ['CR CR LF', 'k,n\r\r\n1,a\r\r\n', 'lf', 6],
    ['CR', 'k,n\r1,a\r', 'cr', 4],
    ['CR, and LF inside quotes', 'k,n\r1,"a\nb"\r', 'cr', 4],
    ['CR, and an odd quote', 'k,n\r1,"a"b\r', 'cr', 4],
    ['a header without line end', 'k,n', 'lf', 3],
  ] as const)('finds the line ends: %s', (_, text, lineEnd, bytes) => {
    expect(read(text)).toMatchObject({
      lineEnd,
      bytes,
      lines: 1,
      prologue: { findings: [], columns: ['k', 'n'] },
    });
  });

  // SH2
  it.each([
    ['a header that ends with CR before records of LF', 'k,n\r1,a\n2,b\n', 1],
    ['a header that ends with CR before records of CRLF', 'k,n\r1,a\r\n2,b\r\n', 1],
    ['a quoted header that ends with CR', '"k","n"\r"1","a"\n2,b\n', 1],
  ])('refuses %s, in one sentence that names the line', (_, text, line) => {
    const { findings } = read(text).prologue;
    expect(findings).toEqual([
      expect.objectContaining({
        code: 'LINE_ENDS_MIXED',
        line,
        message: expect.stringContaining(`Line ${line} ends`),
      }),
    ]);
  });

  it('says so also where the prologue refuses the file for what follows from it', () => {
    const strict = {
      ...things,
      prologue: (head: Buffer) => ({ ...naivePrologue(head), findings: [fileError('BAD_HEAD', 'bad')] }),
    };
    expect(codesOf('k,n\r1,a\n', strict)).toEqual(['LINE_ENDS_MIXED']);
    expect(codesOf('k;n\n1,a\n', strict)).toEqual(['BAD_HEAD']);
    // In UTF-16 a NUL stands between CR and LF.
    expect(codesOf(Buffer.from('\u{feff}k,n\r\n1,a\r\n', 'utf16le'), strict)).toEqual(['BAD_HEAD']);
  });

  it.each([
    ['begins the records in the middle of a line', { dataStart: 6 }],
    ['takes a record for a part of the head', { dataStart: 8 }],
    ['counts a line too many', { firstLine: 3 }],
    ['begins behind the end', { dataStart: 100 }],
  ])('refuses a prologue that %s', (_, change) => {
    const wrong = { ...things, prologue: (head: Buffer) => ({ ...naivePrologue(head), ...change }) };
    expect(codesOf('k,n\n1,a\n2,b\n', wrong)).toEqual(['HEAD_UNACCOUNTED']);
  });

  it('says each error of a refused head on a line of its own', () => {
    const findings = [fileError('ONE', 'first'), fileError('TWO', 'second')];
    expect(refusalOf({ findings })).toBe('ONE: first\nTWO: second');
    expect(refusalOf({ findings: [] })).toBeNull();
  });

  it('accounts for every byte before the first record, or refuses the file, for all bytes', () => {
    const piece = fc.constantFrom('k,n', '\r', '\n', '\r\n', '1,a', '"', ',', '\r\r\n', ' ', '\uFEFF');
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => `k,n${pieces.join('')}`);
    fc.assert(
      fc.property(text, (given) => {
        const { prologue, bytes, lines, lineEnd } = read(given);
        if (refusalOf(prologue) !== null) return;
        const head = Buffer.from(given).subarray(0, prologue.dataStart).toString();
        expect({ bytes, lines }).toEqual({ bytes: prologue.dataStart, lines: prologue.firstLine - 1 });
        expect(head.replace(lineEnd === 'cr' ? /\r$/ : /\r{0,2}\n$/, '')).not.toMatch(/[\r\n]/);
      }),
      { numRuns: 1000 },
    );
  });

  it('is empty where there is no byte, for every prologue', () => {
    expect(codesOf('')).toEqual(['FILE_EMPTY']);
    expect(codesOf('', orders)).toEqual(['FILE_EMPTY']);
  });

  // SH1
  it('has one answer, however many bytes come at first', () => {
    const file = Buffer.from(`k\u0001n,a,b,c\n${'1,2,3,4\n'.repeat(200)}`);
    const whole = findWrongKindOfFile(file, true);
    for (const bytes of [2, 3, 10, 40, 511]) {
      expect(findWrongKindOfFile(file.subarray(0, bytes), false)).toBe('undecided');
    }
    for (const bytes of [512, 1000])
      expect(findWrongKindOfFile(file.subarray(0, bytes), false)).toEqual(whole);
  });

  it('takes a CSV file without a header, whose prologue names the columns itself', () => {
    const headless = {
      ...things,
      prologue: (head: Buffer) => ({
        columns: ['k', 'n'],
        context: {},
        dataStart: bomLength(head),
        firstLine: 1,
        findings: [],
      }),
    };
    expect(read('1,a\n', headless)).toMatchObject({ prologue: { findings: [] }, bytes: 0, lines: 0 });
    expect(read('\uFEFF1,a\n', headless)).toMatchObject({ prologue: { findings: [] }, bytes: 3, lines: 0 });
  });

  it('names the column that the header lacks, or has twice', () => {
    expect(read('k,m\n1,a\n').prologue.findings).toEqual([
      expect.objectContaining({
        code: 'COLUMN_MISSING',
        field: 'n',
        message: expect.stringContaining('"n"'),
      }),
    ]);
    const shop = { ...things, ...SHOP } as unknown as Dataset;
    expect(codesOf('no,name\n1,a\n', shop)).toContain('COLUMN_MISSING');
  });

  it('makes a fault of the dataset of what its prologue throws, without the value (SH4)', () => {
    const throwing = {
      ...things,
      prologue: (head: Buffer): Prologue => {
        throw new TypeError(`boom ${head.toString()}`);
      },
    };
    expect(() => read('secret,n\n', throwing)).toThrow(
      expect.objectContaining({
        code: 'DATASET_CODE_FAILED',
        message: expect.stringMatching(
          /^Dataset things, its prologue: it threw TypeError at source-head\.spec\.ts:\d+:\d+ on line 1\.$/,
        ),
      }),
    );
  });

  it('refuses a file whose head gives more than 1 KiB to the rows, without showing it (SH5)', () => {
    const withContext = (context: Record<string, string>, dataset = things): Dataset => ({
      ...dataset,
      prologue: (head, complete) => ({ ...(dataset.prologue(head, complete) as Prologue), context }),
    });
    // {"date":"2026-09-01","note":"…"}: 31 bytes besides the note.
    const exact = withContext({ date: '2026-09-01', note: `${'"'.repeat(496)}x` });
    expect(codesOf('k,n\n1,a\n', exact)).toEqual([]);
    const { findings } = read('k,n\n1,a\n', withContext({ note: '稅'.repeat(338), date: 'x' })).prologue;
    expect(findings).toEqual([
      expect.objectContaining({
        code: 'CONTEXT_TOO_LARGE',
        severity: 'error',
        field: 'note',
        message: expect.stringMatching(
          /^The prologue of things reads 1036 bytes .* at most 1024 are allowed; "note" has 1016: [\x20-\x7e]+$/,
        ),
      }),
    ]);
    const large = withContext({ note: 'x'.repeat(2000) }, orders);
    expect(codesOf('{"id":1,"customer":{"name":"a"}}\n', large)).toEqual(['CONTEXT_TOO_LARGE']);
    expect(codesOf('n\n1\n', withContext({ note: 'x'.repeat(2000) }))).toEqual([
      'COLUMN_MISSING',
      'CONTEXT_TOO_LARGE',
    ]);
    const facts = fc.dictionary(
      fc.string({ unit: anyCharacter }),
      fc.string({ unit: anyCharacter, maxLength: 400 }),
      {
        maxKeys: 12,
      },
    );
    fc.assert(
      fc.property(facts, (context) => {
        const isLarge = Buffer.from(JSON.stringify(context)).length > 1024;
        expect(codesOf('k,n\n1,a\n', withContext(context))).toEqual(isLarge ? ['CONTEXT_TOO_LARGE'] : []);
      }),
    );
  });

  // SH3
  it('reports ten findings and 2 KB at most, and how many more there are', () => {
    const many = Array.from({ length: 5000 }, (_, i) => fileError('COLUMN_UNKNOWN', `The header has c${i}.`));
    const shown = boundFindings(many);
    expect(shown).toHaveLength(MAX_HEAD_FINDINGS);
    expect(shown.at(-1)?.message).toMatch(/… and 4990 more\.$/);
    const long = boundFindings([fileError('X', '東'.repeat(3000)), ...many]);
    expect(Buffer.byteLength(refusalOf({ findings: long }) ?? '')).toBeLessThanOrEqual(MAX_HEAD_TEXT_BYTES);
  });
});

describe('the head of NDJSON', () => {
  const order = '{"id":1,"customer":{"name":"a"}}';

  it.each([
    ['one object a line', `${order}\n${order}\n`],
    ['one object', order],
    ['a first record that is broken off', `{"id":1,"customer":{"name"\n${order}\n`],
    ['a first record that is broken off in a text', `{"foo":"bar\n${order}\n`],
    ['a first record of another shape among others', `{"foo":1}\n${order}\n`],
    ['CR for line ends', `${order}\r${order}\r`],
    ['a record longer than the head', `{"id":1,"customer":"${'x'.repeat(70_000)}`],
    ['nothing but an empty object', '{}'],
  ])('may be %s', (_, text) => {
    expect(codesOf(text.slice(0, 64 * 1024), orders)).toEqual([]);
  });

  it.each([
    ['FILE_IS_JSON_ARRAY', `[${order},\n${order}]`],
    ['FILE_IS_JSON_ARRAY', `[\n  ${order}\n]\n`],
    ['FILE_IS_ENVELOPE', `{"data":[${order},${order}]}`],
    ['FILE_IS_ENVELOPE', `{"status":"ok","count":2,"results":[${order}],"next":null}\n`],
    ['FILE_IS_ENVELOPE', `{\n  "data": [\n    ${order},\n    ${order}\n  ]\n}\n`],
    ['FILE_IS_ENVELOPE', `{"data":[${`${order},`.repeat(3000)}`],
    ['FILE_IS_ERROR_BODY', '{"error":"Unauthorized","message":"token expired"}\n'],
    ['FILE_IS_ERROR_BODY', '{"error":{"code":401,"message":"x"}}'],
    ['FILE_IS_ERROR_BODY', '{\n  "errors": [\n    "Not found"\n  ]\n}\n'],
    ['FILE_IS_ERROR_BODY', '{"type":"about:blank","title":"Forbidden","status":403,"detail":"no"}'],
    ['FILE_IS_PRETTY_PRINTED', '{\n  "id": 1,\n  "customer": {\n    "name": "a"\n  }\n}\n'],
    ['FILE_IS_PRETTY_PRINTED', '{\r  "id": 1\r}\r'],
    ['FILE_IS_OTHER_JSON', '{"foo":{"bar":1}}\n'],
  ])('is refused as %s: %j', (code, text) => {
    expect(codesOf(text.slice(0, 64 * 1024), orders)).toEqual([code]);
  });

  it('is judged the same however it comes (SH1)', () => {
    const text = `{"data":[${order}]}`;
    fc.assert(
      fc.property(chunksOf(Buffer.from(text)), (chunks) => {
        expect(codesOf(Buffer.concat(chunks), orders)).toEqual(['FILE_IS_ENVELOPE']);
      }),
      { numRuns: 20 },
    );
  });
});
