import { describe, expect, it } from '@jest/globals';
import { noteConnection, prepared } from './prepared.js';
import type { SqlClient } from './sql-client.js';

/** A connection that writes down how it is asked. */
function connection(processID: number | null): { client: SqlClient; asked: unknown[][] } {
  const asked: unknown[][] = [];
  const client = {
    processID,
    query: (...args: unknown[]) => {
      asked.push(args);
      return Promise.resolve({ rows: [], rowCount: 0 });
    },
  };
  return { client, asked };
}

describe('prepared statements', () => {
  it('have a name for each text, on a connection to the server itself (PS1)', async () => {
    const { client, asked } = connection(7);
    noteConnection(client, 7);
    await prepared(client).query('SELECT $1', [1]);
    await prepared(client).query('SELECT $1', [2]);
    await prepared(client).query('SELECT 3');
    const named = asked.map(([query]) => query as { name: string; text: string; values: unknown[] });
    expect(named.map(({ text, values }) => [text, values])).toEqual([
      ['SELECT $1', [1]],
      ['SELECT $1', [2]],
      ['SELECT 3', []],
    ]);
    expect(named[0]?.name).toBe(named[1]?.name);
    expect(named[2]?.name).not.toBe(named[0]?.name);
    // PostgreSQL cuts longer ones in silence.
    expect(named.every(({ name }) => name.length <= 63)).toBe(true);
  });

  it.each([
    ['a pooler has given it another number', 7, 8],
    ['it has none', null, 8],
  ])('go as they are where %s (PS1)', async (_, own, server) => {
    const { client, asked } = connection(own);
    noteConnection(client, server);
    await prepared(client).query('SELECT $1', [1]);
    expect(asked).toEqual([['SELECT $1', [1]]]);
  });
});
