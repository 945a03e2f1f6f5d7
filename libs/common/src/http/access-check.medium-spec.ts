import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Module, Post } from '@nestjs/common';
import ipaddr from 'ipaddr.js';
import pg from 'pg';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Health, HealthController } from './health.controller.js';
import { createHttpApp } from './http-app.js';
import { noAudit } from './local-access.js';
import { MetricsController } from './metrics.controller.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { AccessCheck, type AccessOptions } from './access-check.js';
import { createToken, listTokens, newToken, revokeToken } from '../access/access-tokens.js';
import { OidcTokens } from '../access/oidc-tokens.js';
import { LocalToken } from '../access/local-token.js';
import { NeedsRole } from './role.js';

class ThingsController {
  list(): string {
    return 'list';
  }

  change(): string {
    return 'changed';
  }

  forgotten(): string {
    return 'forgotten';
  }
}
Controller('things')(ThingsController);
route('list', Get(), NeedsRole('read'));
route('change', Post(), NeedsRole('operate'));
route('forgotten', Get('forgotten'));

class ThingsModule {}
Module({
  controllers: [ThingsController, HealthController, MetricsController],
  providers: [Health, Registry],
})(ThingsModule);

function route(method: keyof ThingsController, ...decorators: MethodDecorator[]): void {
  const descriptor = Object.getOwnPropertyDescriptor(ThingsController.prototype, method);
  if (descriptor === undefined) throw new RangeError(method);
  for (const decorate of decorators) decorate(ThingsController.prototype, method, descriptor);
}

