import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { createPool } from '#common/postgres/pool.js';
import { OWN_LOCKS, type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { RunFolder } from '#test/support/run-folder.js';
import { checkDatabase } from './database.provider.js';
import type { MigratedDataset } from './dataset-migrations.js';
import { type MigrateOptions, migrate, migrateAll } from './migrate.js';
import { connectToMigrate } from './migration-client.js';

const ROLE = 'sluice_test_migrate';

describe('migrate', () => {
  let server: TestDatabase;
  let admin: pg.Client;
  let folder: RunFolder;

  /** Keeps the server, and its roles, from one test to the next. */
  let keeper: TestDatabase;

  beforeAll(async () => {
    folder = new RunFolder('migrate');
    keeper = await startTestDatabase();
  });
  afterAll(async () => {
    await keeper.stop();
    await folder.remove();
  });

  beforeEach(async () => {
    server = await startTestDatabase();
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`DROP ROLE IF EXISTS ${ROLE}; CREATE ROLE ${ROLE} LOGIN PASSWORD 'secret'`);
  });
  afterEach(async () => {
    await admin.query(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`);
    await admin.end();
    await server.stop();
  });

  /** A dataset of these SQL files, named 001.sql and so on. */
  function dataset(name: string, ...files: string[]): MigratedDataset {
    const home = join(folder.path, name);
    mkdirSync(join(home, 'migrations'), { recursive: true });
    files.forEach((sql, index) => {
      writeFileSync(join(home, 'migrations', `00${index + 1}.sql`), sql);
    });
    return { name, folder: home };
  }

  const url = (change: (address: URL) => void, base = server.url): string => {
    const address = new URL(base);
    change(address);
    return address.href;
  };
  const asRole = (): string =>
    url((address) => {
      address.username = ROLE;
      address.password = 'secret';
    });
  const only = (names: readonly string[]): string[] => names.filter((name) => name.includes('/'));

  it('is not ended by a limit for idle transactions that the database has', async () => {
    await admin.query(`DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''1ms''', current_database());
    END $$`);

    const client = await connectToMigrate(server.url);
    const { rows } = await client.query('SHOW idle_in_transaction_session_timeout');
    await client.end();

    expect(rows).toEqual([{ idle_in_transaction_session_timeout: '0' }]);
  });

  it('says of tables that are there without a note what they are, migrates the others, and adopts on demand', async () => {
    const lost = dataset('lost', 'CREATE TABLE public.lost (n int)', 'ALTER TABLE public.lost ADD m int');
    const well = dataset('well', 'CREATE TABLE public.well (n int)');
    await migrate(server.url, [lost]);
    await admin.query('DROP SCHEMA sluice, sluice_staging CASCADE');
    const told: string[] = [];
    const options: MigrateOptions = { onApplied: (name) => told.push(name) };
    const { applied, problems } = await migrateAll(server.url, [lost, well], options);
    expect(problems).toMatchObject([
      { code: 'TARGET_EXISTS', message: expect.stringContaining('sluice migrate --adopt lost') },
    ]);
    expect(only(applied)).toEqual(['well/001.sql']);
    expect(told).toEqual(applied);
    expect(await migrate(server.url, [lost, well], { adopt: ['lost'] })).toEqual([
      'lost/001.sql (adopted)',
      'lost/002.sql (adopted)',
    ]);
    expect(await migrate(server.url, [lost, well])).toEqual([]);
  });

  it('runs what an adopted dataset lacks', async () => {
    await admin.query('CREATE TABLE public.older (n int)');
    const older = dataset('older', 'CREATE TABLE public.older (n int)', 'ALTER TABLE public.older ADD m int');
    expect(only(await migrate(server.url, [older], { adopt: ['older'] }))).toEqual([
      'older/001.sql (adopted)',
      'older/002.sql',
    ]);
    await admin.query('SELECT m FROM public.older');
  });

  it('names the file that PostgreSQL refuses, or that was changed, and migrates the others', async () => {
    const broken = dataset('broken', 'CREATE TABEL public.broken (n int)');
    const edited = dataset('edited', 'CREATE TABLE public.edited (n int)');
    const late = dataset('late', 'CREATE TABLE public.late (n int)');
    await migrate(server.url, [edited]);
    dataset('edited', 'CREATE TABLE public.edited (n bigint)');
    const { applied, problems } = await migrateAll(server.url, [broken, edited, late]);
    expect(problems).toMatchObject([
      { code: 'MIGRATION_REFUSED', message: expect.stringMatching(/broken\/001\.sql \(SQLSTATE 42601\)/) },
      { code: 'DATASET_INVALID', message: expect.stringContaining('edited/001.sql was changed') },
    ]);
    expect(applied).toEqual(['late/001.sql']);
  });

  it('waits for another migration within a limit, and says who it is', async () => {
    await migrate(server.url, []);
    // As an older build leaves it behind a pooler in transaction mode: a session's lock.
    const other = new pg.Client({ connectionString: server.url, application_name: 'leaked' });
    await other.connect();
    await other.query('SELECT pg_advisory_lock(8420371001)');
    await expect(migrate(server.url, [], { lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'MIGRATION_LOCKED',
      message: expect.stringMatching(/session (\d+) \(leaked of \w+\).*pg_terminate_backend\(\1\)/),
    });
    await other.end();
    expect(await migrate(server.url, [])).toEqual([]);
    const { rows } = await admin.query(`SELECT FROM ${OWN_LOCKS} WHERE locktype = 'advisory'`);
    expect(rows).toEqual([]);
  });

  it('makes do with schemas that a DBA has made, without a right to make any', async () => {
    await admin.query(`REVOKE CREATE ON DATABASE ${new URL(server.url).pathname.slice(1)} FROM PUBLIC`);
    const tables = dataset('small', 'CREATE TABLE public.small (n int)');
    await expect(migrate(asRole(), [tables])).rejects.toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringMatching(/permission denied for database.*CREATE SCHEMA sluice AUTHORIZATION/),
    });
    await admin.query(
      `CREATE SCHEMA sluice AUTHORIZATION ${ROLE}; CREATE SCHEMA sluice_staging AUTHORIZATION ${ROLE}`,
    );
    await expect(migrate(asRole(), [tables])).rejects.toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringMatching(/Migration small\/001\.sql.*permission denied for schema public/),
    });
    await admin.query(`GRANT USAGE, CREATE ON SCHEMA public TO ${ROLE}`);
    expect(only(await migrate(asRole(), [tables]))).toEqual(['small/001.sql']);
  });

  it.each<[what: string, change: (address: URL) => void, code: string, words: string]>([
    ['a wrong password', (a) => (a.password = 'wrong'), 'DATABASE_REFUSED', 'Correct user and password'],
    ['no such database', (a) => (a.pathname = '/nodb'), 'DATABASE_REFUSED', 'database "nodb" does not exist'],
    ['TLS that is not there', (a) => (a.search = '?sslmode=require'), 'DATABASE_REFUSED', 'Take sslmode out'],
    ['nothing at the port', (a) => (a.port = '1'), 'DATABASE_UNAVAILABLE', 'Nothing answers'],
    [
      'no such host',
      (a) => (a.hostname = 'nowhere.invalid'),
      'DATABASE_UNAVAILABLE',
      'host name cannot be resolved',
    ],
    [
      'a standby',
      (a) => (a.search = '?options=-c%20default_transaction_read_only%3Don'),
      'DATABASE_UNAVAILABLE',
      'standby',
    ],
  ])('says what to do about %s', async (_, change, code, words) => {
    await expect(migrate(url(change), [])).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
  });

  it('says what to do about two hosts', async () => {
    const twice = server.url.replace(/@([^/]+)\//, '@$1,$1/');
    await expect(migrate(twice, [])).rejects.toMatchObject({
      code: 'SETTING_INVALID',
      message: expect.stringContaining('several hosts are not supported'),
    });
  });
});

describe('a database that is not UTF8', () => {
  it.each(['SQL_ASCII', 'LATIN1'])(
    'is refused in one sentence, by migrate and by services: %s',
    async (encoding) => {
      const outer = await startTestDatabase();
      const client = new pg.Client({ connectionString: outer.url });
      await client.connect();
      const name = `other_${encoding.toLowerCase()}_${process.pid}`;
      await client.query(
        `CREATE DATABASE ${name} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0`,
      );
      const address = new URL(outer.url);
      address.pathname = `/${name}`;
      const refused = {
        code: 'DATABASE_UNSUITABLE',
        message: `Database ${name} has the encoding ${encoding}, and Sluice loads UTF8 only.`,
      };
      await expect(migrate(address.href, [])).rejects.toMatchObject(refused);
      const pool = createPool({ url: address.href, applicationName: 'test', maxConnections: 1 });
      const logger = pino({ level: 'silent' });
      await expect(checkDatabase(pool, logger, () => Promise.resolve())).rejects.toMatchObject(refused);
      await pool.end();
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await client.end();
      await outer.stop();
    },
  );
});
