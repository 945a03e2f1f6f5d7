/**
 * Why is this row missing, or as it is? All of it: files, messages, refusals, deletes, snapshots, cancelled jobs and what
 * retention has deleted, asked by the command line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import type { TraceView, TracedRecord } from '#api/trace.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';
import { CliHarness } from '../../support/cli/cli-harness.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { startHeldSource } from '../../support/held-source.js';
import { clientOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const MAIN = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');
const GOODS = 'goods';
const ORDERS = 'orders';

const FILES: Readonly<Record<string, string>> = {
  // A key of two columns, versions, deletes, child rows in slots, and rows that say where they came from.
  [`${GOODS}/dataset.js`]: `
    import { ChildTable, Children, Column, FromParent, Provenance, SlotNumber, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    import { int32, int64, varchar } from '#core/dataset/kinds.js';
    class Tag {}
    FromParent('site')(Tag.prototype, 'site');
    FromParent('sku')(Tag.prototype, 'sku');
    Column({ source: 'tag', kind: varchar(10) })(Tag.prototype, 'tag');
    SlotNumber()(Tag.prototype, 'place');
    ChildTable({ name: 'goods_tag', rowWhen: 'tag' })(Tag);
    class Goods {}
    Column({ required: { code: 'NO_SITE' } })(Goods.prototype, 'site');
    Column({ kind: int64(), required: { code: 'NO_SKU' } })(Goods.prototype, 'sku');
    Column({ kind: int64({ nonNegative: true }), required: { code: 'NO_PRICE' }, ifInvalid: { code: 'BAD_PRICE' } })(Goods.prototype, 'price');
    Column({ kind: int32() })(Goods.prototype, 'version');
    Provenance('job')(Goods.prototype, 'loadedBy');
    Provenance('line')(Goods.prototype, 'line');
    Children(() => Tag, { slots: [{ tag: 'tag1' }, { tag: 'tag2' }] })(Goods.prototype, 'tags');
    Table({ name: 'goods', key: ['site', 'sku'], version: 'version' })(Goods);
    export default defineDataset({ title: 'Goods', contract: Goods, maxRefusedShare: 1, maxShrinkShare: 1,
      inbox: { partitions: 2 }, writeModes: ['upsert', 'append', 'replace'],
      deletes: { tombstones: true, marker: { source: 'op', values: ['D'] } } });`,
  // A unique column besides the key, so that only the database refuses.
  [`${ORDERS}/dataset.js`]: `
    import { Column, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    class Order {}
    Column({ required: { code: 'NO_ID' } })(Order.prototype, 'id');
    Column({ required: { code: 'NO_SLIP' } })(Order.prototype, 'slip');
    Table({ name: 'orders', key: ['id'] })(Order);
    export default defineDataset({ title: 'Orders', format: 'ndjson', contract: Order, maxRefusedShare: 1,
      writeModes: ['upsert', 'replace'] });`,
  [`${ORDERS}/migrations/001-tables.sql`]: `
    CREATE TABLE public.orders (id text PRIMARY KEY, slip text NOT NULL UNIQUE);`,
  [`${ORDERS}/README.md`]: '# orders\n',
};
const HEADER = 'op,site,sku,price,version,tag1,tag2\n';

export const trace = scenario('sluice trace', FILES, (running) => {
  let system: System;
  let publisher: Publisher;

  beforeAll(() => {
    system = running();
    publisher = new Publisher(
      createKafka({ brokers: system.brokers, clientId: 'producer', logger: pino({ level: 'silent' }) }),
    );
  });

  afterAll(() => publisher.disconnect());

  let files = 0;
  async function load(dataset: string, text: string, request: Partial<JobRequest> = {}): Promise<JobDetail> {
    files += 1;
    const source = join(system.folder, `${dataset}-${files}.${dataset === GOODS ? 'csv' : 'ndjson'}`);
    writeFileSync(source, dataset === GOODS ? HEADER + text : text);
    return runJob(system, { dataset, source, ...request });
  }

  const sluice = (args: readonly string[]): ReturnType<typeof runToEnd> =>
    runToEnd(process.execPath, [MAIN, ...args], {
      cwd: system.folder,
      env: childEnvironment({ ...system.env, NO_COLOR: '1' }),
      signal: AbortSignal.timeout(240_000),
    });

  /** In this process: a command of its own takes a second to start. */
  async function trace(...args: string[]): Promise<TraceView & { readonly ok: boolean }> {
    const cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: system.ingestorUrl, SLUICE_TRACKER_URL: system.trackerUrl };
    const code = await cli.run('trace', '--json', ...args);
    expect({ code, stderr: cli.stderr.text }).toEqual({ code: 0, stderr: '' });
    const view = JSON.parse(cli.stdout.text) as TraceView & { readonly ok: boolean };
    expect(view.ok).toBe(true);
    return view;
  }

  /** Line, fate, and by what it was superseded, of each record. */
  const told = ({ records }: TraceView): unknown[] =>
    records.map(({ job, line, fate, supersededBy }: TracedRecord) => [
      ...[job, line, fate],
      ...(supersededBy === null ? [] : [supersededBy.why, supersededBy.job, supersededBy.record]),
    ]);

  let first: JobDetail;
  let second: JobDetail;
  let snapshot: JobDetail;

  it('says by which job and line a row was loaded, and what superseded every other record', async () => {
    first = await load(
      GOODS,
      [
        ',TPE,1,10,1,a,',
        ',TPE,1,11,2,b,c',
        ',TPE,2,5,1,,',
        ',TPE,3,x,1,,',
        ',TPE,4,7,5,,',
        ',TPE,5,1,1,,',
        '',
      ].join('\n'),
      { mode: 'upsert' },
    );
    second = await load(GOODS, [',TPE,"001",12,3,b,', ',TPE,4,8,4,,', 'D,TPE,2,,,,', ''].join('\n'), {
      mode: 'upsert',
    });
    const view = await trace(GOODS, 'TPE', '01');
    expect(view).toMatchObject({
      verdict: 'in-table',
      key: { site: 'TPE', sku: '01' },
      row: { table: 'public.goods', isThere: true, version: '3', provenance: { job: second.id, line: '2' } },
      history: { isComplete: true, deleted: { jobs: 0, batches: 0, records: 0 } },
    });
    expect(told(view)).toEqual([
      [first.id, 2, 'superseded', 'later-record', first.id, 1],
      [first.id, 3, 'superseded', 'later-job', second.id, 0],
      [second.id, 2, 'in-table'],
    ]);
    const older = await trace(GOODS, 'TPE', '4');
    expect(told(older)).toEqual([
      [first.id, 6, 'in-table'],
      [second.id, 3, 'superseded', 'newer-version', first.id, 4],
    ]);
    const gone = await trace(GOODS, 'TPE', '2');
    expect(gone).toMatchObject({
      verdict: 'deleted',
      removedBy: { why: 'delete', job: second.id, record: 2 },
    });
    expect(told(gone)).toEqual([
      [first.id, 4, 'superseded', 'delete', second.id, 2],
      [second.id, 4, 'deleted'],
    ]);
  });

  it('finds the row of a child table in the records of its parent', async () => {
    const view = await trace(GOODS, 'TPE', '1', '--row', 'goods_tag.tag=c', '--row', 'goods_tag.place=2');
    expect(view.row.rows).toBe(0);
    expect(view.records.map(({ rows }) => rows)).toEqual([0, 1, 0]);
    const there = await trace(GOODS, 'TPE', '1', '--row', 'goods_tag.tag=b');
    expect(there.row.rows).toBe(1);
  });

  it('says why a record was refused, by the contract or by the database', async () => {
    const byContract = await trace(GOODS, 'TPE', '3');
    expect(byContract).toMatchObject({
      verdict: 'refused',
      records: [
        {
          ...{ job: first.id, line: 5, fate: 'refused', raw: { topic: `sluice.${GOODS}.raw` } },
          deadLetter: { id: `${first.id}:3`, stage: 'validate', codes: ['BAD_PRICE'], state: 'open' },
        },
      ],
    });
    const orders = ['{"id":"A","slip":"1"}', '{"id":"B","slip":"1"}', '{"id":"C","slip":"2"', ''].join('\n');
    const job = await load(ORDERS, orders, { mode: 'upsert' });
    const byDatabase = await trace(ORDERS, 'A');
    expect(byDatabase).toMatchObject({
      verdict: 'refused',
      records: [{ job: job.id, line: 1, deadLetter: { stage: 'load', codes: ['DUPLICATE'] } }],
    });
    expect(await trace(ORDERS, 'C')).toMatchObject({
      verdict: 'refused',
      records: [{ is: 'mention', deadLetter: { codes: ['MALFORMED_ROW'] } }],
    });
    const { stdout } = await sluice(['trace', ORDERS, 'A']);
    expect(stdout).toContain('The row is not in the table: the record was refused.');
    expect(stdout).toContain(`refused at load, dead letter ${job.id}:0 (open)`);
    expect(stdout).toContain('DUPLICATE');
  });

  it('reports jobs that are under way, cancelled, failed or rehearsals', async () => {
    // More than what a source's head may take.
    const lines = Array.from({ length: 12_000 }, (_, at) => `,HEL,${at},1,1,padding,\n`);
    const source = await startHeldSource(Buffer.from(HEADER + lines.join('')));
    try {
      const client = clientOf(system);
      const { id } = await client.startJob({ dataset: GOODS, source: source.url, mode: 'upsert' });
      await eventually(async () => {
        const { stages } = await client.job(id);
        return stages.some(({ stage, records }) => stage === 'ingest' && records >= 50);
      }, 'the first batch of the job');
      const active = await trace(GOODS, 'HEL', '7');
      expect(active).toMatchObject({ verdict: 'not-visible', row: { isThere: false } });
      expect(told(active)).toEqual([[id, 9, 'job-active']]);
      await client.cancelJob(id);
      expect(told(await trace(GOODS, 'HEL', '7'))).toEqual([[id, 9, 'job-cancelled']]);
    } finally {
      await source.close();
    }
    const rehearsal = await load(GOODS, ',DRY,1,1,1,,\n', { mode: 'upsert', dryRun: true });
    expect(told(await trace(GOODS, 'DRY', '1'))).toEqual([[rehearsal.id, 2, 'dry-run']]);
    const failed = await load(GOODS, ',BAD,1,1,1,,\n,BAD,2,x,1,,\n', { mode: 'upsert', strict: true });
    const view = await trace(GOODS, 'BAD', '1');
    expect(view).toMatchObject({ verdict: 'not-visible', jobs: [{ id: failed.id, state: 'failed' }] });
    expect(told(view)).toEqual([[failed.id, 2, 'job-failed']]);
  });

  it('reports messages by their place, and of deletes without a value', async () => {
    const client = clientOf(system);
    await client.startStream(GOODS, {});
    const topic = `sluice.${GOODS}.inbox`;
    const columns = HEADER.trim();
    const key = '{"site":"MSG","sku":"1"}';
    await publisher.send([
      { topic, partition: 1, key, headers: { columns }, value: Buffer.from(',MSG,1,5,1,,') },
      { topic, partition: 1, key: 'any', headers: { columns }, value: Buffer.from(',MSG,2,no,1,,') },
    ]);
    await eventually(
      async () =>
        (await trace(GOODS, 'MSG', '1')).verdict === 'in-table' &&
        (await trace(GOODS, 'MSG', '2')).records.length === 1,
      'both messages to be taken',
      120_000,
    );
    const refused = await eventually(async () => {
      const view = await trace(GOODS, 'MSG', '2');
      return view.verdict === 'refused' && view;
    }, 'the dead letter');
    expect(refused.records).toMatchObject([
      { message: { topic, partition: 1 }, deadLetter: { codes: ['BAD_PRICE'] } },
    ]);
    await publisher.send([{ topic, partition: 1, key, headers: {}, value: null }]);
    const gone = await eventually(
      async () => {
        const view = await trace(GOODS, 'MSG', '1');
        return view.verdict === 'deleted' && view;
      },
      'the delete',
      120_000,
    );
    expect(gone.records).toMatchObject([
      { is: 'record', fate: 'superseded', message: { topic, partition: 1 }, supersededBy: { why: 'delete' } },
      { is: 'delete', fate: 'deleted', message: { topic, partition: 1 } },
    ]);
    await client.drainStream(GOODS);
    await eventually(async () => (await client.stream(GOODS)).state === 'stopped', 'the stream to end');
  });

  it('says that a later snapshot does not have the key', async () => {
    snapshot = await load(GOODS, ',TPE,1,99,1,,\n,TPE,9,1,1,,\n', { mode: 'replace', allowShrink: true });
    const view = await trace(GOODS, 'TPE', '4');
    expect(view).toMatchObject({
      ...{ verdict: 'replaced', row: { isThere: false } },
      removedBy: { why: 'replaced', job: snapshot.id, record: null },
    });
    expect(view.jobs.map(({ id }) => id)).toContain(snapshot.id);
    expect(told(await trace(GOODS, 'TPE', '1')).at(-1)).toEqual([snapshot.id, 2, 'in-table']);
    const { stdout } = await sluice(['trace', GOODS, 'TPE', '4']);
    expect(stdout).toContain(`the snapshot of job ${snapshot.id} does not have the key`);
  });

  it('finds nothing for keys that nothing has, whatever they hold, and looks at one job or a time alone', async () => {
    for (const sku of [
      '999',
      "1' OR '1'='1",
      '"; DROP TABLE goods; --',
      '1\n2',
      '\u{1b}[2J',
      'é'.repeat(2_000),
    ]) {
      // Each command line takes a second; the tracker is asked as it asks.
      const request = { dataset: GOODS, key: ['TPE', sku] };
      let view: TraceView | null = null;
      for await (const line of clientOf(system).trace(request, AbortSignal.timeout(120_000)))
        if ('trace' in line) view = line.trace;
      expect(view).toMatchObject({ verdict: 'not-found', records: [], row: { isThere: false } });
    }
    expect(await query(system, `SELECT count(*)::int AS n FROM goods`)).toEqual([{ n: 2 }]);
    expect((await trace(GOODS, '--', 'TPE', '-5')).key).toEqual({ site: 'TPE', sku: '-5' });
    const ofFirst = await trace(GOODS, 'TPE', '1', '--job', first.id);
    expect(ofFirst.records.map(({ job }) => job)).toEqual([first.id, first.id]);
    expect(ofFirst.history.isComplete).toBe(false);
    const later = await trace(GOODS, 'TPE', '1', '--from', new Date(Date.now() + 60_000).toISOString());
    expect(later).toMatchObject({ records: [], verdict: 'row-unexplained' });
    const { code, stdout } = await sluice(['trace', GOODS, 'TPE', '--json']);
    expect([code, JSON.parse(stdout)]).toMatchObject([2, { ok: false, error: { code: 'REQUEST_INVALID' } }]);
  });

  it('notices a row that another program has removed', async () => {
    await query(system, `DELETE FROM goods WHERE sku = 9`);
    expect(await trace(GOODS, 'TPE', '9')).toMatchObject({ verdict: 'missing', row: { isThere: false } });
  });

  it('states what retention has deleted, and still knows the dead letters', async () => {
    const kafka = createKafka({
      brokers: system.brokers,
      clientId: 'operator',
      logger: pino({ level: 'silent' }),
    });
    await withAdmin(kafka, async (admin) => {
      const topic = `sluice.${GOODS}.raw`;
      const offsets = await admin.fetchTopicOffsets(topic);
      const partitions = offsets.map(({ partition, high }) => ({ partition, offset: high }));
      await admin.deleteTopicRecords({ topic, partitions });
    });
    const view = await trace(GOODS, 'TPE', '1');
    expect(view).toMatchObject({
      verdict: 'row-unexplained',
      records: [],
      row: { provenance: { job: snapshot.id } },
    });
    expect(view.history).toMatchObject({ isComplete: false, batches: 0 });
    expect(view.history.deleted.jobs).toBeGreaterThanOrEqual(3);
    expect(await trace(GOODS, 'TPE', '3')).toMatchObject({
      verdict: 'refused',
      records: [{ job: first.id, line: 5, raw: null, deadLetter: { codes: ['BAD_PRICE'] } }],
    });
    const { stdout } = await sluice(['trace', GOODS, 'TPE', '1']);
    expect(stdout).toMatch(/are deleted there: what they held is not known/);
  });
});
