import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { LoadingHarness } from '#test/support/loading.js';

describe('records that PostgreSQL refuses while they are loaded', () => {
  let harness: LoadingHarness;

  beforeAll(async () => {
    harness = await LoadingHarness.start();
  });

  afterAll(() => harness.stop());

  beforeEach(() => harness.begin());

  it('refuses only the records that the database refuses, with SQLSTATE and reason, in every table (G10)', async () => {
    const bad = harness.batch(1, {
      thing: '2\tt2\t1000\n3\tt3\t2\n',
      part: '2\tt2\ta\n3\tt3\ttoo long\n',
    });
    expect(await harness.load(harness.batch(0), bad, harness.batch(2))).toMatchObject({ kind: 'loaded' });
    expect(await harness.staged()).toEqual({
      things: ['t0', 't1', 't4', 't5'],
      parts: ['t0a', 't1b', 't4a', 't5b'],
      batches: [0, 1, 2],
    });
    const { rows } = await harness.pool.query(
      'SELECT batch, load_refusals FROM sluice.ledger WHERE NOT refusals_announced AND job = $1',
      [harness.job],
    );
    expect(rows).toMatchObject([
      {
        batch: '1',
        load_refusals: [
          { record: 2, sqlstate: '23514', findings: [{ code: 'REFUSED_BY_DATABASE', severity: 'error' }] },
          { record: 3, sqlstate: '22001' },
        ],
      },
    ]);
  });

  it('keeps the rows that each batch has really brought, by table (RC5, G1)', async () => {
    const bad = harness.batch(1, {
      thing: '2\tt2\t1000\n3\tt3\t2\n',
      part: '2\tt2\ta\n2\tt2\tb\n3\tt3\tc\n',
    });
    await harness.load(harness.batch(0), bad, harness.batch(2, { part: '' }));
    const { rows } = await harness.pool.query('SELECT batch, table_rows FROM sluice.ledger ORDER BY batch');
    expect(rows).toEqual([
      { batch: '0', table_rows: { thing: 2, part: 2 } },
      { batch: '1', table_rows: { thing: 1, part: 1 } },
      { batch: '2', table_rows: { thing: 2, part: 0 } },
    ]);
  });

  /** Parents and children of one batch of `records` records, the given ones refused by a CHECK or a length. */
  function wideBatch(records: number, bad: { things?: number[]; parts?: number[] }): CleanMessage {
    const all = Array.from({ length: records }, (_, record) => record);
    const thing = all.map((r) => `${r}\tt${r}\t${bad.things?.includes(r) === true ? 1000 : 1}\n`).join('');
    const part = all
      .map((r) => `${r}\tt${r}\t${bad.parts?.includes(r) === true ? 'too long' : 'a'}\n`)
      .join('');
    return {
      ...harness.batch(0, { thing, part }),
      counts: { records, accepted: records, refused: 0, skipped: 0, warnings: 0 },
    };
  }

  const copiesOf = (table: string): number =>
    harness.copies.filter((name) => name.endsWith(`_${table}`)).length;

  it.each([
    ['no bad record', {}, { thing: 1, part: 1 }],
    ['a bad record in the first table', { things: [41] }, { thing: 3, part: 1 }],
    ['a bad record in the second table', { parts: [41] }, { thing: 3, part: 3 }],
  ])('needs at most three COPYs a table for %s (RC2)', async (_, bad, wanted) => {
    harness.copies.length = 0;
    expect(await harness.load(wideBatch(100, bad))).toMatchObject({ kind: 'loaded' });
    expect({ thing: copiesOf('thing'), part: copiesOf('part') }).toEqual(wanted);
    expect((await harness.staged()).things).toHaveLength(Object.keys(bad).length === 0 ? 100 : 99);
  });

  it('finds many bad records with three COPYs each, wherever they are (RC3, RC4)', async () => {
    const bad = { things: [0, 1, 17, 50, 99], parts: [2, 17, 48, 98] };
    harness.copies.length = 0;
    await harness.load(wideBatch(100, bad));
    const refused = [...new Set([...bad.things, ...bad.parts])].sort((a, b) => a - b);
    const { rows } = await harness.pool.query<{ record: number }>(
      `SELECT (refusal->>'record')::int AS record FROM sluice.ledger, jsonb_array_elements(load_refusals) AS refusal`,
    );
    expect(rows.map(({ record }) => record)).toEqual(refused);
    const left = Array.from({ length: 100 }, (_, r) => r).filter((r) => !refused.includes(r));
    const { things, parts } = await harness.staged();
    expect(things).toEqual(left.map((r) => `t${r}`));
    expect(parts).toEqual(left.map((r) => `t${r}a`));
    expect(copiesOf('thing')).toBeLessThanOrEqual(3 * refused.length + 1);
  });

  it('finds the records without any word of the server', async () => {
    const bad = { things: [0, 41, 42], parts: [99] };
    const plan = harness.plan();
    const unnamed = plan.targets.map((target) => ({ ...target, stagingName: 'not_named' }));
    await harness.loadBy({ ...plan, targets: unnamed }, wideBatch(100, bad));
    const { rows } = await harness.pool.query<{ record: number }>(
      `SELECT (refusal->>'record')::int AS record FROM sluice.ledger, jsonb_array_elements(load_refusals) AS refusal`,
    );
    expect(rows.map(({ record }) => record)).toEqual([0, 41, 42, 99]);
    expect((await harness.staged()).things).toHaveLength(96);
  });

  it.each([
    ['a range whose ends are the wrong way round', 'int4range', '[1,5)', '[9,1)', '22000'],
    ['bytes that are none', 'bytea', '\\\\x00ff', '\\\\xzz', '22023'],
    ['too many bits', 'bit(8)', '10101010', '101010101', '22026'],
  ])('refuses %s alone', async (_, type, good, wrong, sqlstate) => {
    const [, table] = harness.tables;
    await harness.pool.query(`ALTER TABLE ${table}
      ALTER name TYPE ${type} USING NULL`);
    await harness.load(harness.batch(0, { part: `0\tt0\t${good}\n1\tt1\t${wrong}\n` }));
    const { rows } = await harness.pool.query<{ refusals: LoadRefusal[] }>(
      'SELECT load_refusals AS refusals FROM sluice.ledger',
    );
    expect(rows[0]?.refusals).toMatchObject([
      { record: 1, sqlstate, findings: [{ code: 'REFUSED_BY_DATABASE' }] },
    ]);
    expect((await harness.pool.query(`SELECT FROM ${table}`)).rowCount).toBe(1);
  });

  describe('a column of a type that takes none of the values (RC6)', () => {
    beforeEach(() =>
      harness.pool.query(`ALTER TABLE ${harness.tables[1]}
        ALTER name TYPE uuid USING NULL`),
    );
    const UUID = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
    /** Twelve records. */
    const many = (number: number, lastPart: string): CleanMessage => {
      const all = Array.from({ length: 12 }, (_, r) => r);
      const thing = all.map((r) => `${r}\tt${r}\t1\n`).join('');
      const part = all.map((r) => `${r}\tt${r}\t${r === 11 ? lastPart : 'a'}\n`).join('');
      return { ...harness.batch(number, { thing, part }), firstRecord: 0, counts: wideBatch(12, {}).counts };
    };
    const end = async (): Promise<unknown> =>
      (
        await harness.pool.query<object>(
          `SELECT state, error->>'code' AS code, error->>'message' AS message FROM sluice.job`,
        )
      ).rows[0];

    it('fails the job and blames no record', async () => {
      expect(await harness.load(many(0, 'a'))).toEqual({ kind: 'dropped', state: 'failed' });
      expect(await end()).toEqual({
        state: 'failed',
        code: 'TARGET_DOES_NOT_FIT',
        message: expect.stringMatching(
          /^Column name of part is uuid, .* none of the values .* first 12 records/,
        ),
      });
      expect(await harness.staged()).toEqual({ things: [], parts: [], batches: [] });
    });

    it('is no reason when it takes one of them, now or before, or when there are few', async () => {
      expect(await harness.load(many(0, UUID))).toMatchObject({ kind: 'loaded' });
      expect((await harness.staged()).things).toEqual(['t11']);
      expect(await harness.load(many(1, 'a'))).toMatchObject({ kind: 'loaded' });
      await harness.pool.query('DELETE FROM sluice.ledger');
      expect(await harness.load(harness.batch(0))).toMatchObject({ kind: 'loaded' });
      expect(await end()).toMatchObject({ state: 'running' });
    });
  });

  it('refuses a record from which a generated column cannot be computed, alone', async () => {
    await harness.pool.query(`ALTER TABLE ${harness.tables[0]}
      ADD share int GENERATED ALWAYS AS (100 / amount) STORED`);
    await harness.load(harness.batch(0, { thing: '0\tt0\t0\n1\tt1\t1\n' }));
    expect((await harness.staged()).things).toEqual(['t1']);
  });

  it('does not blame a record that is taken alone: the job is paused (RC1, G10)', async () => {
    const flaky = harness.batch(0, { thing: '0\tt0\t1\n1\tevery other time\t1\n', part: '0\tt0\ta\n' });
    await expect(harness.load(flaky)).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
    expect(await harness.paused()).toMatchObject({
      state: 'paused',
      pause_reason: 'fault',
      pause_detail: { code: 'DATABASE_FAULT', message: expect.stringContaining('took it alone') },
    });
    expect(await harness.staged()).toEqual({ things: [], parts: [], batches: [] });
    await harness.continued();
    // The next try is an even one.
    await harness.pool.query(`SELECT setval('public.tries', 1)`);
    expect(await harness.load(flaky)).toMatchObject({ kind: 'loaded' });
    expect((await harness.staged()).things).toEqual(['t0', 'every other time']);
  });

  it('says which column could not be read, and which constraint refused (issue: SQLSTATE, constraint, column)', async () => {
    await harness.load(harness.batch(0, { thing: '0\tt0\tmany\n1\tt1\t1000\n' }));
    const { rows } = await harness.pool.query<{ refusals: LoadRefusal[] }>(
      'SELECT load_refusals AS refusals FROM sluice.ledger',
    );
    expect(rows[0]?.refusals).toMatchObject([
      { record: 0, sqlstate: '22P02', findings: [{ field: 'amount' }] },
      {
        record: 1,
        sqlstate: '23514',
        findings: [
          {
            message:
              'new row for relation "thing" violates check constraint "thing_amount_check" (constraint thing_amount_check)',
          },
        ],
      },
    ]);
  });
});
