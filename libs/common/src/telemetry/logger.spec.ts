import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { loggableMessage, loggerTo, withoutCredentials } from './logger.js';

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
});
