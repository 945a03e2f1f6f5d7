import type pg from 'pg';
import { type AccessTokenFacts, createToken, listTokens, revokeToken } from '#common/access/access-tokens.js';
import { AuditLog, ownCommand } from '#common/access/audit-log.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { createPool } from '#common/postgres/pool.js';
import { plainText } from '#common/text/plain-text.js';
import type { Exit } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { formatTime } from '../render/format.js';
import { type TableColumn, renderTable } from '../render/table.js';
import { type CliContext, widthOf, write } from './context.js';
import type { TokenAction, TokenOptions } from './token-options.js';
import { userName } from '#common/access/user-name.js';

/** Sorts well, fits a table, and cannot be taken for a token. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/** `sluice token`: works on the database, so that the first token needs none. */
export async function token(
  context: CliContext,
  action: TokenAction,
  name: string | undefined,
  options: TokenOptions,
): Promise<Exit> {
  const { role, expires, json } = options;
  if (action === 'list') {
    const tokens = await onDatabase(context, listTokens);
    const text = tokens.length === 0 ? 'No tokens.\n' : renderTable(tokens, COLUMNS, widthOf(context.stdout));
    await write(context.stdout, json === true ? successJson({ tokens }) : text);
    return 'success';
  }
  if (name === undefined || !NAME.test(name))
    throw new SluiceError(
      'USAGE_INVALID',
      `\`token ${action}\` needs a name: A to Z, a to z, digits and . _ @ -, at most 63, for example grafana.`,
    );
  if (action === 'revoke') {
    await onDatabase(context, (client) =>
      new AuditLog(client).around(ownCommand('token.revoke', { targets: [name] }), () =>
        revokeToken(client, name),
      ),
    );
    const text = `The token ${name} is revoked; services refuse it within 10 s.\n`;
    await write(context.stdout, json === true ? successJson({ name }) : text);
    return 'success';
  }
  if (role === undefined)
    throw new SluiceError('USAGE_INVALID', '`token create` needs --role: read, operate or admin.');
  const made = { name, role, createdBy: userName(), expiresInDays: expires };
  const secret = await onDatabase(context, (client) =>
    new AuditLog(client).around(ownCommand('token.create', { targets: [name] }), () =>
      createToken(client, made),
    ),
  );
  // The token alone on stdout, for `> file`.
  if (json !== true)
    await write(context.stderr, 'The token is shown this once; keep it where only its user reads it.\n');
  await write(context.stdout, json === true ? successJson({ name, role, token: secret }) : `${secret}\n`);
  return 'success';
}

async function onDatabase<T>(context: CliContext, work: (client: pg.Pool) => Promise<T>): Promise<T> {
  const databaseUrl = context.settings().databaseUrl ?? (await context.local.state())?.databaseUrl;
  if (databaseUrl === undefined)
    throw new SluiceError(
      'SYSTEM_UNREACHABLE',
      'DATABASE_URL is not set, and Sluice is not running in this checkout.',
    );
  const pool = createPool({ url: databaseUrl, applicationName: 'sluice token', maxConnections: 1 });
  try {
    return await work(pool);
  } catch (error) {
    throw databaseProblem(error) ?? error;
  } finally {
    await pool.end();
  }
}

function stateOf({ revokedAt, expiresAt }: AccessTokenFacts): string {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now() ? 'expired' : 'valid';
}

const timeOr = (time: string | null, otherwise: string): string =>
  time === null ? otherwise : formatTime(time);

const COLUMNS: readonly TableColumn<AccessTokenFacts>[] = [
  { title: 'name', value: ({ name }) => plainText(name) },
  { title: 'role', value: ({ role }) => role },
  { title: 'state', value: stateOf },
  { title: 'created (UTC)', value: ({ createdAt }) => formatTime(createdAt), leaveOut: 1 },
  { title: 'by', value: ({ createdBy }) => plainText(createdBy), leaveOut: 2 },
  { title: 'expires (UTC)', value: ({ expiresAt }) => timeOr(expiresAt, 'never') },
  { title: 'last used (UTC)', value: ({ lastUsedAt }) => timeOr(lastUsedAt, 'never') },
];
