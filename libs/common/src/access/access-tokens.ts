import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { SluiceError } from '../errors/sluice-error.js';
import type { Role } from './role-names.js';

/** Begins every token, so that a scanner of leaked secrets finds it, and other bearers are refused without a query. */
const PREFIX = 'sluice_';
const TOKEN = /^sluice_[A-Za-z0-9_-]{43}$/;

export interface AccessTokenFacts {
  readonly name: string;
  readonly role: Role;
  readonly createdAt: string;
  readonly createdBy: string;
  /** null: it does not expire. */
  readonly expiresAt: string | null;
  /** Up to five minutes older than the last use; null: never used. */
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

/** How a caller is known; `local` and `open` ask for no name (`SLUICE_ACCESS`), `command line` is a user of a machine. */
export const CALLER_KINDS = ['local', 'open', 'token', 'oidc', 'command line'] as const;
export type CallerKind = (typeof CALLER_KINDS)[number];

export interface Caller {
  readonly kind: CallerKind;
  readonly name: string;
  readonly role: Role;
}

type Sql = Pick<pg.Pool, 'query'>;

/** A new random token of 256 bits. */
export function newToken(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/**
 * What is stored in the token's place. A plain hash is enough: 256 random bits cannot be guessed, so that a slow hash,
 * which protects words that people choose, would only make every request slow.
 * @returns null for what cannot be a token of ours
 */
export function hashOfToken(token: string): Buffer | null {
  return TOKEN.test(token) ? createHash('sha256').update(token).digest() : null;
}

/**
 * Makes a token and stores its hash.
 * @param expiresInDays undefined: it does not expire
 * @returns the token, which cannot be shown again
 * @throws SluiceError USAGE_INVALID when a token has had the name, also a revoked one: a name means one token for ever
 */
export async function createToken(
  sql: Sql,
  token: { name: string; role: Role; createdBy: string; expiresInDays?: number | undefined },
): Promise<string> {
  const secret = newToken();
  const { name, role, createdBy, expiresInDays = null } = token;
  const { rowCount } = await sql.query(
    `INSERT INTO sluice.access_token (name, hash, role, created_by, expires_at)
     VALUES ($1, $2, $3, $4, now() + $5::integer * interval '1 day') ON CONFLICT (name) DO NOTHING`,
    [name, hashOfToken(secret), role, createdBy, expiresInDays],
  );
  if (rowCount === 1) return secret;
  throw new SluiceError(
    'USAGE_INVALID',
    `There is, or was, a token with the name ${name}; choose another name.`,
  );
}

/** All tokens, the newest first, revoked and expired ones too. */
export async function listTokens(sql: Sql): Promise<AccessTokenFacts[]> {
  const { rows } = await sql.query<Record<string, Date | string | null>>(
    `SELECT name, role, created_at, created_by, expires_at, last_used_at, revoked_at
     FROM sluice.access_token ORDER BY created_at DESC, name`,
  );
  const time = (value: unknown): string | null => (value instanceof Date ? value.toISOString() : null);
  return rows.map((row) => ({
    name: String(row['name']),
    role: row['role'] as Role,
    createdAt: time(row['created_at']) ?? '',
    createdBy: String(row['created_by']),
    expiresAt: time(row['expires_at']),
    lastUsedAt: time(row['last_used_at']),
    revokedAt: time(row['revoked_at']),
  }));
}

/**
 * Services refuse the token at the latest ten seconds later.
 * @throws SluiceError USAGE_INVALID when no token that is not revoked has the name
 */
export async function revokeToken(sql: Sql, name: string): Promise<void> {
  const { rowCount } = await sql.query(
    'UPDATE sluice.access_token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL',
    [name],
  );
  if (rowCount !== 1)
    throw new SluiceError(
      'USAGE_INVALID',
      `No token has the name ${name}, or it is revoked already; \`sluice token list\` shows all.`,
    );
}

/** @returns whose token it is; null when there is none, or it is revoked or has expired by the clock of the database */
export async function holderOf(sql: Sql, hash: Buffer): Promise<Caller | null> {
  const { rows } = await sql.query<{ name: string; role: Role; isUseOld: boolean }>(
    `SELECT name, role, coalesce(last_used_at < now() - interval '5 minutes', true) AS "isUseOld"
     FROM sluice.access_token
     WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
    [hash],
  );
  const [found] = rows;
  if (found === undefined) return null;
  if (found.isUseOld) {
    // Only for people to see: a role without the right, or a server that is read-only, must not keep the holder out.
    await sql
      .query('UPDATE sluice.access_token SET last_used_at = now() WHERE hash = $1', [hash])
      .catch(() => undefined);
  }
  return { kind: 'token', name: found.name, role: found.role };
}
