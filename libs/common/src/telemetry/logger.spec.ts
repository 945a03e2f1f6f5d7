import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { SluiceError } from '../errors/sluice-error.js';
import { loggableMessage, loggedLines, loggerTo, withoutCredentials } from './logger.js';

/** What a logger writes, parsed. */
function logged(write: (logger: ReturnType<typeof loggerTo>) => void): {
  line: Record<string, unknown>;
  text: string;
} {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  write(loggerTo(stream, 'test', 'info'));
  return { line: JSON.parse(text) as Record<string, unknown>, text };
}

function databaseError(code: string, message: string): Error {
  return Object.assign(new pg.DatabaseError(message, 0, 'error'), {
    code,
    detail: 'Key (ban)=(canary)',
    where: 'canary',
  });
}

describe('the log', () => {
  it('is one JSON object a line, with an ISO time and the level by name', () => {
    const { line } = logged((logger) => {
      logger.warn({ job: 'j' }, 'waiting');
    });
    expect(line).toMatchObject({ level: 'warn', service: 'test', job: 'j', msg: 'waiting' });
    expect(Date.parse(String(line['time']))).not.toBeNaN();
  });

  it('counts lines by level, those of child loggers and no suppressed ones', () => {
    const before = new Map(loggedLines());
    logged((logger) => {
      logger.child({ job: 'j' }).error('one');
      logger.debug('suppressed');
    });
    expect(loggedLines().get('error')).toBe((before.get('error') ?? 0) + 1);
    expect(loggedLines().get('debug')).toBe(before.get('debug'));
  });

  it('never holds the value that PostgreSQL refused', () => {
    const cause = databaseError('22P02', 'invalid input syntax for type bigint: "canary"');
    const { text } = logged((logger) => {
      logger.error({ err: new Error('loading failed', { cause }) }, 'stuck');
    });
    expect(text).toContain('22P02');
    expect(text).not.toContain('canary');
    expect(loggableMessage(databaseError('42P01', 'relation "t" does not exist'))).toContain('relation');
  });

  it('never holds credentials of a URL', () => {
    const { text } = logged((logger) => {
      logger.error({ err: new Error('GET https://me:canary@host/a?token=canary failed') }, 'failed');
    });
    expect(text).toContain('https://***@host/a?***');
    expect(text).not.toContain('canary');
    expect(withoutCredentials('postgres://u:canary@h/db is away')).toBe('postgres://***@h/db is away');
  });

  it.each([
    'postgres://u:canary@h',
    'postgres://u:can/canary@h/db',
    'postgres://u:p@canary@h/db',
    'https://me:canary?x#y@host/a',
    'https://canary@host',
    'https://host/a?sig=canary',
    'https://host/a#access_token=canary',
    'https://host/a?x="canary"',
    'me:canary@host/a',
    'url=me:canary@host',
    'host=h password=canary user=u',
    `password = 'two canary words'`,
    'PGPASSWORD=canary',
    '{"password": "canary"}',
    '{"access_token":"canary"}',
    'Authorization: Bearer canary.canary.canary',
    'authorization: Basic Y2FuYXJ5OmNhbmFyeQ==',
    'AWS_SECRET_ACCESS_KEY=canary',
  ])('blanks what may be a secret in %j', (text) => {
    expect(withoutCredentials(`GET ${text} failed`)).not.toMatch(/canary|Y2FuYX/);
    expect(withoutCredentials(`GET ${text} failed`)).toMatch(/ failed$/);
  });

  it.each([
    'sluice.shops.raw-3 offset 15: 10 bytes',
    'password authentication failed for user "sluice"',
    'the token is missing',
    'https://host:8443/data.csv answered with HTTP status 403.',
    'connect ECONNREFUSED 127.0.0.1:5432',
  ])('leaves %j as it is', (text) => {
    expect(withoutCredentials(text)).toBe(text);
  });

  it('handles a long text in linear time', () => {
    for (const piece of ['a:', 'a://', 'a@', '://', 'password=', '"token":', 'bearer ']) {
      expect(withoutCredentials(piece.repeat(200_000)).length).toBeLessThanOrEqual(
        piece.length * 200_000 + 9,
      );
    }
  });

  it('holds nothing of what a source says, in no member of an error', () => {
    const head = 'COLUMN_UNKNOWN: "canary"\n    at canary (canary.ts:1:1)';
    const { line, text } = logged((logger) => {
      const cause = new SluiceError('SOURCE_CHANGED', `the source is not what it was: ${head}`);
      logger.warn({ err: new SluiceError('SOURCE_REFUSED', head, {}, { cause }) }, 'the job failed');
    });
    expect(text).not.toContain('canary');
    expect(line).toMatchObject({
      err: { code: 'SOURCE_REFUSED', stack: expect.stringContaining('    at ') },
    });
    const { text: other } = logged((logger) => {
      logger.warn({ err: new Error('https://u:canary@h\n    at canary@h (https://u:canary@h)') }, 'failed');
    });
    expect(other).not.toContain('u:canary');
  });
});
