/**
 * A whole job under the rights that docs/operations.md gives: each service with a login of its own at the brokers, with
 * exactly the page's ACLs, and as its own role in PostgreSQL. What is taken away is named, and waited for.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs, { type AclEntry, type Admin } from 'kafkajs';
import pg from 'pg';
import type { TraceView } from '#api/trace.js';
import type { HealthAnswer } from '#common/http/health.controller.js';
import { createToken } from '#common/access/access-tokens.js';
import { childEnvironment } from '#common/config/environment.js';
import { topicOf } from '#core/message/topics.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';
import { migrateCommand } from '#local/supervisor.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import { documentedAcls, documentedRoles, documentedUsers } from '../support/documented-rights.js';
import { eventually } from '../support/eventually.js';
import { query } from '../support/expect-tables.js';
import { clientOf, jobEnd, lettersOf, runJob } from '../support/run-job.js';
import {
  type Judgement,
  connectAdmin,
  judgementsIn,
  listAcls,
  produce,
  runConfigCommand,
  setAcls,
  unusedRights,
} from '../support/secured-kafka.js';
import { fileOf, row, validBan } from '../support/small-file.js';
import { type System, startSystem } from '../support/system.js';

const DATASET = 'tax-registration';
const CLEAN = topicOf(DATASET, 'clean');
const USERS = documentedUsers();

describe('a system under the documented rights', () => {
  let system: System;
  let admin: Admin;
  const rights = USERS.flatMap(({ name }) => documentedAcls(name, DATASET));
  const userOf = (process: string) => {
    const name = `sluice-${process === 'migrate' ? 'owner' : process}`;
    const user = USERS.find((each) => each.name === name);
    if (user === undefined) throw new RangeError(`The page has no user ${name}.`);
    return user;
  };

  async function runSql(url: string, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(sql);
    await client.end();
  }

  /** As its own role; the validator has none, and no database. */
  function databaseUrlOf(process: string, { databaseUrl }: System): string {
    if (process === 'validator') return 'postgres://nobody@127.0.0.1:1/none';
    const url = new URL(databaseUrl);
    url.username = `sluice_${process === 'migrate' ? 'owner' : process}`;
    url.password = 'change me';
    return url.href;
  }

  function envOf(process: string, of: System): Record<string, string> {
    const { name, mechanism, password } = userOf(process);
    const secret = join(of.folder, `${name}.password`);
    writeFileSync(secret, `${password}\n`);
    return {
      DATABASE_URL: databaseUrlOf(process, of),
      ...{ KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: name, KAFKA_PASSWORD_FILE: secret },
    };
  }

  beforeAll(async () => {
    const [asDba, asOwner] = documentedRoles();
    system = await startSystem({
      ...{ securesKafka: true, ownPostgres: true, envOf },
      env: { SLUICE_ACCESS: 'token', SLUICE_MISSING_AFTER_SECONDS: '1', SLUICE_WATCH_INTERVAL_MS: '100' },
      beforeMigrate: async (begun) => {
        const [broker = ''] = begun.brokers;
        admin = await connectAdmin(broker);
        const kafka = join(begun.folder, 'kafka');
        await Promise.all([
          ...USERS.map(({ args }) => runConfigCommand(kafka, broker, args)),
          setAcls(admin, rights),
          runSql(begun.databaseUrl, `REVOKE ALL ON SCHEMA public FROM PUBLIC; ${asDba}`),
        ]);
      },
      beforeServices: (begun) => runSql(databaseUrlOf('migrate', begun), asOwner),
    });
  });

  afterAll(async () => {
    await admin.disconnect();
    await system.stop();
  });

  function sourceOf(...records: string[]): string {
    const source = join(system.folder, 'source.csv');
    writeFileSync(source, fileOf(...records));
    return source;
  }

  async function readiness(service: string): Promise<HealthAnswer> {
    return (await (await fetch(`${system.urlOf(service)}/health/ready`)).json()) as HealthAnswer;
  }

  it('runs a job to its end: good rows in the table, refused records of both stages with the tracker', async () => {
    expect(await listAcls(admin)).toHaveLength(rights.length);
    // One is refused by the validator, the other by the loader, which reads its bytes from the raw topic again.
    const source = sourceOf(row(1), row(2, { ban: 'x' }), row(3), row(1));
    const job = await runJob(system, { dataset: DATASET, source, maxRefusedShare: 1 });
    expect(job).toMatchObject({
      ...{ state: 'succeeded', wait: null },
      counts: { read: 4, loaded: 2, refused: 2 },
    });
    const found = await query<{ ban: string }>(system, 'SELECT ban FROM tax_registration ORDER BY ban');
    expect(found.map(({ ban }) => ban)).toEqual([1, 3].map(validBan));
    const letters = await lettersOf(system, job.id);
    expect(letters.map(({ record, stage, codes }) => ({ record, stage, codes }))).toEqual([
      { record: 1, stage: 'validate', codes: ['INVALID_BAN'] },
      { record: 3, stage: 'load', codes: ['DUPLICATE'] },
    ]);
    const { bytesBase64 } = await clientOf(system).deadLetter(job.id, 3);
    expect(Buffer.from(bytesBase64 ?? '', 'base64').toString()).toBe(row(1));
    const owners = await query(
      system,
      `SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'`,
    );
    expect(owners).toEqual([{ tableowner: 'sluice_owner' }]);
  });

  it('reads what producers send to the inbox', async () => {
    const [broker = ''] = system.brokers;
    const client = clientOf(system);
    await client.startStream(DATASET, {});
    await produce(broker, topicOf(DATASET, 'inbox'), 'one', 'two');
    await client.drainStream(DATASET);
    await eventually(
      async () => (await client.stream(DATASET)).state === 'stopped',
      'the stream to be drained',
    );
    const jobs = await query<{ read: string }>(
      system,
      `SELECT sum((counts ->> 'read')::int) AS read FROM sluice.job WHERE stream IS NOT NULL AND state = 'succeeded'`,
    );
    expect(jobs).toEqual([{ read: '2' }]);
  });

  it('sends a refused record again, and knows what became of it', async () => {
    const client = clientOf(system);
    const job = await runJob(system, {
      ...{ dataset: DATASET, source: sourceOf(row(4), row(5, { ban: 'x' })), mode: 'append' },
      maxRefusedShare: 1,
    });
    const [letter] = await lettersOf(system, job.id);
    const { jobs } = await client.resubmitDeadLetters({ ids: [letter?.id ?? ''] });
    expect(await jobEnd(system, jobs[0]?.id ?? '')).toMatchObject({ counts: { read: 1, refused: 1 } });
    await eventually(
      async () => (await client.deadLetter(job.id, letter?.record ?? 0)).state === 'refused-again',
      'the dead letter to be decided about',
    );
  });

  it('says what became of a key, without the right to read the table', async () => {
    let view: TraceView | null = null;
    const request = { dataset: DATASET, key: [validBan(1)] };
    for await (const line of clientOf(system).trace(request, AbortSignal.timeout(120_000)))
      if ('trace' in line) view = line.trace;
    expect(view).toMatchObject({ row: { isThere: null } });
    // Of the first job; what the stream and the repair job have read has other keys.
    expect(view?.records.map(({ record }) => record)).toEqual([0, 3]);
  });

  it('replays a job', async () => {
    const job = await runJob(system, {
      ...{ dataset: DATASET, source: sourceOf(row(6), row(7)), mode: 'append' },
    });
    const { id } = await clientOf(system).startReplay({ dataset: DATASET, job: job.id, mode: 'upsert' });
    const view = await eventually(
      async () => {
        const view = await clientOf(system).replay(id ?? '');
        return view.finishedAt !== null && view;
      },
      'the replay to end',
      120_000,
    );
    expect(view).toMatchObject({ state: 'succeeded' });
  });

  it('a token does what its role includes, and the audit has who did what', async () => {
    const owner = new pg.Client({ connectionString: databaseUrlOf('migrate', system) });
    await owner.connect();
    const holding = async (name: string, role: 'read' | 'operate'): Promise<SluiceClient> => {
      const accessToken = await createToken(owner, { name, role, createdBy: 'dba' });
      return new SluiceClient({
        ingestorUrl: system.ingestorUrl,
        trackerUrl: system.trackerUrl,
        accessToken,
      });
    };
    const [viewer, operator] = [await holding('viewer', 'read'), await holding('operator', 'operate')];
    await owner.end();
    const request = {
      dataset: DATASET,
      mode: 'append',
      source: 'http://127.0.0.1:1/none.csv',
      dryRun: true,
    } as const;
    expect((await viewer.jobs({}).next()).value).toMatchObject({ dataset: DATASET });
    await expect(viewer.startJob(request)).rejects.toMatchObject({
      ...{ code: 'ROLE_MISSING', message: 'This needs role operate; this token has read.' },
    });
    const { id } = await operator.startJob(request);
    await expect(operator.audit({}).next()).rejects.toMatchObject({ code: 'ROLE_MISSING' });
    const commands = [];
    for await (const entry of clientOf(system).audit({ action: 'job.start' }))
      if (entry.caller === 'token') commands.push(entry);
    expect(commands).toMatchObject([
      { who: 'operator', role: 'operate', dataset: DATASET, targets: [id], outcome: 'ok' },
      { who: 'viewer', role: 'read', dataset: DATASET, targets: [], outcome: 'ROLE_MISSING' },
    ]);
    await jobEnd(system, id);
  });

  it('builds the read model again from the topics, as the tracker', async () => {
    const [before] = await lettersOf(system, await firstJob());
    await system.kill('tracker', 'SIGTERM');
    const main = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');
    const { code, stderr } = await runToEnd(process.execPath, [main, 'rebuild'], {
      cwd: system.folder,
      env: childEnvironment({ ...system.env, ...envOf('tracker', system) }),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await system.restart('tracker');
    await eventually(
      async () => (await lettersOf(system, await firstJob())).length === 2,
      'the dead letters of the first job to be there again',
    );
    expect((await lettersOf(system, await firstJob()))[0]).toEqual(before);
  });

  async function firstJob(): Promise<string> {
    const [job] = await query<{ id: string }>(
      system,
      'SELECT id FROM sluice.job ORDER BY created_at LIMIT 1',
    );
    return job?.id ?? '';
  }

  it('asked for nothing that it has no right to, and wrote no password into a log', () => {
    for (const service of system.services) {
      const log = system.logsOf(service);
      expect({ service, denied: /not allow|not authorized|could not be checked|42501/i.exec(log) }).toEqual({
        service,
        denied: null,
      });
      expect(log).not.toContain(userOf(service).password);
    }
    expect(judgementsIn(system.logsOf('kafka')).filter(({ isAllowed }) => !isAllowed)).toEqual([]);
  });

  it('a loader that loses READ on the clean topic waits, names it in log, health and job, and continues', async () => {
    const pid = system.pidOf('loader');
    const isLost = (acl: AclEntry): boolean =>
      acl.principal === 'User:sluice-loader' &&
      acl.resourceName === CLEAN &&
      acl.operation === kafkajs.AclOperationTypes.READ;
    expect(rights.filter(isLost)).toHaveLength(1);
    await setAcls(
      admin,
      rights.filter((acl) => !isLost(acl)),
    );
    const missing = `do not allow READ on topic ${CLEAN}`;
    await eventually(
      async () => (await readiness('loader')).problems.some((problem) => problem.includes(missing)),
      'the loader to name the right that it lacks',
    );
    // Not before: what a fetch that waits at the broker is answered with was allowed when it was asked for.
    const { id } = await clientOf(system).startJob({
      ...{ dataset: DATASET, source: sourceOf(row(1), row(2)), allowShrink: true },
    });
    const { wait } = await eventually(async () => {
      const job = await clientOf(system).job(id);
      return job.wait !== null && job;
    }, 'the job to say that it waits');
    expect(wait).toMatchObject({ stage: 'load', message: expect.stringContaining(missing) });
    expect(system.logsOf('loader')).toMatch(new RegExp(`"level":"?error.*${missing}`));
    await setAcls(admin, rights);
    expect(await jobEnd(system, id)).toMatchObject({ state: 'succeeded', wait: null, counts: { loaded: 2 } });
    expect(await readiness('loader')).toMatchObject({ status: 'ok', problems: [] });
    // It waited itself; no one had to start it again.
    expect(system.pidOf('loader')).toBe(pid);
    expect(system.isRunning('loader')).toBe(true);
  });

  const migrate = async (change: Record<string, string> = {}) =>
    runToEnd(process.execPath, migrateCommand(checkoutFolder()), {
      cwd: system.folder,
      env: childEnvironment({ ...system.env, ...envOf('migrate', system), ...change }),
    });

  it('the owner migrates again: finds nothing to do, and corrects a setting of a topic', async () => {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: CLEAN,
          configEntries: [{ name: 'compression.type', value: 'zstd' }],
        },
      ],
    });
    expect((await migrate()).stdout).toContain(`topic ${CLEAN}: compression.type=uncompressed\n`);
    expect(await migrate()).toMatchObject({ code: 0, stdout: 'Everything is up to date.\n', stderr: '' });
  });

  it('migrate with a wrong password says so in one sentence, and never the password', async () => {
    const { code, stdout, stderr } = await migrate({
      KAFKA_PASSWORD_FILE: '',
      KAFKA_PASSWORD: 'a wrong one',
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^error: Kafka refuses: the brokers do not accept KAFKA_USERNAME with KAFKA_PASSWORD .*\[BROKER_FAULT\]/,
    );
    expect(stderr).not.toContain('a wrong one');
  });

  it('needed every right at the brokers that it was given, and none besides', () => {
    const judgements = judgementsIn(system.logsOf('kafka'));
    expect(judgements.length).toBeGreaterThan(rights.length);
    expect(unusedRights(rights, judgements)).toEqual([]);
    // What the loader had lost meanwhile.
    const isLost = (judged: Judgement): boolean =>
      judged.principal === 'User:sluice-loader' && judged.name === CLEAN;
    expect(judgements.filter((judged) => !judged.isAllowed && !isLost(judged))).toEqual([]);
  });
});
