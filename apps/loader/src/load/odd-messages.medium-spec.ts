import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import { pino } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage, RawHeaders } from '#core/message/header-reader.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { type CleanMessage, decodeCleanMessage } from '#core/message/clean-message.js';
import { createStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { anyCharacter } from '#test/support/any-character.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { GroupLoader } from './group-loader.js';
import { assertSections, loaderPlan } from './staging-targets.js';

const JOB = '01890000-0000-7000-8000-000000000001';
const PLAN: TablePlan[] = [
  {
    schema: 'public',
    table: 'thing',
    columns: ['code'],
    key: ['code'],
    version: null,
    sources: {},
    parent: null,
  },
];

/** Counts at and beyond every bound that a column has. */
const count = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -1, 0.5, 1e21),
  fc.nat(),
);
const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 8 }),
  fc.constantFrom('', '\0', '\ud800', 'a b', '__proto__', '😀', 'x'.repeat(2_000)),
);
const json = (value: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  value.map((each) => JSON.stringify(each));
const odd = {
  epoch: count.map(String),
  batch: count.map(String),
  'first-record': count.map(String),
  'first-line': count.map(String),
  'byte-start': count.map(String),
  'byte-end': count.map(String),
  crc32c: count.map(String),
  attempt: count.map(String),
  contract: count.map(String),
  plan: text,
  raw: json(
    fc.record({
      topic: fc.oneof(text, fc.constant('sluice.things.raw')),
      partition: fc.oneof(fc.constant(1), count),
      offset: fc.oneof(fc.constantFrom('1', '9'.repeat(18), '9'.repeat(19)), count.map(String), text),
    }),
  ),
  counts: json(
    fc.record({ records: count, accepted: count, refused: count, skipped: count, warnings: count }),
  ),
  findings: json(
    fc.oneof(
      fc.dictionary(text, fc.nat(9), { minKeys: 1, maxKeys: 2 }),
      fc.dictionary(text, count, { maxKeys: 3 }),
      fc.array(count, { maxLength: 2 }),
    ),
  ),
  sections: json(fc.array(fc.record({ table: text, bytes: count, rows: count }), { maxLength: 2 })),
  fault: json(fc.record({ code: text, message: text })),
};

/** One or two at a time, so that what is odd gets as far as the database. */
const oddChanges = fc
  .subarray(Object.keys(odd) as (keyof typeof odd)[], { minLength: 1, maxLength: 2 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, odd[name]]))));

const WELL_FORMED: Record<keyof typeof odd, string> & Record<string, string> = {
  ...{ v: '1', dataset: 'things', job: JOB, epoch: '1', batch: '0', 'first-record': '0', 'first-line': '1' },
  ...{ 'byte-start': '0', 'byte-end': '0', crc32c: '0', attempt: '0', contract: '1' },
  plan: loaderPlan(PLAN, 1, JOB).mark,
  raw: '{"topic":"sluice.things.raw","partition":0,"offset":"1"}',
  counts: '{"records":0,"accepted":0,"refused":0,"skipped":0,"warnings":0}',
  findings: '{}',
  sections: '[{"table":"thing","bytes":0,"rows":0}]',
  fault: '',
};

describe('clean messages that are formed well and hold something odd', () => {
  let server: TestDatabase;
  let pool: pg.Pool;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 2 });
    await pool.query('CREATE TABLE public.thing (code text PRIMARY KEY)');
    await inTransaction(pool, (client) => createStaging(client, PLAN, { id: JOB, mode: 'replace' }));
  });

  afterAll(async () => {
    await pool.end();
    await server.stop();
  });

  /** As the loader's controller takes a message. */
  function decoded(headers: RawHeaders): CleanMessage | null {
    const place = { topic: 'sluice.things.clean', partition: 0, offset: '0' };
    const message: IncomingMessage = { place, headers, value: Buffer.alloc(0) };
    try {
      const clean = decodeCleanMessage(message);
      assertSections(clean, place, PLAN);
      return clean;
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') return null;
      throw error;
    }
  }

  it('are parked, or stored, or say something of their job: the database never refuses one', async () => {
    const loader = new GroupLoader({
      ...{ pool, logger: pino({ level: 'silent' }), sessionTimeoutMs: 1_000, retryPauseMs: 0 },
      onFault: () => {
        throw new Error('A message has paused its job for a fault.');
      },
    });
    const outcomes: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(oddChanges, async (changes) => {
        const { fault, ...headers } = { ...WELL_FORMED, ...changes };
        const message = decoded(fault === '' ? headers : { ...headers, fault });
        let outcome = 'parked';
        if (message !== null) {
          await pool.query('TRUNCATE sluice.job CASCADE');
          await pool.query(
            `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
               contract_version, epoch) VALUES ($1, 'things', 'replace', 'running', '{}', '', false, 1, '{}', 1, 2147483647)`,
            [JOB],
          );
          const group = { dataset: 'things', job: JOB, batches: [message] };
          const loaded = await loader.load(group, loaderPlan(PLAN, 1, JOB), () => undefined);
          outcome = loaded.kind === 'loaded' ? 'stored' : loaded.state;
        }
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }),
      { numRuns: 250, examples: [[{}], [{ sections: '[{"table":"","bytes":0,"rows":0}]' }]] },
    );
    expect(Object.keys(outcomes)).toEqual(expect.arrayContaining(['parked', 'stored']));
  });
});
