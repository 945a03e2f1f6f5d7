import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { loadRegistry } from '#core/registry/registry.js';
import { migrateAll } from '#core/schema/migrate.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { proposed } from '#test/support/proposed-dataset.js';

/** Inside of the checkout, where Jest resolves what a dataset imports, and in a folder that Git and the tools pass by. */
const COVERAGE = fileURLToPath(new URL('../../../../../coverage', import.meta.url));
const SAMPLE = 'id,name,price\n1,red,1.50\n2,blue,2\n';

describe('sluice dataset', () => {
  let server: TestDatabase;
  let client: pg.Client;
  let folder: string;
  let home: string;
  let cli: CliHarness;

  beforeAll(async () => {
    server = await startTestDatabase();
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });
  beforeEach(async () => {
    mkdirSync(COVERAGE, { recursive: true });
    folder = mkdtempSync(join(COVERAGE, 'datasets-'));
    home = join(folder, 'parcels');
    put(proposed(SAMPLE, { name: 'parcels' }).files);
    await client.query('DROP TABLE IF EXISTS parcel');
    await client.query('DROP SCHEMA IF EXISTS sluice, sluice_staging CASCADE');
    fresh();
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function put(files: Readonly<Record<string, string>>): void {
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(join(home, file, '..'), { recursive: true });
      writeFileSync(join(home, file), content);
    }
  }
  function fresh(environment: Record<string, string> = {}): void {
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = { SLUICE_DATASET_PATHS: folder, ...environment };
  }
  const withDatabase = (): void => {
    fresh({ DATABASE_URL: server.url });
  };
  const dataset = (...args: string[]): Promise<number> => cli.run('dataset', ...args);
  const json = (): unknown => JSON.parse(cli.stdout.text);
  const migrate = async (): Promise<readonly string[]> => {
    const entry = (await loadRegistry([folder])).entry('parcels');
    return (await migrateAll(server.url, [entry])).applied.filter((name) => name.startsWith('parcels'));
  };

  it.each([
    ['no action', [], 'missing required argument'],
    ['an unknown action', ['fly', 'parcels'], 'Allowed choices are test, describe, migration, recreate'],
    ['no name', ['test'], 'missing required argument'],
    ['an unknown dataset', ['test', 'parcel'], 'Did you mean "parcels"?'],
  ])('ends with code 2 for %s', async (_what, args, said) => {
    expect(await dataset(...args)).toBe(2);
    expect(cli.stderr.text).toContain(said);
  });

  describe('test', () => {
    it('says what was asked and what was left out, without a database', async () => {
      expect(await dataset('test', 'parcels')).toBe(0);
      expect(cli.stdout.text).toContain('ok        README: ');
      expect(cli.stdout.text).toContain('left out  fixtures: ');
      expect(cli.stdout.text).toContain('there is no fixtures/input.csv');
      expect(cli.stdout.text).toContain('ok        generator: ');
      expect(cli.stdout.text).toContain('left out  tables: ');
    });

    it('ends with code 7 for what is wrong, and prints one JSON object on demand', async () => {
      put({ 'README.md': '# other\n' });
      expect(await dataset('test', 'parcels')).toBe(7);
      expect(cli.stdout.text).toContain('FAILED    README: ');
      expect(cli.stdout.text).toContain('its first line is not "# parcels"');
      fresh();
      expect(await dataset('test', 'parcels', '--json')).toBe(7);
      expect(json()).toMatchObject({ ok: false, error: { code: 'CHECK_FAILED' }, checks: expect.any(Array) });
    });

    it.each<[string, Readonly<Record<string, string>>, string]>([
      [
        'numbers of sections',
        { 'README.md': '# parcels\n\n## 1. One\n\n## 3. Three\n' },
        'its sections are 1, 3',
      ],
      [
        'a citation of no section',
        { 'README.md': '# parcels\n\n## 1. One\n', 'rules.ts': '/** README section 2 */\n' },
        'the code cites section 2, which it has not',
      ],
      [
        'findings that are not listed',
        { 'README.md': '# parcels\n\n| code |\n| --- |\n| `NO_SUCH_CODE` |\n' },
        'it lists NO_SUCH_CODE, which the contract does not give',
      ],
      [
        'fixtures without expectations',
        { 'fixtures/input.csv': SAMPLE },
        'fixtures/expected-clean.json is missing',
      ],
      [
        'fixtures that become something else',
        {
          'fixtures/input.csv': SAMPLE,
          'fixtures/expected-clean.json': '{"counts":{},"findings":{},"tables":{}}',
          'fixtures/expected-dead-letters.json': '[]',
        },
        'counts: expected {}, found {',
      ],
      [
        'a generator that gives other bytes each time',
        {
          'generator.ts':
            'let n = 0;\nexport const generate = () => [Buffer.from(`id,name,price\\n${n++},a,1\\n`)];\n',
        },
        'the same seed gives other bytes',
      ],
      [
        'a generator that gives too few records, nearly all of them wrong',
        { 'generator.ts': "export const generate = () => [Buffer.from('id,name,price\\n1,a,1\\n')];\n" },
        '1500 records were asked for, and 1 are read',
      ],
    ])('finds %s', async (_what, files, problem) => {
      put(files);
      expect(await dataset('test', 'parcels')).toBe(7);
      expect(cli.stdout.text).toContain(problem);
    });

    it('--write writes the expectations that are missing, and leaves those that are there', async () => {
      put({ 'fixtures/input.csv': `${SAMPLE}x,y,z\n`, 'fixtures/expected-dead-letters.json': '[]' });
      expect(await dataset('test', 'parcels', '--write')).toBe(7);
      expect(cli.stderr.text).toContain('expected-clean.json: compare it with what you expect');
      expect(readFileSync(join(home, 'fixtures/expected-dead-letters.json'), 'utf8')).toBe('[]');
      rmSync(join(home, 'fixtures/expected-dead-letters.json'));
      fresh();
      expect(await dataset('test', 'parcels', '--write')).toBe(0);
    });

    it('asks the database, where there is one', async () => {
      withDatabase();
      expect(await dataset('test', 'parcels')).toBe(7);
      expect(cli.stdout.text).toContain('there is no table public.parcel');
      await migrate();
      withDatabase();
      expect(await dataset('test', 'parcels', '--json')).toBe(0);
      expect(json()).toMatchObject({ ok: true });
    });
  });

  it('describe prints tables of Markdown, or JSON', async () => {
    expect(await dataset('describe', 'parcels')).toBe(0);
    expect(cli.stdout.text).toContain('Table `public.parcel`, key `id`:\n\n| column  | source | type ');
    expect(cli.stdout.text).toContain('| `id`    | id     | `bigint`      | no   |');
    expect(cli.stdout.text).toMatch(/\| `MISSING_VALUE` +\| error +\| id +\|/);
    fresh();
    expect(await dataset('describe', 'parcels', '--json')).toBe(0);
    expect(json()).toMatchObject({
      ok: true,
      dataset: { name: 'parcels', tables: [{ table: 'public.parcel', key: ['id'] }] },
    });
  });

  it('migration writes the first one, which finds the tables of the draft, then what a change needs', async () => {
    expect(await migrate()).toEqual(['parcels/contract (draft, made)']);
    expect(await dataset('migration', 'parcels')).toBe(0);
    expect(cli.stdout.text).toBe(
      'Wrote parcels/migrations/001-tables.sql. Read it, change what you like, then: npx sluice migrate\n',
    );
    expect(await migrate()).toEqual(['parcels/001-tables.sql (made by the draft)']);
    withDatabase();
    expect(await dataset('migration', 'parcels')).toBe(0);
    expect(cli.stdout.text).toContain('no migration is needed');
    await client.query('ALTER TABLE parcel DROP COLUMN name');
    withDatabase();
    expect(await dataset('migration', 'parcels')).toBe(0);
    expect(readFileSync(join(home, 'migrations/002-contract.sql'), 'utf8')).toBe(
      'ALTER TABLE public.parcel ADD COLUMN name character varying(10);\n',
    );
    expect(readdirSync(join(home, 'migrations'))).toHaveLength(2);
  });

  it('recreate asks, and is not for datasets with migrations', async () => {
    await migrate();
    await client.query("INSERT INTO parcel VALUES (1, 'a', 2)");
    withDatabase();
    expect(await dataset('recreate', 'parcels')).toBe(2);
    expect(cli.stderr.text).toContain(
      'This drops public.parcel with all rows. There is no terminal to ask on: add --yes.',
    );
    withDatabase();
    cli.onTerminal();
    const answered = dataset('recreate', 'parcels');
    cli.stdin.write('no\n');
    expect(await answered).toBe(6);
    expect((await client.query('SELECT * FROM parcel')).rows).toHaveLength(1);
    withDatabase();
    expect(await dataset('recreate', 'parcels', '--yes')).toBe(0);
    expect(cli.stdout.text).toBe('Made again: public.parcel.\n');
    expect((await client.query('SELECT * FROM parcel')).rows).toEqual([]);
    fresh();
    expect(await dataset('recreate', 'parcels', '--yes')).toBe(4);
    put({ 'migrations/001-tables.sql': 'SELECT 1;\n' });
    withDatabase();
    expect(await dataset('recreate', 'parcels', '--yes')).toBe(2);
    expect(cli.stderr.text).toContain('has migrations, which own its tables');
    expect(existsSync(join(home, 'migrations/002-contract.sql'))).toBe(false);
  });
});
