import { describe, expect, it } from '@jest/globals';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { findsAny, together } from './problem-queries.js';

const FIRST = { sql: `SELECT format('%1$I', $2::text) AS problem WHERE $1`, values: [true, 'a'] };
const SECOND = { sql: 'SELECT $1::text AS problem -- a reason', values: ['b'] };

describe('queries for problems', () => {
  it('are one statement together, with the parameters of all, and format strings as they were', () => {
    const { sql, values } = together([FIRST, SECOND, FIRST]);
    expect(values).toEqual([true, 'a', 'b', true, 'a']);
    expect(sql).toContain(`format('%1$I', $2::text) AS problem WHERE $1`);
    expect(sql).toContain('SELECT $3::text AS problem -- a reason\n)');
    expect(sql).toContain(`format('%1$I', $5::text) AS problem WHERE $4`);
  });

  it.each([
    [[], false],
    [[{ nth: 1, problem: 'b' }], true],
  ])('that find %j say %s, in one round trip', async (rows, found) => {
    let queries = 0;
    const client = {
      query: () => {
        queries += 1;
        return Promise.resolve({ rows, rowCount: rows.length });
      },
    } as unknown as SqlClient;
    expect(await findsAny(client, [FIRST, SECOND])).toBe(found);
    expect(queries).toBe(1);
  });
});
