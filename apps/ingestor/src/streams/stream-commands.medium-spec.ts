import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import { THINGS } from '#test/support/ingesting.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { rangeToTake } from '#test/support/stream-jobs.js';
import { StreamCommands } from './stream-commands.js';
import type { StreamPoller } from './stream-poller.js';

const entry = (dataset: Dataset) => ({
  ...{ name: dataset.name, dataset, folder: '', schema: 'public', tables: [] },
});
const STREAMED: Dataset = { ...THINGS, inbox: {}, writeModes: ['replace', 'append', 'upsert'] };

describe('the orders of operators to streams', () => {
  let base: JobDatabase;
  let streams: StreamRepository;
  let commands: StreamCommands;
  const woken: string[] = [];

  beforeAll(async () => {
    base = await startJobDatabase();
    streams = new StreamRepository(base.database);
    const registry = new DatasetRegistry([
      entry(STREAMED),
      entry({ ...THINGS, name: 'without-inbox' }),
      entry({ ...THINGS, name: 'replaced', inbox: {} }),
    ]);
    const poller = { wake: (dataset: string) => woken.push(dataset) } as unknown as StreamPoller;
    commands = new StreamCommands(streams, registry, base.operator, poller);
  });

  afterAll(() => base.stop());

  beforeEach(async () => {
    await base.forgetJobs();
    await base.database.query('TRUNCATE sluice.stream');
    woken.length = 0;
  });

  const sql = (text: string, parameters: unknown[] = []): Promise<unknown> =>
    base.database.query(text, parameters);

  it('are refused for what has no inbox, may only replace, or is not there', async () => {
    await expect(commands.start('without-inbox', {})).rejects.toMatchObject({ code: 'NO_INBOX' });
    await expect(commands.pause('without-inbox')).rejects.toMatchObject({ code: 'NO_INBOX' });
    await expect(commands.start('replaced', {})).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      status: 422,
    });
    await expect(commands.drain('others')).rejects.toMatchObject({ code: 'DATASET_UNKNOWN' });
    await expect(commands.pause('things')).rejects.toMatchObject({ code: 'STREAM_TRANSITION_REFUSED' });
    expect(woken).toEqual([]);
  });

  it('wake the ingestor that takes them', async () => {
    expect(await commands.start('things', { maxMs: 5 })).toEqual({ dataset: 'things', state: 'running' });
    await commands.pause('things');
    await commands.resume('things', {});
    expect(await commands.drain('things')).toEqual({ dataset: 'things', state: 'draining' });
    expect(woken).toEqual(['things', 'things', 'things', 'things']);
  });

  it.each(['INBOX_EXPIRED', 'INBOX_RECREATED'])(
    'continue after %s only when what is lost is skipped',
    async (code) => {
      await streams.start('things', {}, 1);
      const [claim] = await streams.claim('one', { things: 1 });
      await streams.stand(claim!, 'inbox', { code, message: '7 offsets are gone.', action: 'a' });
      const refusal = { code, status: 409, message: '7 offsets are gone.' };
      await expect(commands.resume('things', {})).rejects.toMatchObject(refusal);
      await expect(commands.drain('things')).rejects.toMatchObject(refusal);
      expect(await streams.find('things')).toMatchObject({ state: 'paused', skipLost: false });
      await commands.resume('things', { skipLost: true });
      expect(await streams.find('things')).toMatchObject({ state: 'running', skipLost: true });
    },
  );

  it('continue the paused jobs of a stream and resume the failed ones before it', async () => {
    await streams.start('things', {}, 1);
    const [claim] = await streams.claim('one', { things: 1 });
    const ids: string[] = [];
    for (let at = 0; at < 4; at++) {
      const taken = rangeToTake([{ partition: 0, from: at, to: at + 1 }]);
      ids.push(taken.job.id);
      await streams.take(claim!, 'one', taken);
    }
    const [paused, failed, lost, waiting] = ids;
    await sql(
      `UPDATE sluice.job SET state = 'paused', pause_reason = 'breaker', started_at = now() WHERE id = $1`,
      [paused],
    );
    for (const [id, resumable] of [
      [failed, true],
      [lost, false],
    ])
      await sql(
        `UPDATE sluice.job SET state = 'failed', started_at = now(), finished_at = now(), resumable = $2,
           first_failed_at = now() WHERE id = $1`,
        [id, resumable],
      );
    await streams.stand(claim!, 'job', { code: 'STREAM_JOB_STANDS', message: 'm', action: 'a' });
    await commands.resume('things', {});
    const rows = await base.database.query<{ id: string; state: string }[]>(
      'SELECT id, state FROM sluice.job',
    );
    expect(Object.fromEntries(rows.map(({ id, state }) => [id, state]))).toEqual({
      [paused!]: 'running',
      [failed!]: 'running',
      [lost!]: 'failed',
      [waiting!]: 'queued',
    });
    expect((await streams.find('things'))?.state).toBe('running');
  });
});
