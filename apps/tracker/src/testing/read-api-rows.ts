import type { JobCounts } from '#api/job-facts.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import { createPool } from '#common/postgres/pool.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { Job } from '#core/job/job.entity.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { MessageFacts } from '#core/message/message-facts.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { foldsOver } from './folds.js';
import { ParkedMessageRepository } from '../fold/parked-message.repository.js';
import type { ReadApiApp } from './read-api-app.js';

/** Oldest first. */
export const JOBS = [1, 2, 3, 4].map((number) => `01890000-0000-7000-8000-00000000000${number}`) as [
  string,
  string,
  string,
  string,
];

const SECRET = 'https://user:hunter2@example.org/shops.csv?key=hunter2';

export const COUNTS: JobCounts = {
  read: 20,
  accepted: 18,
  refused: 3,
  refusedAtValidate: 2,
  refusedAtLoad: 1,
  skipped: 0,
  loaded: 17,
  inserted: 17,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  superseded: 0,
  warnings: 0,
};

export const PROBLEM = { code: 'BATCHES_MISSING', message: 'no', action: 'look', firstMissingBatch: 3 };

/** Newest first, as they are listed. */
export const PARKED: readonly ParkedMessageView[] = [
  parked('sluice.status', 0, '9007199254740993', 3),
  parked('sluice.shops.raw', 2, '10', 2),
  parked('sluice.shops.raw', 2, '9', 2),
  parked('sluice.shops.raw', 1, '11', 2),
  parked('sluice.shops.dead', 3, '12', 2),
  parked('sluice.shops.raw', 0, '8', 1),
];

export async function fill({ database }: ReadApiApp, databaseUrl: string): Promise<void> {
  await database.query('CREATE TABLE public.shop AS SELECT generate_series(1, 1234) AS no');
  await database.query('CREATE TABLE public."odd ""name" ()');
  await database.getRepository(Job).insert([
    jobRow(JOBS[0], {
      state: 'failed',
      finishedAt: at(3),
      error: { code: 'SOURCE_EMPTY', message: 'no', action: 'look' },
      discarded: { loadedBatches: 1, loadedRecords: 2, pendingBatches: 3, pendingRecords: 4 },
      pauseDetail: {
        code: 'JOB_BREAKER',
        message: 'no',
        action: 'look',
        records: 10,
        refused: 5,
        reasons: [{ code: 'BAD', count: 5 }],
      },
    }),
    jobRow(JOBS[1], {
      state: 'succeeded',
      finishedAt: at(10),
      counts: COUNTS,
      findings: { BAD: 2, DUPLICATE: 1 },
    }),
    jobRow(JOBS[2], {
      state: 'succeeded',
      dataset: 'others',
      finishedAt: at(10),
      counts: COUNTS,
      findings: {},
    }),
    jobRow(JOBS[3], {
      state: 'running',
      leaseUntil: at(0),
      problem: PROBLEM,
      expectedBytes: 1_050,
      head: { columns: ['no', 'name'], context: {}, dataStart: 50, firstLine: 2 },
    }),
  ] as never);
  const pool = createPool({ url: databaseUrl, applicationName: 'read api test', maxConnections: 2 });
  try {
    const folds = foldsOver(pool);
    await folds.foldEvents([
      ...[0, 1, 2].map((batch) => batchEvent(batch, 'ingest', 1 + batch, { accepted: 10 })),
      batchEvent(0, 'validate', 2, { accepted: 8, refused: 2, findings: { BAD: 2 } }),
      batchEvent(1, 'validate', 3, { accepted: 9, refused: 1, findings: { BAD: 1 } }),
    ]);
    await folds.indexDeadLetters([
      letter(JOBS[3], 7, {}),
      letter(JOBS[3], 1, {}),
      letter(JOBS[3], 5, {
        bytes: Buffer.from([0x61, 0x00, 0xff, 0x62]),
        findings: [
          { code: 'ODD', field: null, message: 'is odd', severity: 'warning' },
          { code: 'BAD', field: 'name', message: 'is wrong', severity: 'error' },
        ],
      }),
      letter(JOBS[1], 10, {
        stage: 'load',
        findings: [{ code: 'DUPLICATE', field: 'no', message: 'stands in line 4', severity: 'error' }],
      }),
      letter(JOBS[1], 9, { message: MESSAGE }),
      letter(JOBS[1], 2, { bytes: Buffer.from('統'.repeat(1500)) }),
    ]);
    await new ParkedMessageRepository(pool).keep(
      PARKED.map(({ parkedAt, ...message }) => ({ ...message, at: parkedAt })),
    );
  } finally {
    await pool.end();
  }
}

export function jobRow(id: string, facts: Partial<Job>): Partial<Job> {
  return {
    id,
    dataset: 'shops',
    mode: 'replace',
    source: { kind: 'http', display: 'https://example.org/shops.csv', own: { trustedCaller: false } },
    secretUri: SECRET,
    dryRun: false,
    maxRefusedShare: 0.05,
    maxShrinkShare: 0.2,
    options: {},
    contractVersion: 1,
    epoch: 1,
    announced: true,
    createdAt: at(0),
    startedAt: at(1),
    ...facts,
  };
}

export function batchEvent(
  batch: number,
  stage: BatchEvent['stage'],
  second: number,
  facts: Partial<BatchEvent>,
): BatchEvent {
  return {
    type: 'batch',
    dataset: 'shops',
    job: JOBS[3],
    batch,
    stage,
    records: 10,
    bytes: 100,
    accepted: 0,
    refused: 0,
    skipped: 0,
    warnings: 0,
    findings: {},
    at: at(second).toISOString(),
    ...facts,
  };
}

export const MESSAGE: MessageFacts = {
  topic: 'sluice.shops.inbox',
  partition: 3,
  offset: '1234567890123',
  timestamp: '2026-11-29T18:36:30.000Z',
  key: { text: '統一' },
  headers: [
    { name: 'trace', value: { base64: '/w==' } },
    { name: 'empty', value: null },
  ],
  isCut: true,
  undecodable: { firstOffset: '7', reason: 'its checksum is wrong' },
};

export function letter(job: string, record: number, facts: Partial<DeadLetter>): DeadLetter {
  return {
    dataset: 'shops',
    job,
    batch: 0,
    record,
    line: record + 2,
    byteStart: record * 10,
    byteEnd: record * 10 + 10,
    stage: 'validate',
    findings: [{ code: 'BAD', field: 'name', message: 'is wrong', severity: 'error' }],
    sqlstate: null,
    attempt: 0,
    columns: ['no', 'name'],
    bytes: Buffer.from('x'),
    ...facts,
  };
}

@Table({ name: 'shop', key: ['number'] })
class Shop {
  @Column() number!: string;
}

export function registered() {
  const dataset = {
    name: 'shops',
    title: 'Shops',
    format: 'csv',
    writeModes: ['replace', 'append'],
    options: { checksum: ['reject', 'ignore'] },
    contractVersion: 3,
    contract: Shop,
  } as unknown as Dataset;
  return {
    name: 'shops',
    dataset,
    folder: import.meta.dirname,
    schema: 'public',
    tables: ['shop', 'odd "name', 'not_migrated'],
  };
}

function parked(topic: string, partition: number, offset: string, second: number): ParkedMessageView {
  return {
    ...{ topic, partition, offset, reason: 'it has no value.', parkedAt: at(second).toISOString() },
    ...{ state: 'open', decidedAt: null, note: null },
  };
}

function at(second: number): Date {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, second));
}
