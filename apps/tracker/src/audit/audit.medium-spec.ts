import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '#api/audit.js';
import type { Page } from '#api/pages.js';
import { AuditLog, type AuditedCommand } from '#common/access/audit-log.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';

describe('GET /audit', () => {
  let database: TestDatabase;
  let api: ReadApiApp;

  beforeAll(async () => {
    database = await startMigratedDatabase();
    api = await startReadApi({ databaseUrl: database.url });
    const log = new AuditLog(poolOf(api.database));
    const command: AuditedCommand = {
      ...{ service: 'ingestor', who: 'ci', caller: 'token', role: 'operate', action: 'job.start' },
      ...{ dataset: 'shops', targets: [] },
    };
    await log.record(command, 'ok');
    await log.record({ ...command, who: 'night', dataset: 'orders' }, 'JOB_ACTIVE');
    await log.begin({ ...command, action: 'job.cancel', targets: ['j'] });
  });

  afterAll(async () => {
    await api.stop();
    await database.stop();
  });

  async function list(query: string): Promise<Page<AuditEntry>> {
    const response = await fetch(`${api.url}/audit${query}`);
    expect(response.status).toBe(200);
    return (await response.json()) as Page<AuditEntry>;
  }

  it('lists commands, the newest first, page by page', async () => {
    const first = await list('?limit=2');
    expect(first.items).toMatchObject([
      { action: 'job.cancel', who: 'ci', targets: ['j'], outcome: null, finishedAt: null },
      { action: 'job.start', who: 'night', outcome: 'JOB_ACTIVE', finishedAt: expect.any(String) },
    ]);
    const second = await list(`?limit=2&cursor=${first.next ?? ''}`);
    expect(second).toMatchObject({ items: [{ who: 'ci', dataset: 'shops', outcome: 'ok' }], next: null });
  });

  it.each<[string, number]>([
    ['?who=ci', 2],
    ['?who=c', 0],
    ['?action=job.start', 2],
    ['?dataset=orders', 1],
    ['?who=ci&action=job.cancel', 1],
  ])('%s has %d', async (query, count) => {
    expect((await list(query)).items).toHaveLength(count);
  });

  it.each(['?action=jobs', '?cursor=1', '?dataset=No', '?who=%00', '?since=1'])(
    'refuses %s',
    async (query) => {
      expect((await fetch(`${api.url}/audit${query}`)).status).toBe(400);
    },
  );

  it('has no row for a dry run of a correction, and one for a command that is refused', async () => {
    const before = (await list('')).items.length;
    const send = (body: object): Promise<Response> =>
      fetch(`${api.url}/dead-letters/discard`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    await send({ reason: 'test', filter: {}, dryRun: true });
    expect((await list('')).items).toHaveLength(before);
    expect((await send({ reason: 7 })).status).toBe(422);
    expect((await list('?limit=1')).items).toMatchObject([
      { action: 'dead-letters.discard', caller: 'local', who: 'local', outcome: 'REQUEST_INVALID' },
    ]);
  });
});
