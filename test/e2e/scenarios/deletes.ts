/**
 * A dataset whose files say by a column which rows go: from file to table, against the plain model of a merge.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { query } from '../../support/expect-tables.js';
import { type MergeDelete, MergeOracle, type MergeRecord } from '../../support/merge-oracle.js';
import { counter, lettersOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = 'price-list';
const DATASET_JS = `
  import { ChildTable, Children, Column, FromParent, Table } from '#core/dataset/columns.js';
  import { defineDataset } from '#core/dataset/define-dataset.js';
  import { int32, int64, varchar } from '#core/dataset/kinds.js';
  class Tag {}
  FromParent('article')(Tag.prototype, 'article');
  Column({ source: 'tag', kind: varchar(10) })(Tag.prototype, 'tag');
  ChildTable({ name: 'price_tag', rowWhen: 'tag', distinctBy: 'tag' })(Tag);
  class Price {}
  Column({ kind: int64(), required: { code: 'NO_ARTICLE' } })(Price.prototype, 'article');
  Column({ kind: int64(), required: { code: 'NO_PRICE' } })(Price.prototype, 'price');
  Column({ kind: int32() })(Price.prototype, 'version');
  Children(() => Tag, { slots: [{ tag: 'tag1' }, { tag: 'tag2' }] })(Price.prototype, 'tags');
  Table({ name: 'price', key: ['article'], version: 'version' })(Price);
  export default defineDataset({ title: 'Prices', contract: Price, maxRefusedShare: 1, inbox: { partitions: 1 },
    deletes: { tombstones: true, marker: { source: 'op', values: ['D'] } } });`;
const HEADER = 'op,article,price,version,tag1,tag2\n';

/** One line of a file. */
interface Line {
  readonly op: 'D' | 'U' | '';
  readonly article: number;
  readonly price: number | null;
  readonly version: number | null;
  readonly tags: readonly string[];
}

function textOf({ op, article, price, version, tags: [one = '', two = ''] }: Line): string {
  return `${op},${article},${price ?? ''},${version ?? ''},${one},${two}\n`;
}

function recordOf({ op, article, price, version, tags }: Line): MergeRecord | MergeDelete {
  const key = String(article).padStart(6, '0');
  if (op === 'D') return { key, version, deletes: true };
  return { key, version, row: [price, version], children: [...new Set(tags)].map((tag) => [tag]) };
}

const FILES = { [`${DATASET}/dataset.js`]: DATASET_JS };

