/** What `@Provenance` stores, in the rows of a record and of its child tables: the same however often the job is interrupted. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { type HaltingSource, startHaltingSource } from '../../support/halting-source.js';
import { clientOf, jobEnd, lettersOf } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = 'visits';
const SECRET = 'a-secret-of-the-source';
const VISITS = 2_000;
/** In the middle, where the source halts: a record that is refused. */
const REFUSED = 700;

const FILES: Readonly<Record<string, string>> = {
  [`${DATASET}/README.md`]: '# visits\n',
  [`${DATASET}/migrations/001-tables.sql`]: `
    CREATE TABLE public.visit (number text PRIMARY KEY, source text NOT NULL, line bigint NOT NULL, job uuid NOT NULL,
      started_at timestamptz NOT NULL);
    CREATE TABLE public.note (number text NOT NULL REFERENCES public.visit, note text, source text NOT NULL, line bigint NOT NULL,
      job uuid NOT NULL, started_at timestamptz NOT NULL);`,
  [`${DATASET}/dataset.js`]: `
    import { ChildTable, Children, Column, FromParent, Provenance, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    function traced(type) {
      for (const fact of ['source', 'line', 'job', 'startedAt']) Provenance(fact)(type.prototype, fact);
    }
    class Note {}
    FromParent('number')(Note.prototype, 'number');
    Column()(Note.prototype, 'note');
    traced(Note);
    ChildTable({ name: 'note', rowWhen: 'note' })(Note);
    class Visit {}
    Column({ required: { code: 'NO_NUMBER' } })(Visit.prototype, 'number');
    traced(Visit);
    Children(() => Note, { path: 'notes' })(Visit.prototype, 'notes');
    Table({ name: 'visit', key: ['number'] })(Visit);
    export default defineDataset({ name: '${DATASET}', title: 'Visits', format: 'ndjson', contract: Visit });`,
};

/** An empty line stands behind every tenth record: it is skipped, and counts as a line. */
const LINES = Array.from({ length: VISITS }, (_, at) => {
  const number = at === REFUSED ? null : String(at).padStart(5, '0');
  const record = JSON.stringify({ number, notes: [{ note: 'x'.repeat(400) }, { note: 'y' }] });
  return at % 10 === 9 ? `${record}\n\n` : `${record}\n`;
});
/** Line of record N, from 1. */
const lineOf = (at: number): number => at + 1 + Math.floor(at / 10);

export const provenance = scenario('provenance', FILES, (running) => {
  let system: System;
  let source: HaltingSource;

  beforeAll(async () => {
    system = running();
    source = await startHaltingSource(Buffer.from(LINES.join('')), '"v1"');
  });

  afterAll(() => source.close());

  it('stores address without credentials, line, job and start, also of a job that was killed and resumed', async () => {
    const { host } = new URL(source.url);
    const address = `http://reader:${SECRET}@${host}/visits.ndjson?token=${SECRET}`;
    const { id } = await clientOf(system).startJob({ dataset: DATASET, source: address });
    const loaded = async (): Promise<number> =>
      (
        await query<{ n: number }>(system, 'SELECT count(*)::int AS n FROM sluice.ledger WHERE job = $1', [
          id,
        ])
      )[0]?.n ?? 0;
    await eventually(async () => (await loaded()) > 3, 'batches to be loaded');
    // What the two had in work comes again from Kafka, and from the source.
    await Promise.all(['ingestor', 'validator', 'loader'].map((name) => system.kill(name)));
    source.goOn();
    await Promise.all(['ingestor', 'validator', 'loader'].map((name) => system.restart(name)));
    expect(await jobEnd(system, id)).toMatchObject({
      state: 'succeeded',
      counts: { read: 1.1 * VISITS, accepted: VISITS - 1, refused: 1, skipped: 0.1 * VISITS },
    });
    const [job] = await query<{ at: string }>(
      system,
      'SELECT started_at::text AS at FROM sluice.job WHERE id = $1',
      [id],
    );
    const facts = `source, job::text, date_trunc('milliseconds', $1::timestamptz) = started_at AS "isStart"`;
    const one = { source: `http://${host}/visits.ndjson?…`, job: id, isStart: true };
    for (const table of ['visit', 'note']) {
      expect(await query(system, `SELECT DISTINCT ${facts} FROM ${table}`, [job?.at])).toEqual([one]);
      const lines = await query<{ at: number; line: string }>(
        system,
        `SELECT DISTINCT number::int AS at, line::text FROM ${table} ORDER BY at`,
      );
      expect(lines).toHaveLength(VISITS - 1);
      expect(lines.filter(({ at, line }) => line !== String(lineOf(at)))).toEqual([]);
    }
    expect(await query(system, 'SELECT count(*)::int AS n FROM note')).toEqual([{ n: 2 * (VISITS - 1) }]);
    expect(await lettersOf(system, id)).toMatchObject([{ line: lineOf(REFUSED), codes: ['NO_NUMBER'] }]);
  });
});
