import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { proposed } from '#test/support/proposed-dataset.js';
import { RunFolder } from '#test/support/run-folder.js';
import { newDataset, propose } from './new-dataset.js';

const SAMPLE = 'id,name\n1,red\n2,blue\n';

function contractOf(...sample: Parameters<typeof proposed>): string {
  return proposed(...sample).files['contract.ts'] ?? '';
}

function guessesOf(...sample: Parameters<typeof proposed>): string {
  return proposed(...sample).proposal.guesses.join('\n');
}

describe('sluice new dataset', () => {
  let folder: RunFolder;
  let datasets: string;
  let count = 0;
  let cli: CliHarness;

  beforeAll(() => {
    folder = new RunFolder('new-dataset-command');
  });
  afterAll(async () => {
    await folder.remove();
  });
  beforeEach(() => {
    datasets = join(folder.path, `datasets-${count++}`);
    cli = new CliHarness();
    cli.cwd = folder.path;
    writeFileSync(join(folder.path, 'sample.csv'), SAMPLE);
  });

  const write = (name: string, from = 'sample.csv', key?: string[]): Promise<unknown> =>
    newDataset(cli.context(), name, { from, ...(key === undefined ? {} : { key }) }, datasets);
  const refusal =
    (sample: Buffer | string, key: string[] = []): (() => unknown) =>
    () =>
      proposed(sample, { key });

  it('writes a folder, says what it guessed, and prints the commands that load the sample', async () => {
    expect(await write('red-things')).toBe('success');
    expect(readdirSync(datasets)).toEqual(['red-things']);
    expect(readdirSync(join(datasets, 'red-things')).sort()).toEqual([
      'README.md',
      'contract.ts',
      'dataset.ts',
    ]);
    expect(cli.stdout.text).toContain('from 2 records: 2 columns, 1 table, key id.');
    expect(cli.stdout.text).toContain('The key is `id`: it differs in every record of the sample.');
    expect(cli.stdout.text).toMatch(
      / {2}npx sluice up\n {2}npx sluice run red-things --source sample\.csv\n$/,
    );
    expect(readFileSync(join(datasets, 'red-things/dataset.ts'), 'utf8')).toBe(
      "import { defineDataset } from '#core/dataset/define-dataset.js';\n" +
        "import { RedThing } from './contract.js';\n\n" +
        "export default defineDataset({\n  title: 'Red things, from sample.csv',\n  contract: RedThing,\n});\n",
    );
    expect(readFileSync(join(datasets, 'red-things/contract.ts'), 'utf8')).toBe(
      "import { Column, Table } from '#core/dataset/columns.js';\n" +
        "import { int64, varchar } from '#core/dataset/kinds.js';\n\n" +
        "@Table({ name: 'red_thing', key: ['id'] })\nexport class RedThing {\n" +
        '  @Column({ kind: int64(), required: true }) id!: string;\n' +
        '  @Column({ kind: varchar(10) }) name!: string | null;\n}\n',
    );
  });

  it('leaves a folder that is there as it is, and nothing behind when it cannot write', async () => {
    mkdirSync(join(datasets, 'red-things'), { recursive: true });
    await expect(write('red-things')).rejects.toMatchObject({ code: 'USAGE_INVALID' });
    expect(readdirSync(join(datasets, 'red-things'))).toEqual([]);
    writeFileSync(join(folder.path, 'no-folder'), '');
    datasets = join(folder.path, 'no-folder');
    await expect(write('blue-things')).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTDIR|EEXIST/),
    });
  });

  it.each(['Things', 'a_b', '-a', 'a--b', '1a', 'a'.repeat(41), '', '../x', 'tax-registration'])(
    'takes no dataset of the name "%s"',
    async (name) => {
      await expect(write(name)).rejects.toMatchObject({ code: 'USAGE_INVALID' });
      expect(existsSync(datasets)).toBe(false);
    },
  );

  it('takes another table where the dataset’s own is taken', async () => {
    await write('tax-registrations');
    const contract = readFileSync(join(datasets, 'tax-registrations/contract.ts'), 'utf8');
    expect(contract).not.toContain("name: 'tax_registration'");
    expect(contract).toContain("name: 'tax_registrations'");
  });

  it.each([
    ['no --from', ['new', 'dataset', 'x'], '--from'],
    ['something else than a dataset', ['new', 'plan', 'x', '--from', 'a'], 'Allowed choices are dataset'],
    ['no such file', ['new', 'dataset', 'x', '--from', '/no/such/file'], 'There is no file /no/such/file'],
    ['a folder', ['new', 'dataset', 'x', '--from', '/'], 'is a directory'],
  ])('ends with code 2 for %s', async (_what, args, said) => {
    expect(await cli.run(...args)).toBe(2);
    expect(cli.stderr.text).toContain(said);
  });

  it.each<[string, Buffer | string, string]>([
    ['nothing', '', 'is empty'],
    ['blanks', ' \n\n', 'is empty'],
    ['a header alone', 'id,name\n', 'no records'],
    ['gzip', gzipSync(SAMPLE), 'gzip'],
    ['a zip', Buffer.from('PK\u0003\u0004rest of a zip archive'), 'zip'],
    ['a page of HTML', '<!doctype html><html></html>', 'HTML'],
    ['a JSON array', '[{"a":1}]', "one JSON array: write its objects, one a line (`jq -c '.[]'`)."],
    ['a JSON array over lines', '[\n  {"a":1},\n  {"a":2}\n]\n', 'JSON array'],
    ['a JSON array of arrays', '[["a"],[1]]', 'JSON array'],
    ['an empty JSON array', '[]', 'JSON array'],
    [
      'a JSON object around the records',
      '{"data":[{"id":1},{"id":2}]}\n',
      'around the records, which stand in its array "data": write the objects of that array, one a line (`jq -c \'.data[]\'`).',
    ],
    [
      'one with members of an answer around it, over lines',
      '{\n  "status": "ok", "total_count": 1,\n  "results": [\n    {"id":1}\n  ],\n  "next": null\n}',
      "(`jq -c '.results[]'`)",
    ],
    [
      'one whose array has an odd name',
      `{"it's":[{"id":1}]}`,
      'array "it\'s": write the objects of that array, one a line.',
    ],
    [
      'pretty printed JSON',
      '{\n  "a": 1\n}\n',
      "spread over several lines: write each object on one line (`jq -c '.'`)",
    ],
    ['a line of JSON that is no object', '{"a":1}\n7\n', 'Line 2 of the sample is no JSON object'],
    ['NDJSON with a broken line', '{"a":1}\n{"a":\n', 'Line 2'],
    ['lines that no delimiter cuts alike', 'a,b\na;b\na\tb\na|b\n'.repeat(2), 'No delimiter'],
    ['no key', 'a,b\n1,2\n1,2\n', '--key a,b'],
    ['objects without members', '{}\n{}\n', 'no column'],
  ])('refuses %s', (_what, sample, said) => {
    expect(refusal(sample)).toThrow(
      expect.objectContaining({ code: 'USAGE_INVALID', message: expect.stringContaining(said) }),
    );
  });

  it('takes one object with a list for one record, where its other members are no answer of a service', () => {
    const { proposal } = proposed('{"id":1,"items":[{"sku":"a"}]}\n');
    expect(proposal).toMatchObject({ key: ['id'], records: 1, children: [{ path: 'items' }] });
    expect(proposed('{"data":[{"n":1}],"id":1}\n{"data":[{"n":2}],"id":2}\n').proposal.records).toBe(2);
  });

  it('says so of a document on one line that is larger than what is read of a sample', () => {
    const bytes = Buffer.from(`{"data":[${'{"id":1},'.repeat(10)}`);
    const about = { file: 'a.json', key: [], usedTables: [] };
    expect(() => propose('things', { bytes, isWhole: false }, about)).toThrow("(`jq -c '.data[]'`)");
  });

  describe('the key', () => {
    it('may be named, by the source or the property; where it does not fit, a guess says so', () => {
      expect(proposed(SAMPLE, { key: ['name', 'id'] }).proposal.key).toEqual(['name', 'id']);
      expect(proposed('Kunde-Nr.,b\n1,2\n', { key: ['kundeNr'] }).proposal.key).toEqual(['kundeNr']);
      expect(refusal(SAMPLE, ['nmae'])).toThrow('--key: the sample has no column "nmae"; it has id, name.');
      expect(guessesOf('id,b\n1,2\n1,3\n,4\n', { key: ['id'] })).toMatch(
        /1 records? .* no value[^]*1 records? .* repeat/,
      );
    });

    it('is the column that says so, the fewest that differ, and never an amount', () => {
      expect(proposed('amount,name,code\n1.5,a,x\n2.5,b,y\n').proposal.key).toEqual(['code']);
      expect(proposed('a,b,c\nx,1,p\nx,2,p\ny,1,p\n').proposal.key).toEqual(['a', 'b']);
      expect(proposed('a,b,c\nx,1,p\nx,1,q\nx,2,p\ny,1,p\n').proposal.key).toEqual(['a', 'b', 'c']);
    });
  });

  describe('names', () => {
    it('become properties: of 200 characters, Chinese, with points, twice, empty, and of what every object has', () => {
      const sample = `${'n'.repeat(200)},公司名稱,a.b,a.b,,constructor,__proto__,toString,m²\n1,2,3,4,5,6,7,8,9\n`;
      const { proposal } = proposed(sample);
      expect(proposal.columns.map(({ property }) => property)).toEqual([
        'n'.repeat(63),
        '公司名稱',
        'aB',
        'aB2',
        'column5',
        'constructorValue',
        'proto',
        'toStringValue',
        'm',
      ]);
      expect(proposal.csv.columns?.slice(2, 5)).toEqual(['a.b', 'a.b2', 'column5']);
      expect(proposal.csv.skipLinesStartingWith).toEqual([sample.split('\n')[0]]);
    });

    it('that begin alike for 63 bytes stay different', () => {
      const long = 'n'.repeat(70);
      const { proposal } = proposed(`${long}a,${long}b\n1,2\n`);
      expect(proposal.columns.map(({ property }) => property)).toEqual([
        'n'.repeat(63),
        `${'n'.repeat(62)}2`,
      ]);
    });

    it('of places in arrays are not those of members or of the parent', () => {
      const line = '{"id":1,"中文":[{"position":[1],"中文":[{"position":2}]}]}\n';
      const [child] = proposed(line).proposal.children;
      expect(child?.slot).toBe('中文Position');
      expect(child?.children[0]).toMatchObject({ parentKey: ['id', '中文Position'], slot: '中文Position2' });
    });

    it('of classes and tables are taken once', () => {
      const line = '{"id":1,"item":[{"a":1}],"items":[{"a":1}],"table":[{"a":1}]}\n';
      const { children } = proposed(line, { name: 'child' }).proposal;
      expect(children.map(({ className }) => className)).toEqual(['ChildItem', 'ChildItem2', 'ChildTable2']);
      expect(children.map(({ table }) => table)).toEqual(['child_item', 'child_item2', 'child_table']);
      expect(proposed(SAMPLE, { name: 'columns' }).proposal.className).toBe('ColumnRow');
    });
  });

  describe('the dialect', () => {
    it.each<[string, string, unknown]>([
      ['semicolons', 'a;b\n1;2\n', { delimiter: ';' }],
      ['tabs', 'a\tb\n1\t2\n', { delimiter: '\t' }],
      ['one column', 'a\n1\n2\n', {}],
      ['one column of sentences', 'one, two\nthree\nfour, five, six\n', { delimiter: ';' }],
      ['one column with commas in quotes', 'a\n"x,5"\n"y,5"\n', {}],
      ['line ends in quotes', 'a,b\n1,"x\ny"\n2,"z\r\nw"\n', {}],
      ['old Macintosh line ends in no file of today', 'a,b\n1,x\n', {}],
      ['single quotes', "'a';'b'\n'1';'x;y'\n'2';'it''s'\n", { delimiter: ';', quote: "'" }],
      ['escapes', 'a,b\n1,"x \\" y"\n', { escape: 'backslash' }],
      ['comments', '# made today\na,b\n1,2\n# end\n', { skipLinesStartingWith: ['#'] }],
      ['a footer', 'a,b\n1,2\n2,3\n3,4\nTotal\n', { skipLinesStartingWith: ['Total'] }],
      [
        'a footer in quotes',
        '"a","b","c"\n"1","2","3"\n"2","3","4"\n"Sum",5\n',
        { skipLinesStartingWith: ['"Sum",'] },
      ],
      ['no header', '1,a\n2,b\n', { columns: ['column1', 'column2'] }],
      ['years as names', 'id,2019,2020\n1,1,2\n2,3,4\n', {}],
    ])('%s', (_what, sample, csv) => {
      expect(proposed(sample).proposal.csv).toEqual(csv);
    });

    it('says how many lines will be refused', () => {
      const lines = Array.from({ length: 20 }, (_, at) => `${at},x\n`).join('');
      expect(guessesOf(`a,b\n${lines}1,2,3\n1,2\n100,y\n`, { key: ['a'] })).toContain(
        "1 of the sample's lines do not have 2",
      );
    });

    it('with \\N for NULL takes words like NA for what they are', () => {
      expect(contractOf('1,NA\n2,\\N\n')).toContain("cleaning: { nullTokens: ['', '\\\\N'] }");
    });
  });

  describe('the encoding', () => {
    it.each<[string, Buffer, string | null]>([
      ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${SAMPLE}`), null],
      ['UTF-16 with one', Buffer.from(`\ufeff${SAMPLE}`, 'utf16le'), 'utf-16le'],
      ['UTF-16 without', Buffer.from(SAMPLE, 'utf16le'), 'utf-16le'],
      ['UTF-16, big-endian', Buffer.from(`\ufeff${SAMPLE}`, 'utf16le').swap16(), 'utf-16be'],
      ['Latin-1', Buffer.from('id,name\n1,Müller\n2,Söhne\n', 'latin1'), 'windows-1252'],
      [
        'UTF-8 with a broken character',
        Buffer.from([...Buffer.from('id,n\n1,ÄÖÜäöüßéèàç'), 0xff, 0x0a]),
        null,
      ],
      ['UTF-8 in a BOM-less file of Chinese', Buffer.from('id,名稱\n1,公司\n'), null],
    ])('%s', (_what, sample, encoding) => {
      const { proposal } = proposed(sample);
      expect(proposal.encoding).toBe(encoding);
      expect(proposal.columns[0]?.source).toBe('id');
    });
  });

  describe('kinds', () => {
    it.each<[string, readonly string[], string]>([
      ['digits with zeros before them', ['007', '012'], 'varchar(10)'],
      ['whole numbers', ['7', '-12'], 'int64()'],
      ['comma as the decimal mark', ['1,5', '2,25'], "numeric({ decimalMark: ',' })"],
      ['both marks', ['1.234,5', '2,25'], "numeric({ decimalMark: ',', thousandsMark: '.' })"],
      ['commas for thousands', ['1,234.5', '2.25'], "numeric({ thousandsMark: ',' })"],
      ['days before months', ['13/02/2026', '01/02/2026'], "date('D/M/YYYY')"],
      ['months before days', ['02/13/2026', '01/02/2026'], "date('M/D/YYYY')"],
      ['eight digits of a day', ['20260113', '20261231'], "date('YYYYMMDD')"],
      ['eight digits of no day', ['20260113', '20269931'], 'int64()'],
      ['several types', ['1', 'x', '2026-01-01'], 'varchar(20)'],
      ['only one of two words', ['Y', 'Y'], 'varchar(10)'],
      ['Y and N', ['Y', 'N'], "flag({ true: ['Y'], false: ['N'] })"],
      ['long text', ['x'.repeat(400), 'y'], 'text()'],
    ])('%s', (_what, values, kind) => {
      const { columns } = proposed(`k;v\n${values.map((value, at) => `k${at};${value}\n`).join('')}`, {
        key: ['k'],
      }).proposal;
      expect(columns[1]?.kind ?? 'text()').toBe(kind);
    });

    it('says what is not certain', () => {
      expect(guessesOf('k,d\nx,01/02/2026\ny,02/03/2026\n')).toContain(
        '`d`: day and month may be the other way round.',
      );
      expect(guessesOf('k,d\nx,13/02/2026\ny,02/03/2026\n')).not.toContain('other way round');
      expect(guessesOf('k;d\nx;1,234\ny;2,345\n')).toContain('`d`: the comma may separate thousands.');
      expect(guessesOf('k,d,e\nx,,\ny,NULL,\n')).toContain('`d`, `e`: the sample has no value of it.');
    });

    it('NA among two-character codes is Namibia', () => {
      const text = contractOf('id,country,a\n1,DE,NA\n2,NA,x\n3,FR,y\n');
      expect(text).toContain("@Column({ kind: varchar(10), nullTokens: [''] }) country!: string | null;");
      expect(guessesOf('id,country,a\n1,DE,NA\n2,NA,x\n3,FR,y\n')).toContain('`a`: NA is null there.');
    });
  });

  it('looks at a line of 8 MiB, and at 16 MiB of a larger file', async () => {
    const long = `id,name\n1,${'x'.repeat(8 * 1024 * 1024)}\n2,y\n`;
    expect(contractOf(long)).toContain('  @Column() name!: string | null;');
    // Few records: how many there are is not what this is about.
    const record = `1234567,${'some name '.repeat(100)}\n`;
    writeFileSync(join(folder.path, 'large.csv'), `id,name\n${record.repeat(17_000)}`);
    await write('large', 'large.csv', ['id']);
    expect(cli.stdout.text).toContain('Only the first 16 MiB of the sample were read.');
  });

  it('leaves nothing behind where the folder of datasets cannot be written to', async () => {
    mkdirSync(datasets);
    chmodSync(datasets, 0o555);
    // Root may write anyway: then the folder is there, whole.
    await write('red-things').catch(() => undefined);
    chmodSync(datasets, 0o755);
    expect(readdirSync(datasets).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
