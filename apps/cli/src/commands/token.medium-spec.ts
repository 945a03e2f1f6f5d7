import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { hashOfToken, holderOf } from '#common/access/access-tokens.js';
import { userName } from '#common/access/user-name.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';

describe('sluice token', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let cli: CliHarness;

  beforeAll(async () => {
    database = await startMigratedDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await database.stop();
  });

  beforeEach(async () => {
    await client.query('TRUNCATE sluice.access_token, sluice.command_audit');
    start();
  });

  function start(): void {
    cli = new CliHarness();
    cli.environment = { DATABASE_URL: database.url };
  }

  it('makes one that is alone on standard output, and works until it is revoked', async () => {
    expect(await cli.run('token', 'create', 'grafana', '--role', 'read', '--expires', '90d')).toBe(0);
    const hash = hashOfToken(cli.stdout.text.trimEnd());
    if (hash === null) throw new TypeError(`not a token: ${cli.stdout.text}`);
    expect(await holderOf(client, hash)).toEqual({ kind: 'token', name: 'grafana', role: 'read' });
    start();
    expect(await cli.run('token', 'list')).toBe(0);
    expect(cli.stdout.text).toMatch(/^grafana +read +valid /m);
    start();
    expect(await cli.run('token', 'revoke', 'grafana')).toBe(0);
    expect(await holderOf(client, hash)).toBeNull();
    start();
    expect(await cli.run('token', 'list', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({
      ok: true,
      tokens: [{ name: 'grafana', role: 'read', revokedAt: expect.any(String) }],
    });
    const { rows } = await client.query<{ days: number }>(
      'SELECT round(extract(epoch FROM expires_at - created_at) / 86400)::integer AS days FROM sluice.access_token',
    );
    expect(rows).toEqual([{ days: 90 }]);
    const { rows: commands } = await client.query<object>(
      'SELECT caller, who, role, action, targets, outcome FROM sluice.command_audit ORDER BY id',
    );
    const mine = { caller: 'command line', who: userName(), role: null, targets: ['grafana'], outcome: 'ok' };
    expect(commands).toEqual([
      { ...mine, action: 'token.create' },
      { ...mine, action: 'token.revoke' },
    ]);
  });

  it.each<[string, string[]]>([
    ['no role', ['create', 'ci']],
    ['a role that is none', ['create', 'ci', '--role', 'root']],
    ['no name', ['create', '--role', 'read']],
    ['a name with a space', ['create', 'my ci', '--role', 'read']],
    ['no days', ['create', 'ci', '--role', 'read', '--expires', '0d']],
    ['a name that no token has', ['revoke', 'ci']],
  ])('refuses %s with code 2, and makes nothing', async (_what, args) => {
    expect(await cli.run('token', ...args)).toBe(2);
    expect(cli.stdout.text).toBe('');
    expect((await client.query('SELECT FROM sluice.access_token')).rowCount).toBe(0);
  });
});
