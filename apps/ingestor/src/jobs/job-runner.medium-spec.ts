import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import { Column, Provenance, Table } from '#core/dataset/columns.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { eventually } from '#test/support/eventually.js';
import { metricValues } from '#test/support/metric-values.js';
import { Ingesting, THINGS, type TestIngestor, thingsOf } from '#test/support/ingesting.js';
import { SourceOpener } from '../sources/source-opener.js';
import { type SourceServer, serve, startSourceServer } from '#test/support/source-server.js';

@Table({ name: 'thing', key: ['number'] })
class TracedThing {
  @Column() number!: string;
  @Provenance('source') source!: string;
  @Provenance('job') job!: string;
  @Provenance('startedAt', { target: 'at' }) startedAt!: string;
}

/** JR1 to JR4 are the invariants of job-runner.ts; 20 records are 10 batches. */
const NUMBERS = Array.from({ length: 20 }, (_, number) => 100 + number);
const CONTENT = thingsOf(NUMBERS);
const BATCHES = Array.from({ length: 10 }, (_, batch) => batch);
/** The same of 100 KB: more than is read before the dataset is asked what the source is. */
const LONG_CONTENT = Buffer.from(
  ['number today', ...NUMBERS.map((number) => String(number).padStart(5000, '0')), ''].join('\n'),
);
const valueOf = (content: Buffer, batch: number): string =>
  `${content
    .toString()
    .split('\n')
    .slice(1 + 2 * batch, 3 + 2 * batch)
    .join('\n')}\n`;

