import 'reflect-metadata';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, type INestApplication, Module, Param, ParseIntPipe, Post } from '@nestjs/common';
import pg from 'pg';
import { pino } from 'pino';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import type { Role } from '../access/role-names.js';
import { AuditLog, ownCommand, pruneAudit } from '../access/audit-log.js';
import { userName } from '../access/user-name.js';
import { SluiceError } from '../errors/sluice-error.js';
import { Audited } from './audited.js';
import { createHttpApp } from './http-app.js';
import { NeedsRole } from './role.js';

/** What a route does besides answering; set by a test. */
let work: () => Promise<unknown>;
let ran: number;

class ThingsController {
  change(_id: string, _number: number): Promise<unknown> {
    ran += 1;
    return work();
  }

  start(_body: unknown): Promise<unknown> {
    ran += 1;
    return work();
  }
}
Controller()(ThingsController);
route('change', Post('things/:id/:number'), NeedsRole('operate'), Audited('job.cancel'));
route('start', Post('things'), NeedsRole('operate'), Audited('replay.start', { hasDryRun: true }));
Param('id')(ThingsController.prototype, 'change', 0);
Param('number', ParseIntPipe)(ThingsController.prototype, 'change', 1);
Body()(ThingsController.prototype, 'start', 0);

class ThingsModule {}
Module({ controllers: [ThingsController] })(ThingsModule);

function route(method: keyof ThingsController, ...decorators: MethodDecorator[]): void {
  const descriptor = Object.getOwnPropertyDescriptor(ThingsController.prototype, method);
  if (descriptor === undefined) throw new RangeError(method);
  for (const decorate of decorators) decorate(ThingsController.prototype, method, descriptor);
}

describe('the audit of commands', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let app: INestApplication;
  let url: string;
  let lost: unknown[];
  let role: Role;

  beforeAll(async () => {
    database = await startMigratedDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    const log = new AuditLog(pool, (error) => lost.push(error));
    app = await createHttpApp(ThingsModule, {
      logger: pino({ level: 'silent' }),
      nestLogger: false,
      listeningHost: '127.0.0.1',
      allowedHosts: [],
      access: {
        callerOf: (_request: IncomingMessage) =>
          Promise.resolve({ kind: 'token', name: 'ci', role } as const),
      },
      audit: { log, service: 'things' },
    });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterAll(async () => {
    await app.close();
    await pool.end();
    await database.stop();
  });

  beforeEach(async () => {
    await pool.query('TRUNCATE sluice.command_audit');
    work = () => Promise.resolve({});
    ran = 0;
    lost = [];
    role = 'operate';
  });

  async function post(path: string, body: object = {}): Promise<{ status: number; id: string | null }> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    await response.arrayBuffer();
    return { status: response.status, id: response.headers.get('x-request-id') };
  }

  async function entries(): Promise<Record<string, unknown>[]> {
    const { rows } = await pool.query<Record<string, unknown>>(
      'SELECT * FROM sluice.command_audit ORDER BY id',
    );
    return rows;
  }

  it('names who, what and what became of it, and the answer carries the id', async () => {
    const action = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
    work = () => Promise.resolve({ id: 'a-job', action, dataset: 'shops', rows: 'contents' });
    const { status, id } = await post('/things/a-job/7');
    expect(status).toBe(201);
    const [entry] = await entries();
    expect(entry).toEqual({
      ...{ id, at: expect.any(Date), service: 'things', who: 'ci', caller: 'token', role: 'operate' },
      ...{ action: 'job.cancel', dataset: 'shops', targets: ['a-job', action], outcome: 'ok' },
      finished_at: expect.any(Date),
    });
  });

  it('AU1: the row is there before the command is carried out', async () => {
    let seen: unknown;
    work = async () => {
      [seen] = await entries();
      return {};
    };
    await post('/things', { dataset: 'shops' });
    expect(seen).toMatchObject({ dataset: 'shops', outcome: null, finished_at: null });
  });

  it('AU1: nothing is done where the row cannot be written', async () => {
    await pool.query('ALTER TABLE sluice.command_audit ADD CONSTRAINT none CHECK (false)');
    const { status } = await post('/things');
    await pool.query('ALTER TABLE sluice.command_audit DROP CONSTRAINT none');
    expect([status, ran]).toEqual([500, 0]);
  });

  it('AU2: an outcome that cannot be written changes no answer', async () => {
    work = () => pool.query('ALTER TABLE sluice.command_audit ADD CONSTRAINT none CHECK (outcome IS NULL)');
    const { status } = await post('/things');
    await pool.query('ALTER TABLE sluice.command_audit DROP CONSTRAINT none');
    expect([status, lost.length]).toEqual([201, 1]);
    expect(await entries()).toMatchObject([{ outcome: null }]);
  });

  it.each<[string, string, () => Promise<unknown>, Role, string, number]>([
    ['a role that is not enough', '/things/j/1', () => Promise.resolve({}), 'read', 'ROLE_MISSING', 0],
    ['a wrong address', '/things/j/x', () => Promise.resolve({}), 'operate', 'REQUEST_INVALID', 0],
    [
      'a refusal',
      '/things/j/1',
      () => Promise.reject(new SluiceError('JOB_ACTIVE', 'no')),
      'operate',
      'JOB_ACTIVE',
      1,
    ],
    ['what was not expected', '/things/j/1', () => Promise.reject(new Error()), 'operate', 'INTERNAL', 1],
  ])('has the code of %s', async (_what, path, does, held, outcome, times) => {
    work = does;
    role = held;
    await post(path);
    expect(ran).toBe(times);
    expect(await entries()).toMatchObject([{ outcome, targets: ['j'], role: held }]);
  });

  it('does not record what changes nothing', async () => {
    await post('/things', { dryRun: true });
    expect(ran).toBe(1);
    await fetch(`${url}/nowhere`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    expect(await entries()).toEqual([]);
  });

  it('takes ids of any length and any characters', async () => {
    await post(`/things/${encodeURIComponent(`\0${'x'.repeat(2_000)}`)}/1`, { dataset: 'No dataset' });
    expect(await entries()).toMatchObject([{ targets: ['x'.repeat(299)], dataset: null }]);
  });

  it('has commands of the command line by the user of the machine', async () => {
    const log = new AuditLog(pool);
    await expect(
      log.around(ownCommand('migrate'), () => Promise.reject(new SluiceError('SCHEMA_NEWER', 'no'))),
    ).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    expect(await entries()).toMatchObject([
      { who: userName(), caller: 'command line', role: null, outcome: 'SCHEMA_NEWER' },
    ]);
  });

  it('forgets what is older than it is kept', async () => {
    await post('/things');
    await post('/things');
    await pool.query(
      `UPDATE sluice.command_audit SET at = at - interval '31 days' WHERE id = (SELECT min(id::text)::uuid FROM sluice.command_audit)`,
    );
    expect(await pruneAudit(pool, 32)).toBe(0);
    expect(await pruneAudit(pool, 30)).toBe(1);
    expect(await entries()).toHaveLength(1);
  });
});
