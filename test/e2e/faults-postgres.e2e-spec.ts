/**
 * Faults of the database delay a job and change nothing about its outcome (G5, G8, G10): none of them makes a dead
 * letter. Only what PostgreSQL refuses of a record itself does.
 *
 * Covered elsewhere: what a swap keeps and refuses, views on views, grants, comments and policies among it
 * (apps/loader/src/finalize/swap.medium-spec.ts); two migrations at once (libs/core/src/schema/schema-drift.medium-spec.ts).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DatabaseGate } from '../support/database-gate.js';
import { eventually } from '../support/eventually.js';
import { expectTables, query } from '../support/expect-tables.js';
import { CLEAN, type FaultFile, FaultRig, RAW } from '../support/fault-rig.js';
import { clientOf, jobEnd, lettersOf } from '../support/run-job.js';
import { fileOf, row, rows, validBan } from '../support/small-file.js';

/** Enough for the services, and few enough to be taken away. */
const MAX_CONNECTIONS = 50;
const MIB = 1024 * 1024;

describe('a database in trouble', () => {
  let rig: FaultRig;
  let gate: DatabaseGate;
  let file: FaultFile;
  let other: FaultFile;
  /** Open before any trouble begins. */
  let operator: pg.Client;
  const sessions: pg.Client[] = [];

  beforeAll(async () => {
    rig = await FaultRig.start({
      ownPostgres: true,
      postgresSettings: { max_connections: MAX_CONNECTIONS },
      env: { SLUICE_DRAIN_TIMEOUT_MS: '3000' },
    });
    gate = await DatabaseGate.build(rig.system);
    [file, other] = [7, 8].map((seed) => rig.file({ seed })) as [FaultFile, FaultFile];
    operator = await session();
  });

  afterAll(async () => {
    await closeSessions();
    await rig.stop();
  });

  afterEach(async () => {
    await gate.open();
    await rig.mend();
  });

  async function session(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: rig.system.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    sessions.push(client);
    return client;
  }

  async function closeSessions(): Promise<void> {
    for (const client of sessions.splice(0)) await client.end();
  }

  it('PostgreSQL killed at random moments', async () => {
    const id = await rig.startInterrupted(file, 1, async () => {
      await rig.system.kill('postgres');
      for (const name of ['ingestor', 'loader', 'tracker']) await rig.untilWaiting(name, /./);
      await rig.system.restart('postgres');
    });
    await rig.expectOutcome(id, file);
    operator = await session();
  });

  interface Trouble {
    readonly kind: string;
    begin(): Promise<void>;
    end(): Promise<void>;
  }

  const setting = async (name: string, value: string | null): Promise<void> => {
    await operator.query(
      value === null
        ? `ALTER DATABASE sluice RESET ${name}`
        : `ALTER DATABASE sluice SET ${name} = ${pg.escapeLiteral(value)}`,
    );
    await cutServices();
  };

  /** @returns how many connections of services there were */
  async function cutServices(): Promise<number> {
    const { rowCount } = await operator.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = 'sluice' AND application_name LIKE 'sluice%'`,
    );
    return rowCount ?? 0;
  }

  /** Takes every slot, then cuts those that have one, until no other process has any. */
  async function takeAllConnections(): Promise<void> {
    await eventually(async () => {
      try {
        for (;;) await session();
      } catch (error) {
        expect(error).toMatchObject({ code: '53300' });
      }
      return (await cutServices()) === 0;
    }, 'all connections to be taken');
  }

  const TROUBLES: readonly Trouble[] = [
    { kind: 'a full disk (53100)', begin: () => gate.shut('53100'), end: () => gate.open() },
    { kind: 'no memory (53200)', begin: () => gate.shut('53200'), end: () => gate.open() },
    {
      kind: 'statements that take too long (57014)',
      begin: async () => {
        await gate.slow(0.02);
        await setting('statement_timeout', '300ms');
      },
      end: async () => {
        await setting('statement_timeout', null);
        await gate.open();
      },
    },
    {
      kind: 'a read-only database (25006)',
      begin: () => setting('default_transaction_read_only', 'on'),
      end: async () => {
        await operator.query('SET default_transaction_read_only = off');
        await setting('default_transaction_read_only', null);
      },
    },
    {
      kind: 'no connection left (53300)',
      begin: takeAllConnections,
      end: async () => {
        await closeSessions();
        operator = await session();
      },
    },
  ];

  it('a full disk, no memory, slow statements, read-only, no connection left: each is waited out, and no record is blamed', async () => {
    const parts = TROUBLES.length + 1;
    const shares = TROUBLES.map((_, at) => (at + 1) / parts);
    const job = await rig.startHalf(file, {}, shares);
    for (const { kind, begin, end } of TROUBLES) {
      await begin();
      job.goOn();
      await rig.untilWaiting('loader', new RegExp(`${CLEAN}.* waits`));
      await end();
      const isReady = async (): Promise<boolean> => (await rig.problems('loader', 'ready')).length === 0;
      await eventually(isReady, `the loader to go on after ${kind}`);
    }
    await rig.expectOutcome(job.id, file);
  });

  it('connections that are cut again and again', async () => {
    const job = await rig.startHalf(file, {}, [0.2, 0.4, 0.6, 0.8]);
    await gate.slow(0.001);
    for (let part = 0; part < 4; part++) {
      job.goOn();
      await eventually(async () => (await copying()) > 0, 'a COPY to be under way');
      await cutServices();
    }
    await gate.open();
    await rig.expectOutcome(job.id, file);
  });

  it.each([
    ['when its time to drain is over', ['SIGTERM'], 'not drained in time'],
    ['at once, at a second signal', ['SIGINT', 'SIGTERM'], 'second signal'],
  ] as const)(
    'a loader that cannot finish its COPY ends %s, and it is done again',
    async (_, signals, says) => {
      const job = await rig.startHalf(file);
      // A row that waits longer than the time to drain, and a COPY that waits at one: those of another table pass no gate.
      await gate.slow(5);
      job.goOn();
      await eventually(async () => (await copyingSeconds()) > 0.5, 'a COPY to wait at the gate');
      const said = rig.system.logsOf('loader').length;
      const [last, ...earlier] = [...signals].reverse();
      for (const signal of earlier) {
        rig.system.signal('loader', signal);
        await eventually(
          () => rig.system.logsOf('loader').slice(said).includes('draining'),
          'the loader to drain',
        );
      }
      await rig.system.kill('loader', last);
      expect(rig.system.logsOf('loader').slice(said)).toContain(says);
      await gate.open();
      await rig.system.restart('loader');
      await rig.expectOutcome(job.id, file);
    },
  );

  it('a slow database: what waits stays in the topics, memory stays bounded, sessions are kept', async () => {
    const large = rig.file({ rows: 10_000 });
    const job = await rig.startHalf(large);
    // No COPY ends before the gate opens, however slowly batches come.
    await gate.slow(1);
    job.goOn();
    await eventually(async () => {
      const { totalBatches } = await facts(job.id);
      return (
        totalBatches !== null &&
        (await rig.kafka.messages(CLEAN)).length > 0 &&
        (await rig.ledger(job.id)).length
      );
    }, 'the source to be read to its end');
    await eventually(async () => (await rig.kafka.lagOf('sluice-validator', RAW)) === 0, 'all to be judged');
    const [loaded, { totalBatches }] = [(await rig.ledger(job.id)).length, await facts(job.id)];
    expect(loaded).toBeLessThan(totalBatches ?? 0);
    expect(await rig.kafka.lagOf('sluice-loader', CLEAN)).toBeGreaterThan(0);
    // Longer in one COPY than a session lasts.
    await eventually(async () => (await copyingSeconds()) > 3.5, 'a COPY to take longer than a session');
    expect(await rig.kafka.membersOf('sluice-loader')).toBe(1);
    expect(await rig.problems('loader', 'live')).toEqual([]);
    expect(await residentBytes('loader')).toBeLessThan(256 * MIB);
    await gate.open();
    await rig.expectOutcome(job.id, large);
  });

  it('a finalizer whose connection alone is cut, while readers hold the table: they see the old rows until the swap', async () => {
    await rig.expectOutcome(await rig.startJob({ source: other.path }), other);
    const [locking, snapshot] = [await session(), await session()];
    // One has read the table and holds it; the other's snapshot is older than the swap, and it reads the table late.
    await locking.query('BEGIN; SELECT FROM public.tax_registration LIMIT 1');
    await snapshot.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM sluice.job LIMIT 1');
    const id = await rig.startJob({ source: file.path });
    const atStep = (step: RegExp): Promise<true> =>
      eventually(async () => step.test((await clientOf(rig.system).job(id)).step ?? ''), step.source);
    await atStep(/^snapshots: waiting for/);
    expect(await cutFinalizer()).toBeGreaterThanOrEqual(0);
    await expectTables(rig.system, other.expected);
    const seen = await snapshot.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM public.tax_registration',
    );
    expect(seen.rows).toEqual([{ n: other.expected.businesses.size }]);
    await snapshot.query('COMMIT');
    await atStep(/^swap: waiting for/);
    await eventually(async () => (await cutFinalizer()) > 0, 'the finalizer to be cut off');
    await expectTables(rig.system, other.expected);
    await locking.query('COMMIT');
    await rig.expectOutcome(id, file);
  });

  it('records that only the database refuses: each a dead letter that says why, and their neighbours are loaded', async () => {
    await query(
      rig.system,
      `TRUNCATE public.tax_registration CASCADE;
       ALTER TABLE public.tax_registration ADD CONSTRAINT no_shop_forty CHECK (business_name <> '第40商行'),
         ALTER COLUMN business_address TYPE varchar(30)`,
    );
    const long = row(60).replace('樂業路', '樂業路'.repeat(10));
    const path = join(rig.system.folder, 'refused.csv');
    writeFileSync(path, fileOf(...rows(60), long, ...rows(200).slice(61)));
    const id = await rig.startJob({ source: path });
    expect(await jobEnd(rig.system, id)).toMatchObject({
      state: 'succeeded',
      counts: { read: 200, loaded: 198, refusedAtLoad: 2 },
      findings: { REFUSED_BY_DATABASE: 2 },
    });
    const letters = await lettersOf(rig.system, id);
    expect(letters.sort((a, b) => a.record - b.record)).toMatchObject([
      {
        record: 40,
        stage: 'load',
        sqlstate: '23514',
        findings: [{ code: 'REFUSED_BY_DATABASE', message: expect.stringContaining('no_shop_forty') }],
      },
      {
        record: 60,
        stage: 'load',
        sqlstate: '22001',
        findings: [
          { code: 'REFUSED_BY_DATABASE', field: expect.stringMatching(/^(business_address|營業地址)$/) },
        ],
      },
    ]);
    const present = await query<{ ban: string }>(rig.system, 'SELECT ban FROM public.tax_registration');
    const wanted = Array.from({ length: 200 }, (_, i) => i).filter((i) => i !== 40 && i !== 60);
    expect(present.map(({ ban }) => ban).sort()).toEqual(wanted.map(validBan).sort());
    await query(
      rig.system,
      `ALTER TABLE public.tax_registration DROP CONSTRAINT no_shop_forty,
         ALTER COLUMN business_address TYPE varchar(500)`,
    );
  });

  async function facts(id: string): Promise<{ totalBatches: number | null }> {
    const [job] = await query<{ total: number | null }>(
      rig.system,
      'SELECT total_batches::int AS total FROM sluice.job WHERE id = $1',
      [id],
    );
    return { totalBatches: job?.total ?? null };
  }

  const COPYING = `FROM pg_stat_activity WHERE datname = 'sluice' AND state = 'active' AND query LIKE 'COPY %'`;

  async function copying(): Promise<number> {
    return (await operator.query(`SELECT ${COPYING}`)).rowCount ?? 0;
  }

  async function copyingSeconds(): Promise<number> {
    const { rows: found } = await operator.query<{ seconds: number | null }>(
      `SELECT max(extract(epoch FROM clock_timestamp() - query_start))::float8 AS seconds ${COPYING}`,
    );
    return found[0]?.seconds ?? 0;
  }

  async function cutFinalizer(): Promise<number> {
    const { rowCount } = await operator.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice-finalize:%'`,
    );
    return rowCount ?? 0;
  }

  async function residentBytes(name: string): Promise<number> {
    const text = await (await fetch(`${rig.system.urlOf(name)}/metrics`)).text();
    return Number(/^process_resident_memory_bytes\{[^}]*\} (\S+)$/m.exec(text)?.[1] ?? Infinity);
  }
});
