/** What is written as COPY text is what PostgreSQL stores: any text, and any value that a kind accepts. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { anyCharacter } from '#test/support/any-character.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { flag, int64, isoDate, jsonb, type Kind, numeric, text, timestamptz } from '../dataset/kinds.js';
import { countCharacters } from '../dataset/rules.js';
import { CopyText } from './copy-text.js';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await startTestDatabase();
  client = new pg.Client(database.url);
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.stop();
});

/** COPYs the values into a column of the type, and gives what is there then, in their order. */
async function copied(
  values: readonly (string | null)[],
  kind: Kind,
  type: string,
): Promise<(string | null)[]> {
  const out = new CopyText();
  values.forEach((value, at) => {
    out.count(at);
    out.endColumn();
    if (value === null) out.null();
    else {
      const bytes = Buffer.from(kind.toText?.(value) ?? value);
      if (kind.write) kind.write(Buffer.from(value), 0, Buffer.byteLength(value), out);
      else out.value(bytes, 0, bytes.length);
    }
    out.endRow();
  });
  await client.query(`DROP TABLE IF EXISTS copied; CREATE TABLE copied (number bigint, value ${type})`);
  await pipeline(Readable.from([out.take()]), client.query(copyFrom('COPY copied FROM STDIN')));
  const { rows } = await client.query<{ value: string | null }>(
    'SELECT value::text AS value FROM copied ORDER BY number',
  );
  return rows.map(({ value }) => value);
}

const storable = fc.string({ unit: anyCharacter, maxLength: 20 }).map((value) => value.replaceAll('\0', ''));
const tricky = fc.string({
  unit: fc.constantFrom(
    '\\',
    '\\.',
    '\\N',
    '\n',
    '\r',
    '\t',
    'N',
    '.',
    'x41',
    '7',
    '\b',
    '東',
    '\ue000',
    '𠮷',
  ),
  maxLength: 10,
});

describe('COPY text in PostgreSQL', () => {
  it('stores any text as it was, and counts its characters as the rules do', async () => {
    const values = fc.array(fc.option(fc.oneof(tricky, storable)), { minLength: 1, maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(values, async (given) => {
        expect(await copied(given, text(), 'text')).toEqual(given);
        const { rows } = await client.query<{ characters: number | null }>(
          'SELECT char_length(value) AS characters FROM copied ORDER BY number',
        );
        expect(rows.map(({ characters }) => characters)).toEqual(
          given.map((value) =>
            value === null ? null : countCharacters(Buffer.from(value), 0, Buffer.byteLength(value)),
          ),
        );
      }),
      { numRuns: 20 },
    );
  });

  const date = fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') });
  it.each<[string, Kind, string, fc.Arbitrary<string>]>([
    [
      'bigint',
      int64(),
      'bigint',
      fc.oneof(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String), fc.constantFrom('-0', '007')),
    ],
    [
      'bigint',
      int64({ nonNegative: true, removeCommas: true }),
      'bigint',
      fc.stringMatching(/^[0-9,]{1,24}$/),
    ],
    ['numeric', numeric(), 'numeric', fc.stringMatching(/^-?[0-9]{0,40}(\.[0-9]{1,40})?$/)],
    [
      'numeric(6,2)',
      numeric({ precision: 6, scale: 2 }),
      'numeric(6,2)',
      fc.stringMatching(/^-?[0-9]{0,6}(\.[0-9]{1,4})?$/),
    ],
    ['boolean', flag({ true: ['Y'], false: ['N'] }), 'boolean', fc.constantFrom('Y', 'N')],
    [
      'date',
      isoDate(),
      'date',
      fc.oneof(
        date.map((day) => day.toISOString().slice(0, 10)),
        fc.stringMatching(/^[0-9]{4}-[01][0-9]-[0-3][0-9]$/),
      ),
    ],
    [
      'timestamptz',
      timestamptz(),
      'timestamptz',
      date.chain((day) =>
        fc
          .constantFrom('Z', '+14:59', '-14', '-0330')
          .map((offset) => day.toISOString().replace('Z', offset)),
      ),
    ],
    [
      'jsonb',
      jsonb(),
      'jsonb',
      fc.oneof(
        fc.json({ stringUnit: 'binary' }),
        fc.constantFrom('"\\u0000"', '"\\ud800"', `${'['.repeat(200)}${']'.repeat(200)}`),
      ),
    ],
  ])('takes into %s all that the kind accepts', async (_, kind, type, value) => {
    const accepted = fc.sample(value, 2000).filter((one) => kind.accepts(one));
    expect(accepted.length).toBeGreaterThan(100);
    expect(await copied(accepted, kind, type)).toHaveLength(accepted.length);
  });
});
