/** Every kind of `kinds.ts` against columns that take what it stores, and columns that do not. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import {
  Children,
  ChildTable,
  Column,
  Constant,
  FromParent,
  Provenance,
  Table,
} from '../../dataset/columns.js';
import * as kinds from '../../dataset/kinds.js';
import { defineRule } from '../../dataset/rules.js';
import { checkColumnTypes } from './column-types.js';

const {
  arrayOf,
  date,
  defineKind,
  enumOf,
  flag,
  float64,
  int16,
  int32,
  int64,
  isoDate,
  jsonb,
  mapped,
  numeric,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} = kinds;

/** A column of the user's own types may take anything. */
const OWN_TYPES = ['status', 'price'];
const WORDS = ['text', 'varchar(60)', 'char(60)'];

const KINDS: readonly (readonly [string, kinds.Kind, readonly string[], readonly string[]])[] = [
  ['text', text(), [...WORDS, 'integer', 'uuid', 'jsonb'], []],
  ['varchar', varchar(40), [...WORDS, 'varchar(3)'], ['integer', 'date', 'uuid', 'jsonb', 'text[]']],
  ['int16', int16(), [...WORDS, 'smallint', 'integer', 'numeric(5)', 'real'], ['date', 'uuid', 'boolean']],
  ['int32', int32({ thousandsMark: ',' }), [...WORDS, 'integer', 'bigint'], ['date', 'integer[]']],
  ['int64', int64(), [...WORDS, 'bigint', 'integer', 'numeric'], ['date', 'timestamptz', 'uuid']],
  [
    'numeric',
    numeric({ precision: 12, scale: 2 }),
    [...WORDS, 'numeric', 'numeric(14,4)', 'double precision', 'real', 'money'],
    ['integer', 'numeric(12,1)', 'date'],
  ],
  [
    'numeric',
    numeric({ decimalMark: ',', thousandsMark: '.' }),
    [...WORDS, 'numeric', 'numeric(14,4)'],
    ['integer', 'numeric(12,1)'],
  ],
  [
    'float64',
    float64(),
    [...WORDS, 'double precision', 'real', 'numeric'],
    ['integer', 'numeric(12,1)', 'date'],
  ],
  ['flag', flag({ true: ['Y'], false: ['N'] }), [...WORDS, 'boolean'], ['integer', 'date', 'char(1)']],
  ['isoDate', isoDate(), [...WORDS, 'date', 'timestamp', 'timestamptz'], ['integer', 'time', 'varchar(8)']],
  ['date', date('D.M.YY'), [...WORDS, 'date', 'timestamptz'], ['integer', 'time', 'uuid']],
  ['time', time(), [...WORDS, 'time', 'timetz', 'interval'], ['integer', 'date', 'timestamp']],
  ['time', time('hh:mm A'), [...WORDS, 'time'], ['date', 'timestamptz']],
  [
    'timestamp',
    timestamp(),
    [...WORDS, 'timestamp', 'timestamp(0)', 'timestamptz'],
    ['date', 'time', 'bigint'],
  ],
  ['timestamp', timestamp('DD/MM/YYYY HH:mm'), [...WORDS, 'timestamp', 'timestamptz'], ['date', 'time']],
  ['timestamptz', timestamptz(), [...WORDS, 'timestamptz', 'timestamp'], ['date', 'time', 'integer']],
  [
    'timestamptz',
    timestamptz({ pattern: 'YYYYMMDDHHmmss', zone: 'Asia/Taipei' }),
    [...WORDS, 'timestamptz', 'timestamp'],
    ['date', 'timetz'],
  ],
  ['uuid', uuid(), [...WORDS, 'uuid'], ['integer', 'char(10)', 'date']],
  ['jsonb', jsonb(), [...WORDS, 'jsonb', 'json'], ['integer', 'text[]', 'boolean']],
  ['enumOf', enumOf(['open', 'closed']), [...WORDS, 'name'], ['integer', 'boolean', 'uuid']],
  ['enumOf', enumOf(['1', '2']), [...WORDS, 'smallint'], ['boolean', 'date']],
  ['mapped', mapped({ A: 'open', X: 'closed' }), WORDS, ['integer', 'boolean', 'date']],
  ['mapped', mapped({ one: '1', two: '2' }), [...WORDS, 'integer'], ['date']],
  [
    'arrayOf',
    arrayOf(int32()),
    [...WORDS, 'integer[]', 'bigint[]', 'text[]'],
    ['integer', 'date[]', 'jsonb'],
  ],
  [
    'arrayOf',
    arrayOf(text(), { separator: '|' }),
    [...WORDS, 'text[]', 'uuid[]'],
    ['integer', 'jsonb', 'uuid'],
  ],
  ['arrayOf', arrayOf(date('DD/MM/YYYY')), ['date[]', 'text[]'], ['date', 'integer[]']],
  ['arrayOf', arrayOf(numeric()), ['numeric[]', 'text[]'], ['integer[]', 'numeric(12,1)[]']],
];

/** Of a dataset: a day of the calendar of Taiwan. */
const calendarDay = {
  name: 'calendarDay',
  accepts: (value: string) => /^[0-9]{3}[0-9]{2}[0-9]{2}$/.test(value),
  message: 'must be a day of the calendar of Taiwan',
  toText: (value: string) => `${Number(value.slice(0, 3)) + 1911}-${value.slice(3, 5)}-${value.slice(5)}`,
};
const IsUuid = defineRule({
  name: 'isUuid',
  accepts: (value) => kinds.uuid().accepts(value),
  message: 'must be a UUID',
});

