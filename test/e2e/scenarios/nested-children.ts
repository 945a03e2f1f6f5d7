/**
 * A dataset that no stage knows, outside of the checkout: arrays inside arrays, tables in a schema of their own, and
 * names as long as PostgreSQL and Sluice allow.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import { query } from '../../support/expect-tables.js';
import { lettersOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = `orders-${'n'.repeat(33)}`;
const SCHEMA = 'Kunden Ä';
const ORDERS = 'o'.repeat(63);
const TAXES = `${'稅'.repeat(20)}tax`;
const AMOUNT = `${'a'.repeat(62)}1`;
const RATE = `${'a'.repeat(62)}2`;

const FILES: Readonly<Record<string, string>> = {
  [`${DATASET}/README.md`]: '# orders\n',
  [`${DATASET}/migrations/001-tables.sql`]: `
    CREATE SCHEMA "${SCHEMA}";
    CREATE TABLE "${SCHEMA}"."${ORDERS}" (no text PRIMARY KEY, "${AMOUNT}" numeric);
    CREATE TABLE "${SCHEMA}".item (
      order_no text NOT NULL REFERENCES "${SCHEMA}"."${ORDERS}", id text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE "${SCHEMA}"."${TAXES}" (
      item_id text NOT NULL REFERENCES "${SCHEMA}".item, number int NOT NULL, "${RATE}" numeric(5,2) NOT NULL,
      PRIMARY KEY (item_id, number));`,
  [`${DATASET}/contract.js`]: `
    import { ChildTable, Children, Column, FromParent, SlotNumber, Table } from '#core/dataset/columns.js';
    import { numeric } from '#core/dataset/kinds.js';
    import { Required } from '#core/dataset/rules.js';
    const kind = numeric({ precision: 5, scale: 2 });
    class Tax {}
    FromParent('id', { target: 'item_id' })(Tax.prototype, 'item');
    SlotNumber()(Tax.prototype, 'number');
    Column({ source: 'rate', target: '${RATE}', kind, ifInvalid: { code: 'BAD_RATE' } })(Tax.prototype, 'rate');
    Required({ code: 'NO_RATE' })(Tax.prototype, 'rate');
    ChildTable({ name: '${TAXES}' })(Tax);
    class Item {}
    FromParent('no', { target: 'order_no' })(Item.prototype, 'order');
    Column({ source: 'id' })(Item.prototype, 'id');
    Column({ source: 'name', ifNull: '' })(Item.prototype, 'name');
    Children(() => Tax, { path: 'taxes' })(Item.prototype, 'taxes');
    ChildTable({ name: 'item', rowWhen: 'id', distinctBy: 'id' })(Item);
    export class Order {}
    Column({ source: 'no' })(Order.prototype, 'no');
    Required({ code: 'NO_NUMBER' })(Order.prototype, 'no');
    Column({ source: 'amount', target: '${AMOUNT}', kind })(Order.prototype, 'amount');
    Children(() => Item, { path: 'items' })(Order.prototype, 'items');
    Table({ name: '${ORDERS}', schema: '${SCHEMA}', key: ['no'] })(Order);`,
  [`${DATASET}/prologue.js`]: `
    export const readPrologue = () => ({ columns: [], context: {}, dataStart: 0, firstLine: 1, findings: [] });`,
  [`${DATASET}/dataset.js`]: `
    import { Order } from './contract.js';
    import { readPrologue } from './prologue.js';
    export default { name: '${DATASET}', title: 'Orders', contractVersion: 1, format: 'ndjson', contract: Order,
      writeModes: ['upsert', 'append', 'replace'], keepOfDuplicates: 'last', maxRefusedShare: 1, maxShrinkShare: 1,
      options: {}, prologue: readPrologue };`,
};

interface Item {
  readonly id: string | null;
  readonly name?: string;
  readonly taxes?: readonly { readonly rate: unknown }[] | null;
}

const order = (no: string, items: readonly Item[]): object => ({ no, amount: 1.5, items });

export const nestedChildren = scenario(
  'arrays inside arrays, in a schema of the dataset’s own',
  FILES,
  (running) => {
    let system: System;

    beforeAll(() => {
      system = running();
    });

    async function load(mode: JobRequest['mode'], ...orders: object[]): Promise<JobDetail> {
      const source = join(system.folder, 'orders.ndjson');
      writeFileSync(source, orders.map((one) => `${JSON.stringify(one)}\n`).join(''));
      const job = await runJob(system, { dataset: DATASET, mode, source });
      expect(job).toMatchObject({ state: 'succeeded', error: null });
      return job;
    }

    /** `order item rate,rate` of every item. */
    async function rows(): Promise<unknown[]> {
      const found = await query<{ row: string }>(
        system,
        `SELECT concat_ws(' ', o.no, i.id, string_agg(t."${RATE}"::text, ',' ORDER BY t.number)) AS row
       FROM "${SCHEMA}"."${ORDERS}" AS o LEFT JOIN "${SCHEMA}".item AS i ON i.order_no = o.no
       LEFT JOIN "${SCHEMA}"."${TAXES}" AS t ON t.item_id = i.id GROUP BY o.no, i.id ORDER BY 1`,
      );
      return found.map(({ row }) => row);
    }

    it('are loaded on every level in every mode, and refused by their place', async () => {
      await load(
        'replace',
        order('1', [
          { id: 'a', taxes: [{ rate: 5 }, { rate: 7.5 }] },
          { id: 'b', taxes: [] },
        ]),
        order('2', [{ id: 'c', taxes: null }]),
        order('3', [
          { id: null, taxes: [{ rate: 1 }] },
          { id: 'd', taxes: [{ rate: 2 }] },
        ]),
        order('4', []),
      );
      // An item without a number is no row, and has no taxes.
      expect(await rows()).toEqual(['1 a 5.00,7.50', '1 b', '2 c', '3 d 2.00', '4']);

      const refused = await load(
        'append',
        order('5', [
          { id: 'e', taxes: [{ rate: 1 }] },
          { id: 'f', taxes: [{ rate: 2 }, { rate: 'much' }] },
        ]),
        order('6', [{ id: 'g', taxes: [{ rate: 6 }] }]),
      );
      expect(refused.counts).toMatchObject({ read: 2, refused: 1, inserted: 1 });
      const [letter] = await lettersOf(system, refused.id);
      expect(letter?.findings).toMatchObject([{ code: 'BAD_RATE', field: 'items[1].taxes[1].rate' }]);

      // Item a goes to another order, one tax changes, one order stays as it is.
      const merged = await load(
        'upsert',
        order('1', [{ id: 'b', taxes: [{ rate: 9 }] }]),
        order('2', [
          { id: 'c', taxes: [] },
          { id: 'a', taxes: [{ rate: 5 }, { rate: 7.5 }] },
        ]),
        order('3', [{ id: 'd', taxes: [{ rate: 2 }] }]),
        order('7', [{ id: 'h', taxes: [{ rate: 1 }] }]),
      );
      expect(merged.counts).toMatchObject({ inserted: 1, updated: 2, unchanged: 1, superseded: 0 });
      expect(await rows()).toEqual([
        '1 b 9.00',
        '2 a 5.00,7.50',
        '2 c',
        '3 d 2.00',
        '4',
        '6 g 6.00',
        '7 h 1.00',
      ]);

      // An item that another order keeps: the record is refused on all levels.
      const clash = await load('upsert', order('8', [{ id: 'd', taxes: [{ rate: 8 }] }]), order('9', []));
      expect(clash.counts).toMatchObject({ refused: 1, refusedAtLoad: 1, inserted: 1 });
      expect(await rows()).toEqual([
        '1 b 9.00',
        '2 a 5.00,7.50',
        '2 c',
        '3 d 2.00',
        '4',
        '6 g 6.00',
        '7 h 1.00',
        '9',
      ]);
      const response = await fetch(`${system.trackerUrl}/datasets`);
      expect(await response.json()).toMatchObject(
        expect.arrayContaining([
          expect.objectContaining({
            name: DATASET,
            tables: [
              { table: ORDERS, rows: 7 },
              { table: 'item', rows: 6 },
              { table: TAXES, rows: 6 },
            ],
          }),
        ]),
      );
    });
  },
);
