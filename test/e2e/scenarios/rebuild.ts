/**
 * The database is lost, the topics are there: job history, dead letters, decisions and audit come back from sluice.history and the
 * dead topics, and the tables by a replay of the restored jobs.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { JobSummary } from '#api/jobs.js';
import type { ReplayAccepted, ReplayView } from '#api/replays.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { clientOf, lettersOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = 'wares';
const DATASET_JS = `
  import { ChildTable, Children, Column, FromParent, Table } from '#core/dataset/columns.js';
  import { defineDataset } from '#core/dataset/define-dataset.js';
  import { int32, int64, varchar } from '#core/dataset/kinds.js';
  class Tag {}
  FromParent('article')(Tag.prototype, 'article');
  Column({ source: 'tag', kind: varchar(10) })(Tag.prototype, 'tag');
  ChildTable({ name: 'ware_tag', rowWhen: 'tag' })(Tag);
  class Ware {}
  Column({ kind: int64(), required: { code: 'NO_ARTICLE' } })(Ware.prototype, 'article');
  Column({ kind: int64(), required: { code: 'NO_PRICE' }, ifInvalid: { code: 'BAD_PRICE' } })(Ware.prototype, 'price');
  Column({ kind: int32() })(Ware.prototype, 'version');
  Children(() => Tag, { slots: [{ tag: 'tag1' }, { tag: 'tag2' }] })(Ware.prototype, 'tags');
  Table({ name: 'ware', key: ['article'], version: 'version' })(Ware);
  export default defineDataset({ title: 'Wares', contract: Ware, maxRefusedShare: 1, maxShrinkShare: 1,
    writeModes: ['upsert', 'append', 'replace'], deletes: { marker: { source: 'op', values: ['D'] } } });`;
const HEADER = 'op,article,price,version,tag1,tag2\n';

const FILES = { [`${DATASET}/dataset.js`]: DATASET_JS };

/** Of other datasets there are only jobs and dead letters afterwards. */
export const rebuild = scenario('a rebuild from the topics', FILES, (running) => {
  let system: System;

  beforeAll(() => {
    system = running();
  });

  async function load(lines: readonly string[], request: object): Promise<string> {
    const source = join(system.folder, 'wares.csv');
    writeFileSync(source, HEADER + lines.map((line) => `${line}\n`).join(''));
    const { id } = await runJob(system, { dataset: DATASET, source, ...request });
    return id;
  }

  const rows = async (): Promise<unknown[]> => [
    await query(system, 'SELECT * FROM ware ORDER BY article'),
    await query(system, 'SELECT * FROM ware_tag ORDER BY article, tag'),
  ];

  async function history(): Promise<unknown> {
    const jobs: JobSummary[] = [];
    for await (const job of clientOf(system).jobs({ dataset: DATASET })) jobs.push(job);
    const letters = await Promise.all(jobs.map(({ id }) => lettersOf(system, id)));
    const groups = [];
    for await (const group of clientOf(system).deadLetterGroups({ dataset: DATASET })) groups.push(group);
    const actions = await fetch(`${system.trackerUrl}/repair-actions`);
    return {
      jobs: jobs.map((job) => ({ ...job, resumable: false })),
      letters: letters.flat(),
      groups,
      actions: await actions.json(),
    };
  }

  it('brings back job history, dead letters, decisions and audit, and the tables by a replay', async () => {
    const line = (at: number, price: number | string, version = 1): string =>
      `,${at},${price},${version},${at % 3 === 0 ? 'new' : ''},sale`;
    await load(
      Array.from({ length: 200 }, (_, at) => line(at, at % 40 === 0 ? 'x' : at)),
      { mode: 'replace' },
    );
    const second = await load(
      Array.from({ length: 120 }, (_, at) => (at % 10 === 0 ? `D,${at},,,,` : line(at + 100, at, 2))),
      { mode: 'upsert' },
    );
    await load([line(5, 1, 0), line(900, 'no')], { mode: 'upsert' });
    await load([line(901, 1), line(902, 'no')], { mode: 'upsert', strict: true });
    await load([line(903, 1)], { mode: 'upsert', dryRun: true });
    await clientOf(system).discardDeadLetters({ filter: { job: second }, reason: 'none of it' });
    const [first] = await lettersOf(system, (await jobsOldestFirst())[0] ?? '');
    await clientOf(system).discardDeadLetters({ ids: [first?.id ?? ''], reason: 'sent-twice' });
    await eventually(
      async () => (await query(system, 'SELECT FROM sluice.history_outbox')).length === 0,
      'the history to be published',
    );
    const before = { rows: await rows(), history: await history() };

    // The tracker is stopped by its rebuild.
    for (const name of system.services) if (name !== 'tracker') await system.kill(name, 'SIGTERM');
    await query(system, 'DROP SCHEMA sluice, sluice_staging, public CASCADE; CREATE SCHEMA public');
    await system.migrate();
    await system.rebuildTracker();
    for (const name of system.services) if (!system.isRunning(name)) await system.restart(name);
    await eventually(
      async () => JSON.stringify(await history()) === JSON.stringify(before.history),
      'the dead letters to be complete',
    ).catch(() => undefined);
    expect(await history()).toEqual(before.history);

    const response = await fetch(`${system.ingestorUrl}/replays`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${system.token}` },
      body: JSON.stringify({ dataset: DATASET, from: '1970-01-01T00:00:00Z' }),
    });
    const { id, covers } = (await response.json()) as ReplayAccepted;
    expect(covers).toMatchObject({ jobs: 3 });
    const ended = await eventually(
      async () => {
        const view = (await (await fetch(`${system.ingestorUrl}/replays/${id ?? ''}`)).json()) as ReplayView;
        return view.state !== 'running' && view;
      },
      'the replay to end',
      240_000,
    );
    expect(ended.state).toBe('succeeded');
    expect(await rows()).toEqual(before.rows);
  });

  async function jobsOldestFirst(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of clientOf(system).jobs({ dataset: DATASET })) ids.unshift(id);
    return ids;
  }
});
