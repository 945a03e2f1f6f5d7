import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { Column, Table } from '../../dataset/columns.js';
import { int64 } from '../../dataset/kinds.js';
import { compileContract } from '../compile-contract.js';
import { createCutter } from '../cutter.js';
import { DEFAULT_CUTTING, type RawBatch } from '../raw-batch.js';

@Table({ name: 'thing', key: ['id'] })
class Thing {
  @Column({ source: 'id', kind: int64() }) id!: string;
  @Column({ source: 'size', kind: int64() }) size!: string | null;
}

const DATASET = { name: 'things', contract: Thing, format: 'csv' } as const;
const RECORDS = 10_000;

function batchOf(line: string): RawBatch {
  const options = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: RECORDS } as const;
  const cutter = createCutter(options, { batch: 0, record: 0, line: 1, byte: 0 });
  return cutter.push(Buffer.from(line.repeat(RECORDS)))[0] as RawBatch;
}

/**
 * What is reachable: garbage is collected first, until there is no more. What spec files before this one have left is freed
 * a turn of the event loop after the collection that finds it.
 */
async function heapBytes(): Promise<number> {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  for (let before = Infinity; ;) {
    collect();
    await nextTurn();
    const now = process.memoryUsage().heapUsed;
    if (now > before - SETTLED_BYTES) return now;
    before = now;
  }
}

const SETTLED_BYTES = 65_536;

describe('refused records that are not read yet (G9)', () => {
  it.each([
    ['of a wrong shape', 'x\n', 150],
    ['with two findings', 'x,y\n', 250],
    ['with values that do not stand in the batch as they are', '"x""",y\n', 350],
  ])('%s hold little, and about what they say', async (_, line, mostBytes) => {
    const batch = batchOf(line);
    const contract = compileContract(DATASET, { columns: ['id', 'size'], context: {}, options: {} });
    contract.judge(batch); // What is made once is made now.
    const before = await heapBytes();
    const { refused, counts } = contract.judge(batch);
    const held = (await heapBytes()) - before;
    expect(counts.refused).toBe(RECORDS);
    expect(held / RECORDS).toBeLessThan(mostBytes);
    expect(refused.heldBytes).toBeGreaterThan(held / 2);
    expect(refused.heldBytes).toBeLessThan(held * 2);
  });

  it('are the same each time that they are read, after later batches too', () => {
    const contract = compileContract(DATASET, { columns: ['id', 'size'], context: {}, options: {} });
    const { refused } = contract.judge(batchOf('"x""",7\n'));
    const [first] = refused;
    contract.judge(batchOf('"zzzz""",y\n'));
    expect([...refused][0]).toEqual(first);
    expect(first?.findings.map(({ message }) => message)).toEqual([
      'id must be a whole number of at most 64 bits; it is "x\\""',
    ]);
  });
});