describe('access by tokens', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  /** Of the service. */
  let asked: pg.Pool;
  let folder: string;
  let app: INestApplication | undefined;
  let url: string;
  let queries: number;
  let now: number;

  beforeAll(async () => {
    database = await startMigratedDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    asked = new pg.Pool({ connectionString: database.url, max: 2 });
    asked.on('acquire', () => {
      queries += 1;
    });
    folder = await mkdtemp(join(tmpdir(), 'access-'));
    writeFileSync(join(folder, 'token'), 'token-of-the-machine\n', { mode: 0o600 });
  });

  afterAll(async () => {
    await app?.close();
    await Promise.all([pool.end(), asked.end()]);
    await database.stop();
    await rm(folder, { recursive: true });
  });

  beforeEach(() => pool.query('DELETE FROM sluice.access_token'));
  beforeEach(() => serve({}));

  async function serve(options: Partial<AccessOptions>): Promise<void> {
    await app?.close();
    queries = 0;
    now = 0;
    const access = new AccessCheck({
      mode: 'token',
      isMetricsOpen: false,
      requestsPerMinute: 6_000,
      trustedProxies: [],
      oidc: null,
      localToken: LocalToken.fromFile(join(folder, 'token')),
      database: asked,
      now: () => now,
      ...options,
    });
    app = await createHttpApp(ThingsModule, {
      logger: pino({ level: 'silent' }),
      nestLogger: false,
      listeningHost: '127.0.0.1',
      allowedHosts: [],
      access,
      audit: noAudit(),
    });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  }

  async function ask(
    path: string,
    token?: string,
    method = 'GET',
  ): Promise<{ status: number; body: string }> {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
    const response = await fetch(url + path, { method, headers });
    return { status: response.status, body: await response.text() };
  }

  const make = (name: string, role: 'read' | 'operate' | 'admin'): Promise<string> =>
    createToken(pool, { name, role, createdBy: 'me' });

  it('AC1: only the probes answer without a token', async () => {
    const answers = [
      '/things',
      '/metrics',
      '/docs',
      '/no-such-route',
      '/health',
      '/HEALTH/live',
      '//health/live',
    ];
    for (const path of answers) expect([path, (await ask(path)).status]).toEqual([path, 401]);
    expect((await ask('/health/live', undefined, 'POST')).status).toBe(401);
    expect((await ask('/health/live')).status).toBe(200);
    expect((await ask('/health/ready')).status).toBe(503);
    const refused = await fetch(`${url}/things`);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="sluice"');
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(await refused.json()).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
    expect(queries).toBe(0);
  });

  it('the metrics are for every token, and for every caller where they are open', async () => {
    expect((await ask('/metrics', await make('prometheus', 'read'))).status).toBe(200);
    await serve({ isMetricsOpen: true });
    expect((await ask('/metrics')).status).toBe(200);
    expect((await ask('/things')).status).toBe(401);
  });

  it('each role includes those before it, and a route without a role is for no caller', async () => {
    const statuses: Record<string, number[]> = {};
    for (const role of ['read', 'operate', 'admin'] as const) {
      const token = await make(role, role);
      statuses[role] = [
        (await ask('/things', token)).status,
        (await ask('/things', token, 'POST')).status,
        (await ask('/things/forgotten', token)).status,
      ];
    }
    expect(statuses).toEqual({ read: [200, 403, 403], operate: [200, 201, 403], admin: [200, 201, 403] });
    const { body } = await ask('/things', await make('reader', 'read'), 'POST');
    expect(JSON.parse(body)).toMatchObject({
      code: 'ROLE_MISSING',
      detail: 'This needs role operate; this token has read.',
    });
  });

  it('AC2: a holder is remembered for ten seconds; then a revoked token is refused', async () => {
    const token = await make('ci', 'operate');
    expect((await ask('/things', token)).status).toBe(200);
    await revokeToken(pool, 'ci');
    const before = queries;
    now = 9_999;
    expect((await ask('/things', token)).status).toBe(200);
    expect(queries).toBe(before);
    now = 10_000;
    expect((await ask('/things', token)).status).toBe(401);
  });

  it('an expired token is refused', async () => {
    const token = await createToken(pool, { name: 'old', role: 'admin', createdBy: 'me', expiresInDays: 1 });
    await pool.query(`UPDATE sluice.access_token SET expires_at = now() - interval '1 second'`);
    expect((await ask('/things', token)).status).toBe(401);
  });

  it('AC3: twenty wrong tokens hold the address up, and not the token that was right before', async () => {
    const right = await make('right', 'read');
    expect((await ask('/things', right)).status).toBe(200);
    for (let n = 0; n < 20; n += 1) expect((await ask('/things', newToken())).status).toBe(401);
    const before = queries;
    const refused = await fetch(`${url}/things`, { headers: { authorization: `Bearer ${newToken()}` } });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    expect(queries).toBe(before);
    now = 20_000;
    expect((await ask('/things', right)).status).toBe(200);
    now = 60_000;
    expect((await ask('/things', newToken())).status).toBe(401);
  });

  it('AC5: a holder that sends too much waits, and no other one does', async () => {
    await serve({ requestsPerMinute: 3 });
    const [busy, other] = [await make('busy', 'read'), await make('other', 'read')];
    for (let n = 0; n < 3; n += 1) expect((await ask('/things', busy)).status).toBe(200);
    const refused = await fetch(`${url}/things`, { headers: { authorization: `Bearer ${busy}` } });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '20']);
    expect(await refused.json()).toMatchObject({ code: 'REQUESTS_LIMITED' });
    expect((await ask('/things', other)).status).toBe(200);
    for (let n = 0; n < 9; n += 1) expect((await ask('/things', 'token-of-the-machine')).status).toBe(200);
    now = 20_000;
    expect((await ask('/things', busy)).status).toBe(200);
  });

  it('AC3: behind a trusted proxy the address is that of its caller', async () => {
    await serve({ trustedProxies: [ipaddr.parseCIDR('127.0.0.0/8')] });
    const from = async (address: string): Promise<number> => {
      const headers = { authorization: `Bearer ${newToken()}`, 'x-forwarded-for': address };
      return (await fetch(`${url}/things`, { headers })).status;
    };
    for (let n = 0; n < 20; n += 1) expect(await from('192.0.2.1')).toBe(401);
    expect([await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([429, 401]);
  });

  it('tokens of Sluice work while the OIDC provider is away', async () => {
    const issuer = 'http://127.0.0.1:1';
    const oidc = new OidcTokens({ issuer, audience: 'a', roleClaim: 'roles', roles: new Map() });
    await serve({ oidc });
    const refused = await ask('/things', 'e30.e30.AAAA');
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([503, { code: 'OIDC_UNAVAILABLE' }]);
    expect((await ask('/things', await make('ci', 'read'))).status).toBe(200);
  });

  it('AC4: the token of the machine may do everything', async () => {
    expect((await ask('/things', 'token-of-the-machine', 'POST')).status).toBe(201);
    expect((await ask('/things', 'token-of-the-machinf', 'POST')).status).toBe(401);
    expect(queries).toBe(0);
  });

  it('a database that does not answer is not taken for a wrong token', async () => {
    const gone = new pg.Pool({ connectionString: 'postgres://none@127.0.0.1:1/none' });
    await serve({ database: gone });
    expect((await ask('/things', newToken())).status).toBe(503);
    await gone.end();
  });

  it.each(['local', 'open'] as const)(
    'with SLUICE_ACCESS=%s no caller is asked for a token',
    async (mode) => {
      await serve({ mode });
      expect((await ask('/things', undefined, 'POST')).status).toBe(201);
      expect(queries).toBe(0);
    },
  );

  it('the database holds a hash, the last use, and each name once', async () => {
    const token = await make('one', 'read');
    await ask('/things', token);
    await revokeToken(pool, 'one');
    await expect(make('one', 'admin')).rejects.toMatchObject({ code: 'USAGE_INVALID' });
    await expect(revokeToken(pool, 'one')).rejects.toMatchObject({ code: 'USAGE_INVALID' });
    const [facts] = await listTokens(pool);
    expect(facts).toMatchObject({ name: 'one', role: 'read', createdBy: 'me', expiresAt: null });
    expect([facts?.lastUsedAt, facts?.revokedAt]).toEqual([expect.any(String), expect.any(String)]);
    const { rows } = await pool.query<{ row: string }>('SELECT t::text AS row FROM sluice.access_token AS t');
    expect(rows[0]?.row).not.toContain(token.slice('sluice_'.length));
  });
});
