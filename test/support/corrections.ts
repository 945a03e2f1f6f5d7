import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import type pg from 'pg';
import type { DeadLettersEdited } from '#api/dead-letter-edits.js';
import type { DeadLetterView, RepairActionView } from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import { createPool } from '#common/postgres/pool.js';
import { Column, Table } from '#core/dataset/columns.js';
import { defineDataset } from '#core/dataset/define-dataset.js';
import { int64 } from '#core/dataset/kinds.js';
import { Digits, MaxCharacters, Required } from '#core/dataset/rules.js';
import { Job } from '#core/job/job.entity.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import { type TestDatabase, startMigratedDatabase } from './postgres.js';
import type { FoldRepository } from '../../apps/tracker/src/fold/fold.repository.js';
import { foldsOver } from '../../apps/tracker/src/testing/folds.js';
import { type ReadApiApp, startReadApi } from '../../apps/tracker/src/testing/read-api-app.js';
import { JOBS, jobRow, letter } from '../../apps/tracker/src/testing/read-api-rows.js';

@Table({ name: 'shop', key: ['no'] })
class Shop {
  @Column({ source: 'no' })
  @Required({ code: 'BAD_NO' })
  @Digits(3, { code: 'BAD_NO' })
  no!: string;

  @Column({ source: 'name' })
  @MaxCharacters(20)
  name!: string | null;

  @Column({ source: 'sum', kind: int64(), ifInvalid: { code: 'BAD_SUM' } })
  sum!: string | null;
}

const registered = (name: string, format: 'csv' | 'ndjson'): RegisteredDataset => ({
  ...{ name, folder: import.meta.dirname, schema: 'public', tables: ['shop'] },
  dataset: { ...defineDataset({ title: name, contract: Shop, format, contractVersion: 2 }), name },
});
export const COLUMNS = ['no', 'name', 'sum'];
const ENDED = { state: 'succeeded' as const, finishedAt: new Date(0) };
export const JOB = JOBS[1];

/** What a spec of corrections uses: a tracker's API with two datasets, jobs of them, and its database; emptied before each test. */
export interface Corrections {
  readonly pool: pg.Pool;
  readonly folds: FoldRepository;
  readonly api: ReadApiApp;
  /** A dead letter of the first job. */
  refused(record: number, bytes: string | Buffer, facts?: Partial<DeadLetter>): DeadLetter;
  send(path: string, body: unknown): Promise<{ status: number; answer: unknown }>;
  /** As `send`, of what succeeds. */
  post<T = DeadLettersEdited>(path: string, body: unknown): Promise<T>;
  one(record: number, job?: string): Promise<DeadLetterView>;
  /** What is stored: record and bytes. */
  edits(): Promise<string[]>;
  actions(): Promise<readonly RepairActionView[]>;
  exported(query: string): Promise<string>;
  codes(answer: DeadLettersEdited): string[];
}

/** Registers its own start, reset and end in the `describe` that calls it. */
export function correctionsOfShops(): Corrections {
  let server: TestDatabase;
  let pool: pg.Pool;
  let folds: FoldRepository;
  let api: ReadApiApp;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'edits test', maxConnections: 4 });
    folds = foldsOver(pool);
    api = await startReadApi({
      databaseUrl: server.url,
      datasets: [registered('shops', 'csv'), registered('orders', 'ndjson')],
    });
  });
  afterAll(async () => {
    await api.stop();
    await pool.end();
    await server.stop();
  });
  beforeEach(async () => {
    await pool.query(`TRUNCATE sluice.job, sluice.dead_letter, sluice.dead_letter_group, sluice.letter_columns,
      sluice.job_batch, sluice.job_stage, sluice.repair_action, sluice.dead_letter_edit CASCADE`);
    const head = { columns: COLUMNS, context: {}, dataStart: 0, firstLine: 1 };
    const jobs = [
      jobRow(JOBS[1], { ...ENDED, dataset: 'shops', head, contractVersion: 1 }),
      jobRow(JOBS[2], { ...ENDED, dataset: 'shops', head, contractVersion: 3 }),
      jobRow(JOBS[3], { ...ENDED, dataset: 'orders', head: { ...head, columns: [] }, contractVersion: 2 }),
    ];
    await api.database.getRepository(Job).insert(jobs as never[]);
  });

  const refused = (record: number, bytes: string | Buffer, facts: Partial<DeadLetter> = {}): DeadLetter => {
    const kept = Buffer.from(bytes);
    return letter(JOB, record, {
      ...{ dataset: 'shops', bytes: kept, byteStart: 0, byteEnd: kept.length, columns: COLUMNS, attempt: 0 },
      findings: [{ code: 'BAD_NO', field: 'no', message: 'no must have 3 digits', severity: 'error' }],
      ...facts,
    });
  };
  const send = async (path: string, body: unknown): Promise<{ status: number; answer: unknown }> => {
    const response = await fetch(`${api.url}/dead-letters/${path}`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify(body),
    });
    return { status: response.status, answer: await response.json() };
  };
  const post = async <T = DeadLettersEdited>(path: string, body: unknown): Promise<T> => {
    const { status, answer } = await send(path, body);
    expect([status, answer]).toEqual([200, expect.anything()]);
    return answer as T;
  };
  const one = async (record: number, job = JOB): Promise<DeadLetterView> =>
    (await (await fetch(`${api.url}/dead-letters/${job}/${record}`)).json()) as DeadLetterView;
  const edits = async (): Promise<string[]> =>
    (
      await pool.query<{ text: string }>(
        `SELECT record || ' ' || convert_from(bytes, 'UTF8') AS text FROM sluice.dead_letter_edit ORDER BY job, record`,
      )
    ).rows.map(({ text }) => text);
  const actions = async (): Promise<readonly RepairActionView[]> =>
    ((await (await fetch(`${api.url}/repair-actions`)).json()) as Page<RepairActionView>).items;
  const exported = async (query: string): Promise<string> => {
    const response = await fetch(`${api.url}/dead-letters/export?${query}`);
    expect(response.status).toBe(200);
    // `text()` would take the byte order mark away.
    return Buffer.from(await response.arrayBuffer()).toString();
  };
  const codes = ({ problems }: DeadLettersEdited): string[] =>
    problems.map(({ code, ids }) => `${code} ${ids.map((id) => id.split(':')[1]).join(',')}`).sort();

  return {
    get pool() {
      return pool;
    },
    get folds() {
      return folds;
    },
    get api() {
      return api;
    },
    ...{ refused, send, post, one, edits, actions, exported, codes },
  };
}