describe('a resumed job', () => {
  let ingesting: Ingesting;
  const servers: SourceServer[] = [];

  beforeAll(async () => {
    ingesting = await Ingesting.start();
  });

  afterAll(async () => {
    await ingesting.stop();
    for (const server of servers) await server.close();
  });

  /** Runs a job until batch 4 is under way, and releases it. @returns its id; the checkpoint is behind batch 3 */
  async function interruptedJob(source: string, ingestor = ingesting.ingestor()): Promise<string> {
    const id = await ingesting.queue(source);
    ingestor.broker.heldFrom = 4;
    const run = ingestor.run();
    await eventually(() => ingestor.broker.sent.includes(4), 'batch 4 to be sent');
    ingestor.drain.abort(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    ingestor.broker.lose();
    await run;
    expect((await ingesting.load(id)).checkpoint).toMatchObject({ nextBatch: 4, nextRecord: 8 });
    return id;
  }

  async function goOn(
    id: string,
    ingestor: TestIngestor = ingesting.ingestor(),
    content = CONTENT,
  ): Promise<number[]> {
    await ingestor.run();
    expect(await ingesting.load(id)).toMatchObject({
      state: 'running',
      error: null,
      owner: null,
      leaseUntil: null,
      totalBatches: 10,
      totalRecords: 20,
      totalBytes: content.length,
      republishFrom: null,
      checkpoint: { nextBatch: 10 },
    });
    for (const [batch, value] of ingestor.broker.values) expect(value).toBe(valueOf(content, batch));
    return ingestor.broker.sent;
  }

  it('is released with what was acknowledged, and resumes there (JR3)', async () => {
    const id = await interruptedJob(ingesting.file('back', CONTENT));
    expect(await ingesting.load(id)).toMatchObject({ state: 'running', owner: null });
    expect(await goOn(id)).toEqual(BATCHES.slice(4));
  });

  it('shows what is under way, and counts a lease that another ingestor took, and none that an operator ended', async () => {
    const one = ingesting.ingestor();
    const shown = (name: string): Promise<unknown> => metricValues(one.metrics, name);
    one.broker.heldFrom = 2;
    const id = await ingesting.queue(ingesting.file('counted', CONTENT));
    const run = one.run();
    await eventually(() => one.broker.sent.includes(3), 'batch 3 to be sent');
    expect(await shown('sluice_ingesting_jobs')).toEqual({ '': 1 });
    expect((await metricValues(one.metrics, 'sluice_in_flight_batches'))['']).toBeGreaterThanOrEqual(2);
    expect((await metricValues(one.metrics, 'sluice_in_flight_bytes'))['']).toBeGreaterThanOrEqual(16);
    expect(await shown('sluice_published_batches_total')).toEqual({ things: 2 });
    await ingesting.database.query(`UPDATE sluice.job SET epoch = epoch + 1, owner = 'two' WHERE id = $1`, [
      id,
    ]);
    await one.runner.recheck(id);
    expect(await shown('sluice_lost_leases_total')).toEqual({ job: 1, stream: 0 });
    one.broker.acknowledge();
    await run;
    expect(await shown('sluice_ingesting_jobs')).toEqual({ '': 0 });
    expect(await shown('sluice_in_flight_batches')).toEqual({ '': 0 });
    expect(await shown('sluice_in_flight_bytes')).toEqual({ '': 0 });

    one.broker.heldFrom = 2;
    const cancelled = await ingesting.queue(ingesting.file('cancelled', CONTENT));
    const second = one.run();
    await eventually(() => one.broker.sent.filter((batch) => batch === 3).length === 2, 'batch 3 again');
    await one.commands.cancel(cancelled);
    one.broker.acknowledge();
    await second;
    expect(await shown('sluice_lost_leases_total')).toEqual({ job: 1, stream: 0 });
  });

  it('gives the kind of its source its own parts of the row again, those of an older build too', async () => {
    const opened = jest.spyOn(SourceOpener.prototype, 'open');
    const id = await interruptedJob(ingesting.file('own', CONTENT));
    expect(opened).toHaveBeenLastCalledWith(
      expect.objectContaining({ own: { trustedCaller: true }, began: null }),
      expect.anything(),
    );
    await ingesting.database.query(
      `UPDATE sluice.job SET source = (source - 'own') || '{"trustedCaller": true}',
         source_identity = source_identity || '{"own": {"version": [7]}}' WHERE id = $1`,
      [id],
    );
    expect(await goOn(id)).toEqual(BATCHES.slice(4));
    expect(opened).toHaveBeenLastCalledWith(
      expect.objectContaining({ own: { trustedCaller: true }, began: { version: [7] } }),
      expect.anything(),
    );
    opened.mockRestore();
  });

  it('uses the partitions that there are now when the topic was created again with fewer', async () => {
    const id = await interruptedJob(ingesting.file('fewer', CONTENT));
    await ingesting.database.query(
      `UPDATE sluice.job SET cutting = jsonb_set(cutting, '{partitions}', '9') WHERE id = $1`,
      [id],
    );
    const ingestor = ingesting.ingestor();
    expect(await goOn(id, ingestor)).toEqual(BATCHES.slice(4));
    expect(ingestor.broker.partitions).toEqual(new Set([0, 1, 2]));
  });

  it('is released though the brokers are silent', async () => {
    const id = await ingesting.queue(ingesting.file('silent', CONTENT));
    const ingestor = ingesting.ingestor();
    ingestor.broker.heldFrom = 0;
    const run = ingestor.run();
    await eventually(() => ingestor.broker.sent.length === 4, 'four batches to be under way');
    ingestor.drain.abort(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    await run;
    expect(await goOn(id)).toEqual(BATCHES);
  });

  it('is paused when it was begun under another version, and begins again under this one when it is continued', async () => {
    const id = await interruptedJob(ingesting.file('older', CONTENT));
    await ingesting.database.query('UPDATE sluice.job SET contract_version = 99 WHERE id = $1', [id]);
    const ingestor = ingesting.ingestor();
    await ingestor.run();
    expect(ingestor.broker.sent).toEqual([]);
    expect(await ingesting.load(id)).toMatchObject({
      ...{ state: 'paused', pauseReason: 'contract', owner: null },
      pauseDetail: { code: 'CONTRACT_MISMATCH', message: expect.stringContaining('version 99') },
    });
    await new OperatorRepository(ingesting.database, () => 1).continue(id);
    expect(await goOn(id)).toEqual(BATCHES);
    expect(await ingesting.load(id)).toMatchObject({ contractVersion: 1 });
  });

  it('seals its messages if it began so, and is not continued by an ingestor that cannot', async () => {
    const key = 'a secret of this deployment';
    const id = await ingesting.queue(ingesting.file('sealed', CONTENT));
    const ingestor = ingesting.ingestor('one', 30, { messageKey: key });
    ingestor.broker.heldFrom = 4;
    const run = ingestor.run();
    await eventually(() => ingestor.broker.sent.includes(4), 'batch 4 to be sent');
    ingestor.drain.abort(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    ingestor.broker.lose();
    await run;
    expect(await ingesting.load(id)).toMatchObject({ state: 'running', signed: true });
    expect(ingestor.broker.seals).toEqual(new Set([true]));
    const other = ingesting.ingestor();
    await other.run();
    expect(other.broker.sent).toEqual([]);
    expect(await ingesting.load(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SETTING_INVALID', message: expect.stringContaining('SLUICE_MESSAGE_KEY') },
    });
    await ingesting.operator.resume(id);
    expect(await goOn(id, ingesting.ingestor('one', 30, { messageKey: key }))).toEqual(BATCHES.slice(4));
  });

  it('has the same end as a job that was never interrupted', async () => {
    const whole = await ingesting.queue(ingesting.file('whole', CONTENT));
    expect(await goOn(whole)).toEqual(BATCHES);
    const { checkpoint } = await ingesting.load(whole);
    const interrupted = await interruptedJob(ingesting.file('interrupted', CONTENT));
    await goOn(interrupted);
    expect((await ingesting.load(interrupted)).checkpoint).toEqual(checkpoint);
  });

  it('reads the rest only where a validator promises the same bytes, else everything (JR2)', async () => {
    for (const [etag, readsOn] of [
      ['"v1"', true],
      ['W/"v1"', false],
    ] as const) {
      const server = await startSourceServer((request, response) => {
        serve(request, response, { content: LONG_CONTENT, headers: { etag }, rangeValidator: etag });
      });
      servers.push(server);
      const id = await interruptedJob(server.url());
      const rest = `bytes=${(await ingesting.load(id)).checkpoint?.byteOffset ?? 0}-`;
      expect(await goOn(id, ingesting.ingestor(), LONG_CONTENT)).toEqual(BATCHES.slice(4));
      const ranges = server.requests.map(({ headers }) => headers.range);
      expect(ranges).toStrictEqual(readsOn ? [undefined, undefined, rest] : [undefined, undefined]);
    }
  });

  it.each([
    ['a short source', CONTENT],
    ['a long source', LONG_CONTENT],
  ])('is resumed in %s of another encoding, which is read from its start (JR2)', async (_what, content) => {
    const encoded = Buffer.from(`\ufeff${content.toString()}`, 'utf16le');
    const server = await startSourceServer((request, response) => {
      serve(request, response, { content: encoded, headers: { etag: '"v1"' }, rangeValidator: '"v1"' });
    });
    servers.push(server);
    const ingestor = (): TestIngestor =>
      ingesting.ingestor('one', 30, {}, { ...THINGS, encoding: 'utf-16le' });
    const id = await interruptedJob(server.url(), ingestor());
    expect(await goOn(id, ingestor(), content)).toEqual(BATCHES.slice(4));
    expect(server.requests.map(({ headers }) => headers.range)).toStrictEqual([undefined, undefined]);
  });

  it('fails for a source of another encoding with another byte in what was read (JR2)', async () => {
    const encoded = (content: Buffer): Buffer => Buffer.from(content.toString(), 'utf16le');
    let served = encoded(CONTENT);
    const server = await startSourceServer((request, response) => {
      serve(request, response, { content: served, chunked: true });
    });
    servers.push(server);
    const ingestor = (): TestIngestor =>
      ingesting.ingestor('one', 30, {}, { ...THINGS, encoding: 'utf-16le' });
    const id = await interruptedJob(server.url(), ingestor());
    served = encoded(thingsOf([999, ...NUMBERS.slice(1)]));
    await ingestor().run();
    expect(await ingesting.load(id)).toMatchObject({ state: 'failed', error: { code: 'SOURCE_CHANGED' } });
  });

  it('gives its batches the same facts of the job in every run, an address that is too long without its middle', async () => {
    await ingesting.database.query(
      'ALTER TABLE public.thing ADD source text, ADD job uuid, ADD at timestamptz',
    );
    const server = await startSourceServer((request, response) => {
      serve(request, response, { content: CONTENT });
    });
    servers.push(server);
    const ingestor = (): TestIngestor =>
      ingesting.ingestor('one', 30, {}, { ...THINGS, contract: TracedThing });
    const first = ingestor();
    const id = await interruptedJob(`${server.url()}${'long/'.repeat(1_000)}things.csv`, first);
    const second = ingestor();
    expect(await goOn(id, second)).toEqual(BATCHES.slice(4));
    const { startedAt } = await ingesting.load(id);
    const [context = '', ...others] = new Set([...first.broker.contexts, ...second.broker.contexts]);
    expect(others).toEqual([]);
    expect(Buffer.byteLength(context)).toBeLessThan(1024);
    expect(JSON.parse(context)).toEqual({
      date: 'today',
      'sluice:job': id,
      'sluice:startedAt': startedAt?.toISOString(),
      'sluice:source': expect.stringMatching(/^http:.*long\/.*….*things\.csv$/),
    });
    await ingesting.database.query('ALTER TABLE public.thing DROP source, DROP job, DROP at');
  });

  it('is cut by the dialect of its dataset', async () => {
    const csv = { quote: null, skipLinesStartingWith: ['#'] };
    const content = Buffer.from('number today\n"1\n2\n#"3\n4\n');
    const id = await ingesting.queue(ingesting.file('dialect', content));
    const ingestor = ingesting.ingestor('one', 30, {}, { ...THINGS, csv });
    await ingestor.run();
    expect(await ingesting.load(id)).toMatchObject({ totalBatches: 2, totalRecords: 4 });
    expect([...ingestor.broker.values.values()]).toEqual(['"1\n2\n', '#"3\n4\n']);
  });

  it('counts its limit from the first record of the source', async () => {
    const id = await interruptedJob(ingesting.file('limit', CONTENT));
    await ingesting.database.query('UPDATE sluice.job SET limit_records = 11 WHERE id = $1', [id]);
    const ingestor = ingesting.ingestor();
    await ingestor.run();
    expect(await ingesting.load(id)).toMatchObject({ totalBatches: 6, totalRecords: 11 });
    expect(ingestor.broker.sent).toEqual([4, 5]);
  });

  it.each([
    ['another size', thingsOf([...NUMBERS, 1]), /size in bytes went from \d+ to \d+/],
    ['another date in its head', thingsOf(NUMBERS, 'later'), /date went from today to later/],
    ['another byte in what was read', thingsOf([999, ...NUMBERS.slice(1)]), /first \d+ bytes differ/],
    ['no head any more', Buffer.from(`<html>\n${'1\n'.repeat(40)}`), /is no head of things/],
  ])('fails for a source with %s, and publishes nothing of it (JR2)', async (_what, content, message) => {
    const etag = 'W/"v1"';
    let served = CONTENT;
    const server = await startSourceServer((request, response) => {
      serve(request, response, {
        content: served,
        headers: { etag },
        chunked: message.source.includes('head'),
      });
    });
    servers.push(server);
    const id = await interruptedJob(server.url());
    const { checkpoint } = await ingesting.load(id);
    served = content;
    const ingestor = ingesting.ingestor();
    await ingestor.run();
    expect(await ingesting.load(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SOURCE_CHANGED', message: expect.stringMatching(message) },
      checkpoint,
    });
    expect(ingestor.broker.sent).toEqual([]);

    // The old source is back: nothing was lost by asking with the wrong one.
    served = CONTENT;
    await ingesting.operator.resume(id);
    expect(await goOn(id)).toEqual(BATCHES.slice(4));
  });

  it.each([
    ['ETag', { etag: '"v1"' }, { etag: '"v2"' }],
    [
      'Last-Modified',
      { 'last-modified': 'Mon, 05 Oct 2020 08:00:00 GMT' },
      { 'last-modified': 'Mon, 05 Oct 2020 09:00:00 GMT' },
    ],
  ])('fails for a source with another %s (JR2)', async (what, before, after) => {
    let headers: Record<string, string> = before;
    const server = await startSourceServer((request, response) => {
      serve(request, response, { content: CONTENT, headers });
    });
    servers.push(server);
    const id = await interruptedJob(server.url());
    headers = after;
    await ingesting.ingestor().run();
    expect(await ingesting.load(id)).toMatchObject({
      error: { code: 'SOURCE_CHANGED', message: expect.stringContaining(`its ${what} went from`) },
    });
  });

  it('fails for a file that was written to, were it with the same bytes (JR2)', async () => {
    const path = ingesting.file('touched', CONTENT);
    const { mtimeMs } = statSync(path);
    const id = await interruptedJob(path);
    utimesSync(path, 0, mtimeMs / 1000 + 0.000_5);
    await ingesting.ingestor().run();
    expect(await ingesting.load(id)).toMatchObject({ error: { code: 'SOURCE_CHANGED' } });
  });

  it('resumes where it was when its source failed for good (JR3)', async () => {
    let cutAt: number | undefined = 90_000;
    const server = await startSourceServer((request, response) => {
      serve(request, response, { content: LONG_CONTENT, ...(cutAt === undefined ? {} : { cutAt }) });
    });
    servers.push(server);
    const id = await ingesting.queue(server.url());
    await ingesting.ingestor().run();
    const failed = await ingesting.load(id);
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'SOURCE_TRUNCATED' } });
    cutAt = undefined;
    await ingesting.operator.resume(id);
    const next = failed.checkpoint?.nextBatch ?? 0;
    expect(next).toBeGreaterThan(0);
    expect(await goOn(id, ingesting.ingestor(), LONG_CONTENT)).toEqual(BATCHES.slice(next));
  });

  async function withMissingBatch(path: string, firstMissingBatch: number): Promise<string> {
    const id = await ingesting.queue(path);
    await goOn(id);
    const problem = { code: 'BATCHES_MISSING', message: '', action: '', firstMissingBatch };
    await ingesting.database.query('UPDATE sluice.job SET problem = $2 WHERE id = $1', [id, problem]);
    await ingesting.operator.resume(id);
    return id;
  }

  it('publishes again from the first missing batch on, and has the same totals', async () => {
    const id = await withMissingBatch(ingesting.file('missing', CONTENT), 7);
    expect(await goOn(id)).toEqual([7, 8, 9]);
  });

  it('gives a job up whose missing batches came from another source', async () => {
    const path = ingesting.file('replaced', CONTENT);
    const id = await withMissingBatch(path, 7);
    // As of a source that says nothing about its versions.
    await ingesting.database.query('UPDATE sluice.job SET source_identity = NULL WHERE id = $1', [id]);
    writeFileSync(path, thingsOf([999, ...NUMBERS.slice(1)]));
    await ingesting.ingestor().run();
    expect(await ingesting.load(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SOURCE_CHANGED' },
      resumable: false,
    });
  });
});
