import { describe, expect, it } from '@jest/globals';
import { databaseProblem } from './database-problem.js';

const failing = (message: string, code?: string): Error =>
  Object.assign(new Error(message), code && { code });

describe('what a server refuses', () => {
  it.each([
    [
      'a wrong password',
      failing('password authentication failed for user "bob"', '28P01'),
      'DATABASE_REFUSED',
      'user and password',
    ],
    [
      'a login by pg_hba.conf',
      failing('no pg_hba.conf entry for host', '28000'),
      'DATABASE_REFUSED',
      'pg_hba.conf',
    ],
    [
      'no password',
      failing('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'),
      'DATABASE_REFUSED',
      'has none',
    ],
    [
      'no such database',
      failing('database "nodb" does not exist', '3D000'),
      'DATABASE_REFUSED',
      'CREATE DATABASE',
    ],
    ['no TLS', failing('The server does not support SSL connections'), 'DATABASE_REFUSED', 'sslmode'],
    [
      'an unknown certificate',
      failing('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
      'DATABASE_REFUSED',
      'sslrootcert',
    ],
    [
      'another host name',
      failing("Hostname/IP does not match certificate's altnames", 'ERR_TLS_CERT_ALTNAME_INVALID'),
      'DATABASE_REFUSED',
      'other host names',
    ],
    [
      'an expired certificate',
      failing('certificate has expired', 'CERT_HAS_EXPIRED'),
      'DATABASE_REFUSED',
      'Renew',
    ],
    [
      'a missing right',
      failing('permission denied for schema public', '42501'),
      'DATABASE_REFUSED',
      'Grant it',
    ],
    ['several hosts', failing('Invalid URL', 'ERR_INVALID_URL'), 'SETTING_INVALID', 'several hosts'],
    [
      'no such socket',
      failing('connect ENOENT /tmp/.s.PGSQL.5432', 'ENOENT'),
      'SETTING_INVALID',
      'file or socket',
    ],
    [
      'a standby',
      failing('cannot execute UPDATE in a read-only transaction', '25006'),
      'DATABASE_UNAVAILABLE',
      'standby',
    ],
    [
      'too many connections',
      failing('sorry, too many clients already', '53300'),
      'DATABASE_UNAVAILABLE',
      'max_connections',
    ],
    [
      'an unknown host',
      failing('getaddrinfo ENOTFOUND nowhere', 'ENOTFOUND'),
      'DATABASE_UNAVAILABLE',
      'name service',
    ],
    [
      'nothing there',
      new AggregateError([failing('connect ECONNREFUSED ::1:5432', 'ECONNREFUSED')]),
      'DATABASE_UNAVAILABLE',
      'ECONNREFUSED ::1:5432. Nothing answers',
    ],
    [
      'a lost connection',
      failing('Connection terminated unexpectedly'),
      'DATABASE_UNAVAILABLE',
      'cannot be reached',
    ],
  ])('comes with advice: %s', (_, error, code, words) => {
    const problem = databaseProblem(error);
    expect(problem?.code).toBe(code);
    expect(problem?.message).toContain(words);
  });

  it('is not made of faults that no setting causes', () => {
    expect(databaseProblem(failing('syntax error', '42601'))).toBeNull();
    expect(databaseProblem(new TypeError('x is not a function'))).toBeNull();
    expect(databaseProblem('words')).toBeNull();
  });
});