describe('types of columns', () => {
  let server: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    server = await startTestDatabase();
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(`
      CREATE TYPE status AS ENUM ('open', 'closed');
      CREATE DOMAIN price AS integer;
      CREATE TABLE one (value text);
      CREATE TABLE line (parent text, number text);
      CREATE TABLE place (parent text)`);
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  /** @returns what is wrong with a column of the type, or null. */
  async function problemOf(contract: new () => object, alter: string): Promise<string | null> {
    await client.query('BEGIN');
    try {
      await client.query(alter);
      await checkColumnTypes(client, { name: 'one', contract });
      return null;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await client.query('ROLLBACK');
    }
  }

  function contractOf(...decorators: readonly PropertyDecorator[]): new () => object {
    class One {}
    for (const decorate of decorators) decorate(One.prototype, 'value');
    Table({ name: 'one', key: ['value'] })(One);
    return One;
  }
  const ofType = (type: string): string => `ALTER TABLE one DROP value, ADD value ${type}`;

  it('are tried with every kind', () => {
    const others = ['decode', 'defineKind', 'HALF_SURROGATE_PAIR', 'isCalendarDay'];
    const tried = KINDS.map(([name]) => name);
    expect(Object.keys(kinds).filter((name) => !others.includes(name) && !tried.includes(name))).toEqual([]);
  });

  it.each(KINDS)('that take %s are accepted, others found', async (name, kind, fitting, unfitting) => {
    const contract = contractOf(Column({ source: 'value', kind }));
    for (const type of [...fitting, ...OWN_TYPES]) {
      expect([type, await problemOf(contract, ofType(type))]).toEqual([type, null]);
    }
    for (const type of unfitting) {
      expect([type, await problemOf(contract, ofType(type))]).toEqual([
        type,
        expect.stringMatching(`column value of one is .*, and the dataset stores ${name}, e\\.g\\. `),
      ]);
    }
  });

  it('are tried with what a kind of the dataset says of its type, and with its examples', async () => {
    const silent = contractOf(Column({ source: 'value', kind: defineKind(calendarDay) }));
    expect(await problemOf(silent, ofType('date'))).toBeNull();
    expect(await problemOf(silent, ofType('integer'))).toBeNull();
    const typed = contractOf(
      Column({ source: 'value', kind: defineKind({ ...calendarDay, columnType: 'date' }) }),
    );
    expect(await problemOf(typed, ofType('date'))).toBeNull();
    expect(await problemOf(typed, ofType('integer'))).toContain('stores calendarDay, e.g. 2026-09-01');
    const shown = contractOf(
      Column({ source: 'value', kind: defineKind({ ...calendarDay, examples: ['1150301'] }) }),
    );
    expect(await problemOf(shown, ofType('date'))).toBeNull();
    expect(await problemOf(shown, ofType('integer'))).toContain('stores calendarDay, e.g. 2026-03-01');
  });

  it('are not tried with what a rule of the column refuses, nor with what makes a kind throw', async () => {
    const ofUuids = contractOf(Column({ source: 'value', kind: varchar(40) }), IsUuid());
    expect(await problemOf(ofUuids, ofType('uuid'))).toBeNull();
    expect(await problemOf(ofUuids, ofType('integer'))).toContain('stores varchar, e.g. 550e8400');
    const accepts = (): boolean => {
      throw new Error('a fault of the dataset');
    };
    const broken = contractOf(Column({ source: 'value', kind: defineKind({ ...calendarDay, accepts }) }));
    expect(await problemOf(broken, ofType('integer'))).toBeNull();
  });

  it('are tried with the constant that they store, and with facts of the job', async () => {
    class Facts {
      @Column({ source: 'name' }) name!: string;
      @Constant('7', { kind: numeric({ precision: 5, scale: 2 }), target: 'constant' }) constant!: string;
      @Provenance('job') job!: string;
      @Provenance('line') line!: string;
      @Provenance('startedAt', { target: 'at' }) at!: string;
    }
    Table({ name: 'one', key: ['name'] })(Facts);
    const types = (constant: string, job: string, line: string, at: string): string =>
      `ALTER TABLE one ADD name text, ADD constant ${constant}, ADD job ${job}, ADD line ${line}, ADD at ${at}`;
    expect(await problemOf(Facts, types('integer', 'uuid', 'bigint', 'timestamptz'))).toBeNull();
    const problem = await problemOf(Facts, types('date', 'integer', 'boolean', 'date'));
    for (const words of [
      'constant of one is date',
      'job of one is integer',
      'line of one is boolean',
      'at of one is date',
    ])
      expect(problem).toContain(words);
  });

  it('of child tables are tried with what their parents store, to any depth', async () => {
    class Place {
      @FromParent('parent') parent!: string;
    }
    ChildTable({ name: 'place' })(Place);
    class Line {
      @FromParent('value') parent!: string;
      @Column({ source: 'number', kind: int32() }) number!: string;
    }
    ChildTable({ name: 'line' })(Line);
    Children(() => Place, { path: 'places' })(Line.prototype, 'places');
    const contract = contractOf(Column({ source: 'value', kind: uuid() }));
    Children(() => Line, { path: 'lines' })(contract.prototype as object, 'lines');
    const fitting =
      'ALTER TABLE line ALTER number TYPE integer USING NULL, ALTER parent TYPE uuid USING NULL';
    expect(await problemOf(contract, fitting)).toBeNull();
    expect(await problemOf(contract, 'ALTER TABLE line ALTER parent TYPE integer USING NULL')).toContain(
      'column parent of line is integer, and the dataset stores uuid',
    );
    expect(await problemOf(contract, 'ALTER TABLE place ALTER parent TYPE date USING NULL')).toContain(
      'column parent of place is date, and the dataset stores uuid',
    );
  });
});
