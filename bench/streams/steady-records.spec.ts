import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writePublishedForm } from '../baselines/extract.js';
import { SteadyRecords } from './steady-records.js';
import { fieldsOf } from './waiting-messages.js';

const PRESENT = 60;
const ALL = 80;

let folder: string;
let file: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-steady-'));
  file = join(folder, 'source.csv');
  await writePublishedForm(file, { rows: ALL, seed: 1 });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('records of a steady stream', () => {
  it('are a twentieth new, and three twentieths change what was there', async () => {
    const records = await SteadyRecords.of(file, PRESENT);
    const table = new Map((await SteadyRecords.of(file, ALL)).take(ALL).map(({ row }) => [row, '']));
    let changes = 0;
    for (const { row, line } of records.take(200)) {
      if (table.get(row) !== line) changes += 1;
      table.set(row, line);
    }
    expect(records.rows).toBe(PRESENT + 10);
    // Each row is met for the first time once; three of twenty change one.
    expect(changes).toBeGreaterThanOrEqual(30);
    expect(changes).toBeLessThanOrEqual(30 + ALL);
  });

  it('make of the table what they say: the last of a row counts', async () => {
    const records = await SteadyRecords.of(file, PRESENT);
    const capitals = new Map<number, number>();
    for (const { row, line } of records.take(1_000)) capitals.set(row, Number(fieldsOf(line)[4]));
    // All 60 rows have come by then, and all that are new.
    expect(capitals.size).toBe(ALL);
    expect(records.rows).toBe(ALL);
    expect(records.sumOfCapital).toBe([...capitals.values()].reduce((sum, each) => sum + each, 0));
  });

  it('have one line for each row until it is changed', async () => {
    const records = await SteadyRecords.of(file, PRESENT);
    const lines = records.take(20).map(({ line }) => fieldsOf(line).length);
    expect(new Set(lines)).toEqual(new Set([16]));
  });
});
