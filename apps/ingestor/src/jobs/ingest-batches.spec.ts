import { describe, expect, it } from '@jest/globals';
import type { Dataset } from '#core/dataset/dataset.js';
import type { ChosenOfBatch } from '#core/job/chosen-records.js';
import type { OpenedRaw } from '#core/raw-log/raw-log-message.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import type { BatchSource } from '../sources/batch-source.js';
import { type OpenedBatches, openBatches } from './ingest-batches.js';

const JOB = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
const DATASET = { name: 'things', format: 'csv', contractVersion: 2 } as unknown as Dataset;

/** Batches of two records of two bytes, behind a head of five bytes and one line. */
function rawOf(number: number, facts: Partial<OpenedRaw> = {}): OpenedRaw {
  const batch: RawBatch = {
    ...{ batch: number, firstRecord: number * 2, firstLine: number * 2 + 2, records: 2, lines: 2 },
    ...{ byteStart: 5 + number * 4, byteEnd: 9 + number * 4, bytes: Buffer.from('a\nb\n'), unreadable: [] },
  };
  return {
    ...{ dataset: 'things', job: JOB, epoch: 1, batch, crc32c: 0, format: 'csv', columns: ['a'] },
    ...{ context: { day: '1', 'sluice:source': '/a.csv', 'sluice:job': JOB }, contractVersion: 1 },
    ...{ options: {}, attempt: 0, isSealed: true },
    place: { topic: 'sluice.things.raw', partition: 0, offset: String(number) },
    ...facts,
  };
}

function sourceOf(...raws: OpenedRaw[]): BatchSource {
  return {
    identity: { bytes: null, etag: null, lastModified: null, own: {} },
    // eslint-disable-next-line @typescript-eslint/require-await -- as sources are
    batches: (async function* () {
      yield* raws;
    })(),
    close: () => Promise.resolve(),
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- as pages of a table are
async function* chosenOf(...all: ChosenOfBatch[]): AsyncGenerator<ChosenOfBatch> {
  yield* all;
}

async function opened(
  source: BatchSource,
  chosen: AsyncGenerator<ChosenOfBatch> | null = null,
): Promise<OpenedBatches> {
  const found = await openBatches(DATASET, source, chosen);
  if (found === null) throw new Error('no batches');
  return found;
}

async function batchesOf({ batches }: OpenedBatches): Promise<RawBatch[]> {
  const all: RawBatch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

const placesOf = (batches: readonly RawBatch[]): unknown[] =>
  batches.map(({ batch, firstRecord, byteStart, byteEnd, firstLine }) => [
    ...[batch, firstRecord, byteStart, byteEnd, firstLine],
  ]);

describe('a job of earlier batches', () => {
  it('begins where the earlier one began, and keeps its numbers', async () => {
    const found = await opened(sourceOf(rawOf(0), rawOf(1)));
    expect(found.head).toEqual({
      prologue: { columns: ['a'], context: { day: '1' }, dataStart: 5, firstLine: 2, findings: [] },
      ...{ lineEnd: 'lf', bytes: 5, lines: 1 },
    });
    expect(found.provenance).toEqual({ 'sluice:source': '/a.csv' });
    expect(placesOf(await batchesOf(found))).toEqual([
      [0, 0, 5, 9, 2],
      [1, 2, 9, 13, 4],
    ]);
    expect(found.bytesRead()).toBe(13);
  });

  it('begins at 0 when the first batch is gone, and keeps the lines', async () => {
    const found = await opened(sourceOf(rawOf(2), rawOf(4)));
    expect(found.head).toMatchObject({ prologue: { dataStart: 0, firstLine: 1 }, bytes: 0, lines: 0 });
    expect(placesOf(await batchesOf(found))).toEqual([
      [0, 0, 0, 4, 6],
      [1, 2, 4, 8, 10],
    ]);
    expect(found.bytesRead()).toBe(8);
  });

  it('takes chosen records, of batches that are there', async () => {
    const chosen = chosenOf(
      { batch: 0, records: [1] },
      { batch: 1, records: [2] },
      { batch: 3, records: [6, 7] },
      { batch: 9, records: [18] },
    );
    const found = await opened(sourceOf(rawOf(0), rawOf(2), rawOf(3), rawOf(4)), chosen);
    const batches = await batchesOf(found);
    expect(batches.map(({ bytes }) => bytes.toString())).toEqual(['b\n', 'a\nb\n']);
    expect(placesOf(batches)).toEqual([
      [0, 0, 0, 2, 1],
      [1, 1, 2, 6, 2],
    ]);
    expect(found.bytesRead()).toBe(6);
  });

  it('has no provenance where the earlier one stated none', async () => {
    const found = await opened(sourceOf(rawOf(0, { context: {} })));
    expect(found.provenance).toEqual({});
  });

  it('says when there is nothing, and refuses batches of another dataset', async () => {
    expect(await openBatches(DATASET, sourceOf(), null)).toBeNull();
    await expect(batchesOf(await opened(sourceOf(rawOf(0, { dataset: 'others' }))))).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
    });
  });
});
