import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { documentedRoles } from '#test/support/documented-rights.js';
import { type SecuredPostgres, startSecuredPostgres } from '#test/support/secured-postgres.js';
import { SELF_SIGNED, SELF_SIGNED_NEXT } from '#test/support/self-signed.js';
import { loadSettings } from '../config/environment.js';
import { ConnectionConfig } from '../config/connection.config.js';
import { databaseProblem } from './database-problem.js';
import { createPool } from './pool.js';

describe('a PostgreSQL that takes connections over TLS alone', () => {
  const files = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  const ca = join(files, 'ca.pem');
  const [cert, key] = [join(files, 'client.pem'), join(files, 'client.key')];
  const [strange, strangeKey] = [join(files, 'strange.pem'), join(files, 'strange.key')];
  let server: SecuredPostgres;

  beforeAll(async () => {
    writeFileSync(ca, SELF_SIGNED.cert);
    writeFileSync(cert, SELF_SIGNED.cert);
    writeFileSync(key, SELF_SIGNED.key, { mode: 0o600 });
    writeFileSync(strange, SELF_SIGNED_NEXT.cert);
    writeFileSync(strangeKey, SELF_SIGNED_NEXT.key, { mode: 0o600 });
    server = await startSecuredPostgres([
      // The certificate names the role `localhost`, and no other.
      'hostssl sluice shown all cert',
      'hostssl sluice localhost all cert',
      'hostssl sluice sluice all scram-sha-256',
      'hostssl sluice loader all scram-sha-256',
      `hostssl sluice ${SERVICE_ROLES.join()} all scram-sha-256`,
    ]);
    await asking(addressOf({}), 'CREATE ROLE localhost LOGIN');
    await asking(addressOf({}), 'CREATE ROLE shown LOGIN');
    await asking(addressOf({}), "CREATE ROLE loader LOGIN PASSWORD 'first'");
  });

  afterAll(async () => {
    await server.stop();
    rmSync(files, { recursive: true });
  });

  interface Change {
    readonly sslmode?: string;
    readonly authority?: string;
    readonly host?: string;
    readonly user?: string;
    readonly password?: string;
    /** The certificate of the server's authority, or one of its own. */
    readonly shows?: 'known' | 'strange';
  }

  function addressOf({
    sslmode = 'verify-full',
    authority = ca,
    host,
    user,
    password,
    shows,
  }: Change): string {
    const address = new URL(server.url);
    if (host !== undefined) address.hostname = host;
    if (user !== undefined) address.username = user;
    if (password !== undefined) address.password = password;
    if (sslmode !== '') address.searchParams.set('sslmode', sslmode);
    if (sslmode !== '' && authority !== '') address.searchParams.set('sslrootcert', authority);
    if (shows !== undefined) {
      address.searchParams.set('sslcert', shows === 'known' ? cert : strange);
      address.searchParams.set('sslkey', shows === 'known' ? key : strangeKey);
    }
    return address.href;
  }

  /** On one connection of a pool as services have it. */
  async function asking(address: string | (() => string), sql = IS_ENCRYPTED): Promise<unknown> {
    const pool = createPool({ url: address, applicationName: 'tls test', maxConnections: 1 });
    try {
      const { rows } = await pool.query<{ answer: unknown }>(sql);
      return rows[0]?.answer;
    } finally {
      await pool.end();
    }
  }

  const problemOf = async (address: string): Promise<unknown> =>
    databaseProblem(await asking(address).catch((error: unknown) => error));

  it.each(['require', 'verify-ca', 'verify-full'])('verifies the server by sslmode=%s', async (sslmode) => {
    expect(await asking(addressOf({ sslmode }))).toBe(true);
    expect(await problemOf(addressOf({ sslmode, authority: '' }))).toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringContaining('sslrootcert in DATABASE_URL'),
    });
  });

  it('takes a certificate of the client for a login, and the role that it names', async () => {
    const login = { user: 'localhost', password: '', shows: 'known' } as const;
    expect(await asking(addressOf(login))).toBe(true);
    expect(await problemOf(addressOf({ user: 'localhost', password: '' }))).toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringContaining('sslcert and sslkey'),
    });
    expect(await problemOf(addressOf({ ...login, shows: 'strange' }))).toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringContaining('sslcert and sslkey'),
    });
    expect(await problemOf(addressOf({ ...login, user: 'shown' }))).toMatchObject({
      code: 'DATABASE_REFUSED',
    });
  });

  it('says of a host name that the certificate does not have, and of a connection without TLS, what to do', async () => {
    expect(await problemOf(addressOf({ host: OTHER_NAME }))).toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringContaining('is for other host names'),
    });
    expect(await problemOf(addressOf({ sslmode: '' }))).toMatchObject({
      code: 'DATABASE_REFUSED',
      message: expect.stringContaining('sslmode=verify-full'),
    });
  });

  it('takes the role of each service as docs/operations.md makes it, over TLS alone, with its own rights', async () => {
    const [asDba] = documentedRoles();
    for (const statement of asDba.split(/;\n/)) await asking(addressOf({}), statement);
    const rights: Record<string, unknown> = {};
    for (const user of SERVICE_ROLES) {
      const login = { user, password: 'change me' };
      expect(await problemOf(addressOf({ ...login, sslmode: '' }))).toMatchObject({
        code: 'DATABASE_REFUSED',
      });
      expect(await problemOf(addressOf({ ...login, password: 'wrong' }))).toMatchObject({
        code: 'DATABASE_REFUSED',
        message: expect.stringContaining('Correct user and password'),
      });
      rights[user] = await asking(addressOf(login), OWN_RIGHTS);
    }
    expect(rights).toEqual({
      sluice_owner: 'sluice_owner over TLS: staging public',
      sluice_ingestor: 'sluice_ingestor over TLS: staging',
      sluice_loader: 'sluice_loader over TLS: staging public',
      sluice_tracker: 'sluice_tracker over TLS:',
    });
  });

  it('takes a new password from DATABASE_URL_FILE for the next connection', async () => {
    const file = join(files, 'url');
    writeFileSync(file, addressOf({ user: 'loader', password: 'first' }));
    const config = loadSettings(ConnectionConfig, { DATABASE_URL_FILE: file });
    const ask = (): Promise<unknown> => asking(() => config.databaseUrl);
    expect(await ask()).toBe(true);
    await asking(addressOf({}), "ALTER ROLE loader PASSWORD 'second'");
    await expect(ask()).rejects.toMatchObject({ code: '28P01' });
    writeFileSync(file, addressOf({ user: 'loader', password: 'second' }));
    expect(await ask()).toBe(true);
  });
});

/** Of 127.0.0.1, as no certificate has it. */
const OTHER_NAME = '127.1';

const SERVICE_ROLES = ['sluice_owner', 'sluice_ingestor', 'sluice_loader', 'sluice_tracker'];

/** Who it is, and in which schemas it may create tables. */
const OWN_RIGHTS = `SELECT current_user
  || CASE WHEN ssl THEN ' over TLS:' ELSE ' unencrypted:' END
  || CASE WHEN has_schema_privilege('sluice_staging', 'CREATE') THEN ' staging' ELSE '' END
  || CASE WHEN has_schema_privilege('public', 'CREATE') THEN ' public' ELSE '' END AS answer
  FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;

const IS_ENCRYPTED = 'SELECT ssl AS answer FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
