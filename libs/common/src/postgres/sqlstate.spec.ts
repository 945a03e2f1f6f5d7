import { describe, expect, it } from '@jest/globals';
import { QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { classifyDatabaseError, sqlstateOf } from './sqlstate.js';

const withCode = (code: string): Error => Object.assign(new Error('refused'), { code });

describe('classifyDatabaseError', () => {
  it.each([
    ['22001', 'record'],
    ['22000', 'record'],
    ['22012', 'record'],
    ['22026', 'record'],
    ['2203G', 'record'],
    ['54001', 'record'],
    ['P0001', 'record'],
    ['23514', 'record'],
    ['40001', 'retry'],
    ['40P01', 'retry'],
    ['25006', 'wait'],
    ['55P03', 'wait'],
    ['08006', 'wait'],
    ['53100', 'wait'],
    ['57P01', 'wait'],
    ['58030', 'wait'],
    ['22P04', 'schema'],
    ['42P01', 'schema'],
    ['ECONNREFUSED', 'wait'],
    ['EMFILE', 'wait'],
    ['EADDRNOTAVAIL', 'wait'],
  ])('takes %s for %s', (code, kind) => {
    expect(classifyDatabaseError(withCode(code))).toBe(kind);
  });

  it.each(['23001', '25P02', '25P04', '54011', '55000', 'P0002', 'XX000', '', '2', 'constructor'])(
    'does not know %p: no record is blamed for it (G10)',
    (code) => {
      expect(classifyDatabaseError(withCode(code))).toBe('unknown');
    },
  );

  it('takes a connection that broke off for waiting, by its words alone', () => {
    expect(classifyDatabaseError(new Error('Connection terminated unexpectedly'))).toBe('wait');
    expect(classifyDatabaseError(new AggregateError([withCode('ECONNREFUSED')]))).toBe('wait');
    for (const released of [
      new QueryRunnerAlreadyReleasedError(),
      new QueryRunnerProviderAlreadyReleasedError(),
    ]) {
      expect(classifyDatabaseError(released)).toBe('wait');
    }
    expect(classifyDatabaseError(new Error('Client was closed and is not queryable'))).toBe('wait');
    expect(classifyDatabaseError(new AggregateError([withCode('EACCES')]))).toBe('unknown');
    expect(classifyDatabaseError('no error at all')).toBe('unknown');
  });
});

describe('sqlstateOf', () => {
  it('answers what PostgreSQL said, and null for anything else', () => {
    expect(sqlstateOf(withCode('22P02'))).toBe('22P02');
    expect(sqlstateOf(withCode('ECONNREFUSED'))).toBeNull();
    expect(sqlstateOf(new Error('x'))).toBeNull();
  });
});