export const deletes = scenario('deletes by a marker', FILES, (running) => {
  let system: System;
  const oracle = new MergeOracle();

  beforeAll(() => {
    system = running();
  });

  async function load(text: string, request: Partial<JobRequest> = {}): Promise<JobDetail> {
    const source = join(system.folder, 'prices.csv');
    writeFileSync(source, HEADER + text);
    const job = await runJob(system, { dataset: DATASET, source, ...request });
    expect(job).toMatchObject({ state: 'succeeded', error: null });
    return job;
  }

  async function present(): Promise<unknown[]> {
    const rows = await query<{ key: string; row: unknown; tags: string[] }>(
      system,
      `SELECT lpad(article::text, 6, '0') AS key, json_build_array(price, version) AS row,
         coalesce((SELECT json_agg(tag ORDER BY tag) FROM price_tag AS t WHERE t.article = p.article), '[]') AS tags
       FROM price AS p ORDER BY 1`,
    );
    return rows.map(({ key, row, tags }) => [key, row, tags]);
  }

  const expected = (): unknown[] =>
    oracle
      .records()
      .map(({ key, row, children }) => [key, row, children.map((child) => (child as string[])[0]).sort()]);

  it('take rows and their children away, in any order with others, job after job', async () => {
    const random = new SeededRandom(20261129);
    const line = (): Line => {
      const isDelete = random.chance(0.3);
      return {
        op: isDelete ? 'D' : random.pick(['U', '']),
        article: random.below(400),
        price: isDelete ? null : random.below(1000),
        version: random.chance(isDelete ? 0.5 : 0.1) ? null : random.below(5),
        tags: Array.from({ length: random.below(3) }, () => random.pick(['new', 'sale', 'bio'])),
      };
    };
    for (const records of [600, 400, 400]) {
      const lines = Array.from({ length: records }, line);
      const job = await load(lines.map(textOf).join(''));
      const counts = oracle.upsert(lines.map(recordOf));
      expect(job.counts).toMatchObject({ ...counts, read: records, refused: 0 });
      expect(await present()).toEqual(expected());
    }
    const [strays] = await query<{ n: string }>(
      system,
      'SELECT count(*) AS n FROM price_tag WHERE article NOT IN (SELECT article FROM price)',
    );
    expect(Number(strays?.n)).toBe(0);
    const deleted = await counter(
      system,
      'loader',
      'sluice_merged_records_total',
      `dataset="${DATASET}",outcome="deleted"`,
    );
    expect(deleted).toBeGreaterThan(0);
  });

  it('are foreseen by a dry run, and refused one by one where their key is wrong', async () => {
    const [first] = oracle.records();
    const article = Number(first?.key);
    const text = `D,${article},,,,\nD,,,,,\nD,999999,,,,\nU,5000,1,,,\n`;
    const before = await present();
    const foreseen = await load(text, { dryRun: true });
    const counts = { read: 4, inserted: 1, deleted: 1, superseded: 1, refused: 1 };
    expect(foreseen.counts).toMatchObject(counts);
    expect(await present()).toEqual(before);
    const job = await load(text);
    expect(job.counts).toMatchObject(counts);
    oracle.upsert([
      { key: first?.key ?? '', version: null, deletes: true },
      recordOf({ op: 'U', article: 5000, price: 1, version: null, tags: [] }),
    ]);
    expect(await present()).toEqual(expected());
    expect((await lettersOf(system, job.id)).map(({ findings }) => findings[0]?.code)).toEqual([
      'NO_ARTICLE',
    ]);
  });

  it('are dead letters of jobs whose mode takes none', async () => {
    const text = 'D,5000,,,,\nU,6000,1,,,\n';
    const appended = await load(text, { mode: 'append' });
    expect(appended.counts).toMatchObject({ inserted: 1, deleted: 0, refused: 1, refusedAtValidate: 1 });
    const [letter] = await lettersOf(system, appended.id);
    expect(letter?.findings).toMatchObject([{ code: 'DELETE_REFUSED', field: null, severity: 'error' }]);
    const replaced = await load(text, { mode: 'replace', allowShrink: true });
    expect(replaced.counts).toMatchObject({ loaded: 1, deleted: 0, refused: 1 });
    expect(await present()).toEqual([['006000', [1, null], []]]);
    expect(replaced.categories).toMatchObject({ DELETE_REFUSED: 'structure' });
  });

  it('come from the inbox as well: by the marker, and as messages without a value', async () => {
    const topic = `sluice.${DATASET}.inbox`;
    const publisher = new Publisher(
      createKafka({ brokers: system.brokers, clientId: 'producer', logger: pino({ level: 'silent' }) }),
    );
    // Columns as the contract reads them, and the marker behind them.
    const messages: (readonly [key: string, value: string | null])[] = [
      ['6001', '6001,1,5,new,,'],
      ['6002', '6002,2,5,,,U'],
      ['6003', '6003,3,5,sale,,'],
      ['6000', null],
      ['6001', null],
      ['6001', '6001,4,1,bio,,'],
      ['6002', '6002,,4,,,D'],
      ['6003', '6003,,,,,D'],
      ['no number', null],
    ];
    try {
      await publisher.send(
        messages.map(([key, value]) => ({
          ...{ topic, partition: 0, key, headers: {} },
          value: value === null ? null : Buffer.from(value),
        })),
      );
    } finally {
      await publisher.disconnect();
    }
    const source = `topic://${topic}?0=0-${messages.length}`;
    const job = await runJob(system, { dataset: DATASET, source, mode: 'upsert' });
    expect(job).toMatchObject({
      state: 'succeeded',
      counts: { read: 9, inserted: 2, updated: 0, deleted: 1, superseded: 5, refused: 1 },
    });
    expect(await present()).toEqual([
      ['006001', [4, 1], ['bio']],
      ['006002', [2, 5], []],
    ]);
    const [letter] = await lettersOf(system, job.id);
    expect(letter).toMatchObject({
      findings: [{ code: 'INVALID_VALUE', field: 'article' }],
      message: { topic, partition: 0, offset: '8', key: { text: 'no number' } },
    });
  });
});
